//! Filters of URLs.

use super::text::escaped;
use super::{Function, text_of, text_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "urlencode" => urlencode,
        "urldecode" => |_, value, _| Ok(Value::from(unquoted(&text_of(value)?.replace('+', " ")))),
        "urlsplit" => urlsplit,
        _ => return None,
    })
}

fn quoted(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || safe.contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unquoted(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn urlencode(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    let part = |value: &Value| Ok::<_, Error>(quoted(&text_of(value)?, "").replace("%20", "+"));
    let pairs = match value {
        Value::Dict(dict) => dict.items()?,
        Value::List(_) | Value::Tuple(_) => {
            let pair = |pair: &Value| {
                let [key, value]: [Value; 2] =
                    pair.iterate()?.try_into().map_err(|_| Error::new("urlencode needs pairs"))?;
                Ok((key, value))
            };
            value.elements()?.iter().map(pair).collect::<Result<_, Error>>()?
        }
        other => return Ok(Value::from(quoted(&text_of(other)?, "/"))),
    };
    let pairs = pairs.iter().map(|(key, value)| Ok(format!("{}={}", part(key)?, part(value)?)));
    Ok(Value::from(pairs.collect::<Result<Vec<_>, Error>>()?.join("&")))
}

fn urlsplit(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [query] = args.bind("urlsplit", ["query"])?;
    let query = text_or(query, "")?;
    if !matches!(value, Value::Str(_) | Value::Bytes(_)) {
        return Err(Error::new(format!("a URL must be text, not '{}'", value.type_name())));
    }
    let url = text_of(value)?;
    let (rest, fragment) = url.split_once('#').unwrap_or((&url, ""));
    let (rest, search) = rest.split_once('?').unwrap_or((rest, ""));
    let scheme_like = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = rest.split_once(':').filter(|(scheme, _)| scheme_like(scheme)).unwrap_or(("", rest));
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (user, host) = netloc.rsplit_once('@').map_or((None, netloc), |(user, host)| (Some(user), host));
    let (username, password) = match user {
        Some(user) => {
            user.split_once(':').map_or((Some(user), None), |(name, word)| (Some(name), Some(word)))
        }
        None => (None, None),
    };
    let (hostname, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, tail)) => (inner, tail.strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => {
            Value::Int(port.parse::<u16>().map_err(|_| Error::new(format!("'{port}' is not a port")))?.into())
        }
        None => Value::None,
    };
    let hostname = if hostname.is_empty() { Value::None } else { Value::from(hostname.to_lowercase()) };
    let parts = [
        ("fragment", Value::str(fragment)),
        ("hostname", hostname),
        ("netloc", Value::str(netloc)),
        ("password", Value::from(password)),
        ("path", Value::str(path)),
        ("port", port),
        ("query", Value::str(search)),
        ("scheme", Value::from(scheme.to_lowercase())),
        ("username", Value::from(username)),
    ];
    if query.is_empty() {
        return Ok(Value::dict(parts));
    }
    let found = parts.into_iter().find(|(name, _)| *name == query);
    found.map(|(_, value)| value).ok_or_else(|| Error::new(format!("unknown URL component: {query}")))
}

/// Addresses in a text as links.
pub(super) fn urlize(
    text: &str,
    nofollow: bool,
    target: Option<&Value>,
    rel: Option<&Value>,
) -> Result<String, Error> {
    let mut marks: Vec<String> = vec!["noopener".to_owned()];
    if nofollow {
        marks.push("nofollow".to_owned());
    }
    if let Some(rel) = rel.filter(|rel| !rel.is_none()) {
        marks.extend(text_of(rel)?.split_whitespace().map(str::to_owned));
    }
    marks.sort();
    let target = match target.filter(|target| !target.is_none()) {
        Some(target) => format!(" target=\"{}\"", escaped(&text_of(target)?)),
        None => String::new(),
    };
    let mut out = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let space = &word[bare.len()..];
        let link = bare.trim_end_matches(['.', ',', ')', '>', '\n']);
        let tail = &bare[link.len()..];
        if link.starts_with("http://") || link.starts_with("https://") {
            let href = escaped(link);
            out.push_str(&format!("<a href=\"{href}\" rel=\"{}\"{target}>{href}</a>", marks.join(" ")));
            out.push_str(&escaped(tail));
        } else {
            out.push_str(&escaped(bare));
        }
        out.push_str(space);
    }
    Ok(out)
}
