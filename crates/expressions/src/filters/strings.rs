//! Ansible's filters of text, and line wrapping.

use super::{Function, text_of, truth_or};
use crate::error::Error;
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "quote" => |_, value, _| Ok(Value::from(quoted(value)?)),
        "comment" => super::comment::comment,
        "regex_escape" => super::regexes::escape,
        "urlize" => |_, value, args| {
            let [_, nofollow, target, rel, _] =
                args.bind("urlize", ["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"])?;
            let nofollow = truth_or(nofollow, false)?;
            Ok(Value::from(super::urls::urlize(&text_of(value)?, nofollow, target.as_ref(), rel.as_ref())?))
        },
        _ => return None,
    })
}

/// As Python's `shlex.quote`.
fn quoted(value: &Value) -> Result<String, Error> {
    let text = if value.is_none() { String::new() } else { text_of(value)? };
    let safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return Ok(text);
    }
    Ok(format!("'{}'", text.replace('\'', "'\"'\"'")))
}

/// Lines of at most `width` characters, as Python's `textwrap` breaks them.
pub(super) fn wrapped(line: &str, width: usize, break_long: bool, hyphens: bool) -> Vec<String> {
    let mut chunks = chunks(line, hyphens);
    chunks.reverse();
    let mut lines = Vec::new();
    while !chunks.is_empty() {
        let mut current: Vec<String> = Vec::new();
        let mut length = 0;
        if !lines.is_empty() && chunks.last().is_some_and(|chunk| chunk.trim().is_empty()) {
            chunks.pop();
        }
        while let Some(chunk) = chunks.last() {
            let size = chunk.chars().count();
            if length + size > width {
                break;
            }
            length += size;
            current.extend(chunks.pop());
        }
        if let Some(long) = chunks.last().filter(|chunk| chunk.chars().count() > width) {
            let long = long.clone();
            if break_long {
                let room = if width == length && current.is_empty() { 1 } else { width - length };
                let room = if hyphens { after_last_hyphen(&long, room) } else { room };
                if room > 0 {
                    current.push(long.chars().take(room).collect());
                    chunks.pop();
                    chunks.push(long.chars().skip(room).collect());
                }
            } else if current.is_empty() {
                current.extend(chunks.pop());
            }
        }
        if current.last().is_some_and(|chunk| chunk.trim().is_empty()) {
            current.pop();
        }
        if !current.is_empty() {
            lines.push(current.concat());
        }
    }
    lines
}

/// Words and the white space between them; words with hyphens in parts.
fn chunks(line: &str, hyphens: bool) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut previous: Option<char> = None;
    for (at, c) in line.char_indices() {
        let turn = previous.is_some_and(|previous| previous.is_whitespace() != c.is_whitespace());
        let after_hyphen = hyphens && previous == Some('-') && splits_at_hyphen(&current, &line[at..]);
        if (turn || after_hyphen) && !current.is_empty() {
            all.push(std::mem::take(&mut current));
        }
        current.push(c);
        previous = Some(c);
    }
    if !current.is_empty() {
        all.push(current);
    }
    all
}

/// A word is cut behind its hyphen between two parts of at least two characters.
fn splits_at_hyphen(before: &str, after: &str) -> bool {
    let word = |c: char| c == '_' || c.is_alphanumeric();
    let mut back = before.chars().rev().skip(1);
    let mut ahead = after.chars();
    back.next().is_some_and(char::is_alphabetic)
        && back.next().is_some_and(word)
        && ahead.next().is_some_and(word)
        && ahead.next().is_some_and(char::is_alphabetic)
}

/// Where to cut a long word: behind a hyphen that fits, or where the room ends.
fn after_last_hyphen(long: &str, room: usize) -> usize {
    let head: Vec<char> = long.chars().take(room).collect();
    match head.iter().rposition(|c| *c == '-') {
        Some(at) if at > 0 && head[..at].iter().any(|c| *c != '-') => at + 1,
        _ => room,
    }
}
