//! Jinja's filters of text.

use super::{Function, needed, size_or, text_of, text_or, truth_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::methods::string::{capitalize, center};
use crate::value::{Str, Value, lifted};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "upper" => |_, value, _| Ok(Value::from(text_of(value)?.to_uppercase())),
        "lower" => |_, value, _| Ok(Value::from(text_of(value)?.to_lowercase())),
        "capitalize" => |_, value, _| Ok(Value::from(capitalize(&text_of(value)?))),
        "title" => |_, value, _| Ok(Value::from(title(&text_of(value)?))),
        "string" => string,
        "safe" => string,
        "escape" | "e" | "forceescape" => |_, value, _| Ok(Value::from(escaped(&text_of(value)?))),
        "trim" => trim,
        "center" => |_, value, args| {
            let [width] = args.bind("center", ["width"])?;
            Ok(Value::from(center(&text_of(value)?, size_or(width, 80)?, " ")))
        },
        "indent" => indent,
        "replace" => replace,
        "format" => |_, value, args| format(value, args),
        "truncate" => truncate,
        "wordwrap" => wordwrap,
        "wordcount" => |_, value, _| {
            let text = text_of(value)?;
            let words =
                text.split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|word| !word.is_empty());
            Ok(Value::from(words.count()))
        },
        "striptags" => |_, value, _| Ok(Value::from(striptags(&text_of(value)?))),
        "xmlattr" => xmlattr,
        "split" => |_, value, args| match value {
            Value::Str(s) => crate::methods::string::split(s.as_str(), &args, false),
            other => Err(Error::new(format!("'{}' object has no attribute 'split'", other.type_name()))),
        },
        _ => return None,
    })
}

fn string(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    Ok(match value {
        Value::Str(s) => Value::Str(Str::new(std::sync::Arc::clone(s.text()))),
        other => Value::from(other.python_str()?),
    })
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    for c in text.chars() {
        if start {
            out.extend(c.to_uppercase())
        } else {
            out.extend(c.to_lowercase())
        }
        start = c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<');
    }
    out
}

fn trim(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [chars] = args.bind("trim", ["chars"])?;
    let text = text_of(value)?;
    Ok(Value::str(match chars {
        None | Some(Value::None) => text.trim(),
        Some(chars) => {
            let chars = text_of(&chars)?;
            text.trim_matches(|c| chars.contains(c))
        }
    }))
}

fn indent(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"])?;
    let prefix = match width {
        Some(Value::Str(text)) => text.as_str().to_owned(),
        width => " ".repeat(size_or(width, 4)?),
    };
    let (first, blank) = (truth_or(first, false)?, truth_or(blank, false)?);
    let text = text_of(value)?;
    let mut out = String::with_capacity(text.len() * 2);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if (index == 0 && first) || (index > 0 && (blank || !line.is_empty())) {
            out.push_str(&prefix);
        }
        out.push_str(line);
    }
    Ok(Value::from(out))
}

fn replace(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [old, new, count] = args.bind("replace", ["old", "new", "count"])?;
    let (old, new) = (text_of(&needed(old, "replace", "old")?)?, text_of(&needed(new, "replace", "new")?)?);
    let count = size_or(count, usize::MAX)?;
    Ok(Value::from(text_of(value)?.replacen(&old, &new, count)))
}

fn format(value: &Value, args: Args) -> Result<Value, Error> {
    if !args.positional.is_empty() && !args.named.is_empty() {
        return Err(Error::new("can't handle positional and keyword arguments at the same time"));
    }
    let operand = if args.named.is_empty() {
        Value::tuple(args.positional)
    } else {
        Value::dict(args.named.into_iter().map(|(name, value)| (Value::str(name), value)))
    };
    lifted(crate::format::percent(&text_of(value)?, &operand).map(Value::from))
}

fn truncate(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [length, kill, end, leeway] = args.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let (length, kill, end) = (size_or(length, 255)?, truth_or(kill, false)?, text_or(end, "...")?);
    let leeway = size_or(leeway, 5)?;
    let text = text_of(value)?;
    let room = length.checked_sub(end.chars().count());
    let room =
        room.ok_or_else(|| Error::new(format!("expected length >= {}, got {length}", end.chars().count())))?;
    if text.chars().count() <= length + leeway {
        return Ok(Value::from(text));
    }
    let cut: String = text.chars().take(room).collect();
    if kill {
        return Ok(Value::from(cut + &end));
    }
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    Ok(Value::from(format!("{words}{end}")))
}

fn wordwrap(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [width, breaks, end, hyphens] =
        args.bind("wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
    let (width, breaks, end) = (size_or(width, 79)?.max(1), truth_or(breaks, true)?, text_or(end, "\n")?);
    let hyphens = truth_or(hyphens, true)?;
    let text = text_of(value)?;
    let lines: Vec<String> =
        text.lines().map(|line| super::strings::wrapped(line, width, breaks, hyphens).join(&end)).collect();
    Ok(Value::from(lines.join(&end)))
}

fn striptags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("<!--") {
        let Some(end) = rest[start..].find("-->") else { break };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + 3..];
    }
    out.push_str(rest);
    let mut plain = String::new();
    let mut rest = out.as_str();
    while let Some(start) = rest.find('<') {
        let Some(end) = rest[start..].find('>') else { break };
        plain.push_str(&rest[..start]);
        rest = &rest[start + end + 1..];
    }
    plain.push_str(rest);
    let words: Vec<&str> = plain.split_whitespace().collect();
    unescaped(&words.join(" "))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

fn xmlattr(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [space] = args.bind("xmlattr", ["autospace"])?;
    let Value::Dict(dict) = value else { return Err(Error::new("xmlattr needs a dict")) };
    let mut parts = Vec::new();
    for (key, value) in dict.items()? {
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let key = text_of(&key)?;
        if key.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '>' | '=')) {
            return Err(Error::new(format!("Invalid character in attribute name: '{key}'")));
        }
        parts.push(format!("{}=\"{}\"", escaped(&key), escaped(&text_of(&value)?)));
    }
    let joined = parts.join(" ");
    Ok(Value::from(if truth_or(space, true)? && !joined.is_empty() { format!(" {joined}") } else { joined }))
}
