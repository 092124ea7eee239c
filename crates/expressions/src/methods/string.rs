//! Methods of strings and bytes.

use super::{integer, text};
use crate::error::Error;
use crate::eval::Args;
use crate::format;
use crate::value::Value;

pub(super) const NAMES: [&str; 46] = [
    "upper",
    "lower",
    "title",
    "capitalize",
    "swapcase",
    "casefold",
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "rsplit",
    "splitlines",
    "partition",
    "rpartition",
    "replace",
    "startswith",
    "endswith",
    "find",
    "rfind",
    "index",
    "rindex",
    "count",
    "join",
    "center",
    "ljust",
    "rjust",
    "zfill",
    "expandtabs",
    "encode",
    "removeprefix",
    "removesuffix",
    "format",
    "format_map",
    "isdigit",
    "isdecimal",
    "isnumeric",
    "isalpha",
    "isalnum",
    "isspace",
    "islower",
    "isupper",
    "istitle",
    "isidentifier",
    "isascii",
    "isprintable",
    "translate",
];

pub(super) fn call(s: &str, name: &str, args: &Args) -> Option<Result<Value, Error>> {
    if let Some(simple) = simple(s, name) {
        if !args.positional.is_empty() || !args.named.is_empty() {
            return Some(Err(Error::new(format!("str.{name}() takes no arguments"))));
        }
        return Some(Ok(simple));
    }
    Some(match name {
        "strip" | "lstrip" | "rstrip" => strip(s, name, args),
        "split" | "rsplit" => split(s, args, name == "rsplit"),
        "splitlines" => splitlines(s, args),
        "partition" | "rpartition" => partition(s, name, args),
        "replace" => replace(s, args),
        "startswith" | "endswith" => affix(s, name, args),
        "find" | "rfind" | "index" | "rindex" | "count" => find(s, name, args),
        "join" => join(s, args),
        "center" | "ljust" | "rjust" => justify(s, name, args),
        "zfill" => zfill(s, args),
        "expandtabs" => expandtabs(s, args),
        "encode" => encode(s, args),
        "removeprefix" => one(args).map(|affix| Value::str(s.strip_prefix(affix).unwrap_or(s))),
        "removesuffix" => one(args).map(|affix| Value::str(s.strip_suffix(affix).unwrap_or(s))),
        "translate" => translate(s, args),
        "format" => {
            let named = |name: &str| {
                Ok(args.named.iter().find(|(own, _)| &**own == name).map(|(_, value)| value.clone()))
            };
            format::str_format(s, &args.positional, &named).map(Value::from)
        }
        "format_map" => format_map(s, args),
        _ => return None,
    })
}

fn simple(s: &str, name: &str) -> Option<Value> {
    let all = |test: fn(char) -> bool| Some(Value::Bool(!s.is_empty() && s.chars().all(test)));
    let text = match name {
        "upper" => s.to_uppercase(),
        "lower" => s.to_lowercase(),
        "casefold" => s.to_lowercase().replace('ß', "ss"),
        "title" => title(s),
        "capitalize" => capitalize(s),
        "swapcase" => s.chars().flat_map(swapped).collect(),
        "isdigit" | "isdecimal" => return all(|c| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())),
        "isnumeric" => return all(char::is_numeric),
        "isalpha" => return all(char::is_alphabetic),
        "isalnum" => return all(char::is_alphanumeric),
        "isspace" => return all(char::is_whitespace),
        "isascii" => return Some(Value::Bool(s.is_ascii())),
        "isprintable" => return Some(Value::Bool(!s.chars().any(|c| c.is_control()))),
        "islower" => return Some(Value::Bool(is_lower(s))),
        "isupper" => return Some(Value::Bool(is_upper(s))),
        "istitle" => return Some(Value::Bool(s.chars().any(char::is_alphabetic) && title(s) == s)),
        "isidentifier" => {
            let mut chars = s.chars();
            let first = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
            return Some(Value::Bool(first && chars.all(|c| c == '_' || c.is_alphanumeric())));
        }
        _ => return None,
    };
    Some(Value::str(text))
}

pub(crate) fn is_lower(s: &str) -> bool {
    s.chars().any(char::is_lowercase) && !s.chars().any(char::is_uppercase)
}

pub(crate) fn is_upper(s: &str) -> bool {
    s.chars().any(char::is_uppercase) && !s.chars().any(char::is_lowercase)
}

fn swapped(c: char) -> Vec<char> {
    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
}

/// Every run of letters with a capital first.
fn title(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut inside = false;
    for c in s.chars() {
        if inside {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        inside = c.is_alphabetic();
    }
    out
}

pub(crate) fn capitalize(s: &str) -> String {
    let mut chars = s.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

fn one(args: &Args) -> Result<&str, Error> {
    match args.positional.as_slice() {
        [only] => text(only),
        other => Err(Error::new(format!("expected exactly one argument ({} given)", other.len()))),
    }
}

fn strip(s: &str, name: &str, args: &Args) -> Result<Value, Error> {
    let chars: Option<Vec<char>> = match args.first() {
        None | Some(Value::None) => None,
        Some(chars) => Some(text(chars)?.chars().collect()),
    };
    let hit = |c: char| chars.as_ref().map_or(c.is_whitespace(), |chars| chars.contains(&c));
    Ok(Value::str(match name {
        "strip" => s.trim_matches(hit),
        "lstrip" => s.trim_start_matches(hit),
        _ => s.trim_end_matches(hit),
    }))
}

/// `split` and `rsplit`; also the filter of that name.
pub(crate) fn split(s: &str, args: &Args, from_right: bool) -> Result<Value, Error> {
    let [separator, most] = args.bind("split", ["sep", "maxsplit"])?;
    let most = most.as_ref().map_or(Ok(-1), integer)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let parts: Vec<&str> = match separator {
        None | Some(Value::None) => split_space(s, most, from_right),
        Some(separator) => {
            let separator = text(&separator)?;
            if separator.is_empty() {
                return Err(Error::new("empty separator"));
            }
            if from_right {
                let mut parts: Vec<&str> = s.rsplitn(most.saturating_add(1), separator).collect();
                parts.reverse();
                parts
            } else {
                s.splitn(most.saturating_add(1), separator).collect()
            }
        }
    };
    Ok(Value::list(parts.into_iter().map(Value::str).collect()))
}

fn split_space(s: &str, most: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = s.trim();
    while !rest.is_empty() {
        if parts.len() >= most {
            parts.push(rest_of(s, rest, from_right));
            break;
        }
        if from_right {
            let at = rest
                .rfind(char::is_whitespace)
                .map_or(0, |at| at + rest[at..].chars().next().map_or(1, char::len_utf8));
            parts.push(&rest[at..]);
            rest = rest[..at].trim_end();
        } else {
            let at = rest.find(char::is_whitespace).unwrap_or(rest.len());
            parts.push(&rest[..at]);
            rest = rest[at..].trim_start();
        }
    }
    if from_right {
        parts.reverse();
    }
    parts
}

/// What stays unsplit keeps the whitespace at its far end.
fn rest_of<'a>(whole: &'a str, rest: &'a str, from_right: bool) -> &'a str {
    if from_right {
        let head = whole.len() - whole.trim_start().len();
        &whole[..head + rest.len()]
    } else {
        let end = whole.trim_end().len();
        &whole[end - rest.len()..]
    }
}

fn splitlines(s: &str, args: &Args) -> Result<Value, Error> {
    let [keep] = args.bind("splitlines", ["keepends"])?;
    let keep = keep.map_or(Ok(false), |keep| keep.truth())?;
    let mut lines = Vec::new();
    let mut rest = s;
    while !rest.is_empty() {
        let at = rest.find(['\n', '\r', '\x0b', '\x0c', '\u{85}', '\u{2028}', '\u{2029}']);
        let Some(at) = at else {
            lines.push(Value::str(rest));
            break;
        };
        let width = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        lines.push(Value::str(&rest[..if keep { at + width } else { at }]));
        rest = &rest[at + width..];
    }
    Ok(Value::list(lines))
}

fn partition(s: &str, name: &str, args: &Args) -> Result<Value, Error> {
    let separator = one(args)?;
    if separator.is_empty() {
        return Err(Error::new("empty separator"));
    }
    let right = name == "rpartition";
    let found = if right { s.rsplit_once(separator) } else { s.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if right => ["", "", s],
        None => [s, "", ""],
    };
    Ok(Value::tuple(parts.into_iter().map(Value::str).collect()))
}

fn replace(s: &str, args: &Args) -> Result<Value, Error> {
    let [old, new, count] = args.bind("replace", ["old", "new", "count"])?;
    let (Some(old), Some(new)) = (old, new) else {
        return Err(Error::new("replace expected at least 2 arguments"));
    };
    let count = count.as_ref().map_or(Ok(-1), integer)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    Ok(Value::str(s.replacen(text(&old)?, text(&new)?, count)))
}

fn affix(s: &str, name: &str, args: &Args) -> Result<Value, Error> {
    let Some(first) = args.first() else {
        return Err(Error::new(format!("{name} expected at least 1 argument, got 0")));
    };
    let bound = |index: usize| args.positional.get(index).cloned().unwrap_or(Value::None);
    let part = Value::str(s).slice(&bound(1), &bound(2), &Value::None)?;
    let part = text(&part)?;
    let hit =
        |affix: &str| if name == "startswith" { part.starts_with(affix) } else { part.ends_with(affix) };
    let result = match first {
        Value::Tuple(affixes) => {
            let mut any = false;
            for affix in affixes.iter() {
                any |= hit(text(affix)?);
            }
            any
        }
        Value::Str(affix) => hit(affix.as_str()),
        other => {
            let kind = other.type_name();
            return Err(Error::new(format!("{name} first arg must be str or a tuple of str, not {kind}")));
        }
    };
    Ok(Value::Bool(result))
}

fn find(s: &str, name: &str, args: &Args) -> Result<Value, Error> {
    let Some(first) = args.first() else {
        return Err(Error::new(format!("{name} expected at least 1 argument, got 0")));
    };
    let wanted = text(first)?;
    let start = args.positional.get(1).map_or(Ok(0), integer)?;
    let bound = |index: usize| args.positional.get(index).cloned().unwrap_or(Value::None);
    let part = Value::str(s).slice(&bound(1), &bound(2), &Value::None)?;
    let part = text(&part)?;
    if name == "count" {
        let count = if wanted.is_empty() { part.chars().count() + 1 } else { part.matches(wanted).count() };
        return Ok(Value::from(count));
    }
    let found = if name.starts_with('r') { part.rfind(wanted) } else { part.find(wanted) };
    let skipped = if start < 0 {
        s.chars().count().saturating_sub(usize::try_from(-start).unwrap_or(0))
    } else {
        usize::try_from(start).unwrap_or(0)
    };
    match found {
        Some(at) => Ok(Value::from(part[..at].chars().count() + skipped)),
        None if name.ends_with("index") => Err(Error::new("substring not found")),
        None => Ok(Value::Int(-1)),
    }
}

fn join(s: &str, args: &Args) -> Result<Value, Error> {
    let [items] = args.positional.as_slice() else {
        return Err(Error::new("join() takes exactly one argument"));
    };
    let mut out = String::new();
    for (index, item) in items.iterate()?.iter().enumerate() {
        if index > 0 {
            out.push_str(s);
        }
        let Value::Str(part) = item.clone().defined()? else {
            let kind = item.type_name();
            return Err(Error::new(format!("sequence item {index}: expected str instance, {kind} found")));
        };
        out.push_str(part.as_str());
    }
    Ok(Value::str(out))
}

/// The largest width that padding makes.
const WIDEST: usize = 1 << 24;

fn width_of(args: &Args) -> Result<usize, Error> {
    let width = args.first().ok_or_else(|| Error::new("expected at least 1 argument, got 0"))?;
    let width = usize::try_from(integer(width)?).unwrap_or(0);
    if width > WIDEST { Err(Error::new("the width is too large")) } else { Ok(width) }
}

fn justify(s: &str, name: &str, args: &Args) -> Result<Value, Error> {
    let width = width_of(args)?;
    let fill = args.positional.get(1).map_or(Ok(" "), text)?;
    if fill.chars().count() != 1 {
        return Err(Error::new("The fill character must be exactly one character long"));
    }
    let missing = width.saturating_sub(s.chars().count());
    Ok(Value::str(match name {
        "ljust" => format!("{s}{}", fill.repeat(missing)),
        "rjust" => format!("{}{s}", fill.repeat(missing)),
        _ => center(s, width, fill),
    }))
}

/// Python puts the odd blank left when the width is odd too.
pub(crate) fn center(s: &str, width: usize, fill: &str) -> String {
    let missing = width.saturating_sub(s.chars().count());
    let left = missing / 2 + (missing & width & 1);
    format!("{}{s}{}", fill.repeat(left), fill.repeat(missing - left))
}

fn zfill(s: &str, args: &Args) -> Result<Value, Error> {
    let missing = width_of(args)?.saturating_sub(s.chars().count());
    let sign = usize::from(s.starts_with(['+', '-']));
    Ok(Value::str(format!("{}{}{}", &s[..sign], "0".repeat(missing), &s[sign..])))
}

fn expandtabs(s: &str, args: &Args) -> Result<Value, Error> {
    let [size] = args.bind("expandtabs", ["tabsize"])?;
    let size = usize::try_from(size.as_ref().map_or(Ok(8), integer)?).unwrap_or(0).min(1024);
    let mut out = String::new();
    let mut column = 0;
    for c in s.chars() {
        match c {
            '\t' => {
                let blanks = if size == 0 { 0 } else { size - column % size };
                out.push_str(&" ".repeat(blanks));
                column += blanks;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(Value::str(out))
}

/// Bytes of a text in an encoding.
pub(crate) fn encoded(s: &str, encoding: &str) -> Result<Vec<u8>, Error> {
    match encoding.to_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" => Ok(s.as_bytes().to_vec()),
        "ascii" | "us-ascii" if s.is_ascii() => Ok(s.as_bytes().to_vec()),
        "latin-1" | "latin1" | "iso-8859-1" => s
            .chars()
            .map(|c| {
                u8::try_from(c as u32).map_err(|_| Error::new(format!("'latin-1' codec can't encode {c:?}")))
            })
            .collect(),
        "utf-16-le" | "utf-16le" => Ok(s.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        "utf-16-be" | "utf-16be" => Ok(s.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        "utf-16" => Ok([0xff, 0xfe].into_iter().chain(s.encode_utf16().flat_map(u16::to_le_bytes)).collect()),
        "ascii" | "us-ascii" => Err(Error::new("'ascii' codec can't encode characters")),
        other => Err(Error::new(format!("unknown encoding: {other}"))),
    }
}

/// Text of bytes in an encoding.
pub(crate) fn decoded(bytes: &[u8], encoding: &str) -> Result<String, Error> {
    let utf16 = |big: bool, bytes: &[u8]| {
        let pair =
            |p: &[u8]| if big { u16::from_be_bytes([p[0], p[1]]) } else { u16::from_le_bytes([p[0], p[1]]) };
        let units: Vec<u16> = bytes.chunks_exact(2).map(pair).collect();
        String::from_utf16(&units).map_err(|_| Error::new("'utf-16' codec can't decode the bytes"))
    };
    match encoding.to_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" | "ascii" | "us-ascii" => String::from_utf8(bytes.to_vec())
            .map_err(|_| Error::new(format!("'{encoding}' codec can't decode the bytes"))),
        "latin-1" | "latin1" | "iso-8859-1" => Ok(bytes.iter().map(|&byte| char::from(byte)).collect()),
        "utf-16-le" | "utf-16le" => utf16(false, bytes),
        "utf-16-be" | "utf-16be" => utf16(true, bytes),
        "utf-16" => match bytes {
            [0xfe, 0xff, rest @ ..] => utf16(true, rest),
            [0xff, 0xfe, rest @ ..] => utf16(false, rest),
            other => utf16(false, other),
        },
        other => Err(Error::new(format!("unknown encoding: {other}"))),
    }
}

fn encode(s: &str, args: &Args) -> Result<Value, Error> {
    let [encoding, _errors] = args.bind("encode", ["encoding", "errors"])?;
    let encoding = encoding.as_ref().map_or(Ok("utf-8"), text)?;
    Ok(Value::Bytes(encoded(s, encoding)?.into()))
}

pub(super) fn call_bytes(bytes: &[u8], name: &str, args: &Args) -> Option<Result<Value, Error>> {
    Some(match name {
        "decode" => args.bind("decode", ["encoding", "errors"]).and_then(|[encoding, _]| {
            let encoding = encoding.as_ref().map_or(Ok("utf-8"), text)?;
            decoded(bytes, encoding).map(Value::from)
        }),
        "hex" => Ok(Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())),
        _ => return None,
    })
}

fn translate(s: &str, args: &Args) -> Result<Value, Error> {
    let [table] = args.positional.as_slice() else {
        return Err(Error::new("translate() takes exactly one argument"));
    };
    let mut out = String::new();
    for c in s.chars() {
        match table.item(&Value::Int(i64::from(c as u32)))? {
            None => out.push(c),
            Some(Value::None) => {}
            Some(Value::Int(code)) => out.extend(u32::try_from(code).ok().and_then(char::from_u32)),
            Some(other) => out.push_str(&other.python_str()?),
        }
    }
    Ok(Value::str(out))
}

fn format_map(s: &str, args: &Args) -> Result<Value, Error> {
    let [map] = args.positional.as_slice() else {
        return Err(Error::new("format_map() takes exactly one argument"));
    };
    let named = |name: &str| map.item(&Value::str(name));
    format::str_format(s, &[], &named).map(Value::from)
}
