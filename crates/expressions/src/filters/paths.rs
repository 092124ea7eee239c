//! Filters of paths.

use std::path::Path;

use super::{Function, text_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "basename" => |_, value, _| text_of(value).map(|path| Value::str(split(&path).1)),
        "dirname" => |_, value, _| text_of(value).map(|path| Value::str(split(&path).0)),
        "splitext" => |_, value, _| {
            let path = text_of(value)?;
            let (stem, extension) = splitext(&path);
            Ok(Value::tuple(vec![Value::str(stem), Value::str(extension)]))
        },
        "commonpath" => commonpath,
        "normpath" => |_, value, _| Ok(Value::from(normpath(&text_of(value)?))),
        "path_join" => path_join,
        "realpath" => |_, value, _| Ok(Value::from(realpath(&absolute(&text_of(value)?)?))),
        "relpath" => relpath,
        "expanduser" => |run, value, _| Ok(Value::from(expanduser(run, &text_of(value)?))),
        "expandvars" => |run, value, _| Ok(Value::from(expandvars(run, &text_of(value)?))),
        "win_basename" => |_, value, _| {
            let path = text_of(value)?;
            Ok(Value::str(win_split(&path).1))
        },
        "win_dirname" => |_, value, _| {
            let path = text_of(value)?;
            Ok(Value::str(win_split(&path).0))
        },
        "win_splitdrive" => |_, value, _| {
            let path = text_of(value)?;
            let (drive, rest) = path.split_at(drive_len(&path));
            Ok(Value::tuple(vec![Value::str(drive), Value::str(rest)]))
        },
        _ => return None,
    })
}

/// A path is text, nothing else.
fn text_of(value: &Value) -> Result<String, Error> {
    match value {
        Value::Str(_) | Value::Bytes(_) => super::text_of(value),
        Value::Undefined(missing) => Err(missing.error()),
        other => {
            let kind = other.type_name();
            Err(Error::new(format!("expected str, bytes or os.PathLike object, not {kind}")))
        }
    }
}

fn split(path: &str) -> (&str, &str) {
    let at = path.rfind('/').map_or(0, |at| at + 1);
    let (head, tail) = path.split_at(at);
    let trimmed = head.trim_end_matches('/');
    (if trimmed.is_empty() { head } else { trimmed }, tail)
}

fn splitext(path: &str) -> (&str, &str) {
    let name = split(path).1;
    let visible = name.trim_start_matches('.');
    match visible.rfind('.') {
        Some(at) => path.split_at(path.len() - visible.len() + at),
        None => (path, ""),
    }
}

/// Python's `os.path.normpath`.
pub(super) fn normpath(path: &str) -> String {
    let root = if path.starts_with("//") && !path.starts_with("///") {
        "//"
    } else if path.starts_with('/') {
        "/"
    } else {
        ""
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if !root.is_empty() => {}
            other => parts.push(other),
        }
    }
    let joined = format!("{root}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

fn absolute(path: &str) -> Result<String, Error> {
    if path.starts_with('/') {
        return Ok(normpath(path));
    }
    let here = std::env::current_dir()
        .map_err(|error| Error::new(format!("there is no current directory: {error}")))?;
    Ok(normpath(&format!("{}/{path}", here.display())))
}

/// Links resolved as far as the path exists.
fn realpath(path: &str) -> String {
    let mut existing = Path::new(path);
    let mut rest = Vec::new();
    loop {
        if let Ok(real) = existing.canonicalize() {
            let mut real = real;
            real.extend(rest.iter().rev());
            return real.display().to_string();
        }
        let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
            return path.to_owned();
        };
        rest.push(name);
        existing = parent;
    }
}

fn relpath(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [start] = args.bind("relpath", ["start"])?;
    let (path, start) = (absolute(&text_of(value)?)?, absolute(&text_or(start, ".")?)?);
    let parts =
        |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (path, start) = (parts(&path), parts(&start));
    let common = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let ups = std::iter::repeat_n("..".to_owned(), start.len() - common);
    let joined = ups.chain(path[common..].iter().cloned()).collect::<Vec<_>>().join("/");
    Ok(Value::from(if joined.is_empty() { ".".to_owned() } else { joined }))
}

fn commonpath(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    if !matches!(value, Value::List(_) | Value::Tuple(_)) {
        return Err(Error::new("|commonpath expects sequence, got a single value"));
    }
    let paths = value.elements()?.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
    let rooted = paths.iter().filter(|path| path.starts_with('/')).count();
    if paths.is_empty() || (rooted != 0 && rooted != paths.len()) {
        return Err(Error::new("Can't mix absolute and relative paths, and there must be one"));
    }
    let parts = |path: &String| {
        path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect::<Vec<_>>()
    };
    let mut common = parts(&paths[0]);
    for path in &paths[1..] {
        let same = common.iter().zip(&parts(path)).take_while(|(a, b)| a == b).count();
        common.truncate(same);
    }
    Ok(Value::from(format!("{}{}", if rooted > 0 { "/" } else { "" }, common.join("/"))))
}

fn path_join(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let mut parts = match value {
        Value::Str(_) => vec![value.clone()],
        other => other.elements()?,
    };
    parts.extend(args.positional);
    let mut path = String::new();
    for part in parts {
        let part = text_of(&part)?;
        if part.starts_with('/') || path.is_empty() {
            path = part;
        } else {
            if !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(&part);
        }
    }
    Ok(Value::from(path))
}

fn expanduser(run: &Run<'_>, path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_owned() };
    let (user, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = if user.is_empty() {
        run.context.environment("HOME").or_else(|| home_of("root"))
    } else {
        home_of(user)
    };
    home.map_or_else(|| path.to_owned(), |home| format!("{}{tail}", home.trim_end_matches('/')))
}

fn home_of(user: &str) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(5).map(str::to_owned)
}

fn expandvars(run: &Run<'_>, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (name, width) = match tail.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(end) => (&inner[..end], end + 3),
                None => ("", 1),
            },
            None => {
                let len = tail.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
                (&tail[..len], len + 1)
            }
        };
        match run.context.environment(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[at..at + width]),
        }
        rest = &rest[at + width..];
    }
    out + rest
}

fn drive_len(path: &str) -> usize {
    let bytes = path.as_bytes();
    if bytes.get(1) == Some(&b':') {
        return 2;
    }
    let slash = |byte: &u8| matches!(byte, b'\\' | b'/');
    if bytes.len() > 2 && slash(&bytes[0]) && slash(&bytes[1]) && !slash(&bytes[2]) {
        let server = bytes[2..].iter().position(slash).map(|at| at + 2);
        return server.map_or(path.len(), |server| {
            bytes[server + 1..].iter().position(slash).map_or(path.len(), |at| at + server + 1)
        });
    }
    0
}

fn win_split(path: &str) -> (&str, &str) {
    let drive = drive_len(path);
    let at = path[drive..].rfind(['\\', '/']).map_or(drive, |at| drive + at + 1);
    let (head, tail) = path.split_at(at);
    let trimmed = head[drive..].trim_end_matches(['\\', '/']);
    (if trimmed.is_empty() { head } else { &head[..drive + trimmed.len()] }, tail)
}
