//! Python's regular expressions on top of `fancy-regex`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use fancy_regex::{Captures, Regex};
use parking_lot::Mutex;

use crate::error::Error;

/// How many compiled patterns are kept.
const KEPT: usize = 1000;

static CACHE: LazyLock<Mutex<HashMap<String, Arc<Regex>>>> = LazyLock::new(Mutex::default);

#[derive(Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) ignore_case: bool,
    pub(crate) multiline: bool,
}

/// Where a pattern must match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Anywhere,
    Start,
    Whole,
}

pub(crate) fn compile(pattern: &str, flags: Flags, anchor: Anchor) -> Result<Arc<Regex>, Error> {
    if let Some(why) = catalog::regex::refused(pattern) {
        return Err(Error::new(format!("invalid regular expression '{pattern}': {why}")));
    }
    let mut prefix = String::new();
    if flags.ignore_case {
        prefix.push_str("(?i)");
    }
    if flags.multiline {
        prefix.push_str("(?m)");
    }
    let multiline = flags.multiline || leading_flags(pattern).contains('m');
    let body = translate(pattern, multiline);
    let text = match anchor {
        Anchor::Anywhere => format!("{prefix}{body}"),
        Anchor::Start => format!("{prefix}\\A(?:{body})"),
        Anchor::Whole => format!("{prefix}\\A(?:{body})\\z"),
    };
    if let Some(found) = CACHE.lock().get(&text) {
        return Ok(Arc::clone(found));
    }
    let compiled = Regex::new(&text)
        .map_err(|error| Error::new(format!("invalid regular expression '{pattern}': {error}")))?;
    let compiled = Arc::new(compiled);
    let mut cache = CACHE.lock();
    if cache.len() >= KEPT {
        cache.clear();
    }
    cache.insert(text, Arc::clone(&compiled));
    Ok(compiled)
}

fn leading_flags(pattern: &str) -> &str {
    let flags =
        pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')')).map_or("", |(flags, _)| flags);
    if flags.chars().all(|c| c.is_ascii_lowercase()) { flags } else { "" }
}

/// Python's syntax in that of `fancy-regex`, where they differ.
fn translate(pattern: &str, multiline: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.char_indices().peekable();
    let mut in_class = false;
    let mut class_start = false;
    while let Some((at, c)) = chars.next() {
        let first_in_class = std::mem::take(&mut class_start);
        match c {
            '\\' => {
                let Some((_, escaped)) = chars.next() else {
                    out.push_str("\\\\");
                    break;
                };
                match escaped {
                    'Z' => out.push_str("\\z"),
                    'u' | 'U' => {
                        let width = if escaped == 'u' { 4 } else { 8 };
                        let digits: String = chars.by_ref().take(width).map(|(_, c)| c).collect();
                        out.push_str(&format!("\\x{{{digits}}}"));
                    }
                    '<' | '>' | '_' | ' ' | '\'' | '"' | '/' | ',' | ':' | ';' | '=' | '!' | '@' | '%'
                    | '`' => {
                        out.push(escaped);
                    }
                    other => {
                        out.push('\\');
                        out.push(other);
                    }
                }
            }
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                class_start = true;
                out.push('[');
                if chars.next_if(|(_, c)| *c == '^').is_some() {
                    out.push('^');
                }
            }
            ']' if in_class && first_in_class => out.push_str("\\]"),
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && pattern[at + 1..].starts_with('-') => out.push_str("\\-"),
            '$' if !in_class && !multiline => out.push_str("(?=\\n?\\z)"),
            '{' if !in_class && !is_quantifier(&pattern[at..]) => out.push_str("\\{"),
            '(' if !in_class && pattern[at..].starts_with("(?#") => {
                for (_, c) in chars.by_ref() {
                    if c == ')' {
                        break;
                    }
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// `{2}`, `{2,}`, `{,3}`, `{2,3}`: otherwise Python takes the brace as it is.
fn is_quantifier(text: &str) -> bool {
    let Some((inner, _)) = text[1..].split_once('}') else { return false };
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    digits(low) && digits(high) && !inner.is_empty() && inner != ","
}

fn failed(error: fancy_regex::Error) -> Error {
    Error::new(format!("the regular expression could not be matched: {error}"))
}

pub(crate) fn is_match(regex: &Regex, text: &str) -> Result<bool, Error> {
    regex.is_match(text).map_err(failed)
}

pub(crate) fn captures<'t>(regex: &Regex, text: &'t str) -> Result<Option<Captures<'t, str>>, Error> {
    regex.captures(text).map_err(failed)
}

/// All matches, one after the other, as Python finds them: also an empty one right after another match.
pub(crate) fn all<'t>(regex: &Regex, text: &'t str, most: usize) -> Result<Vec<Captures<'t, str>>, Error> {
    let mut found = Vec::new();
    let mut from = 0;
    while from <= text.len() && found.len() < most {
        let Some(captures) = regex.captures_from_pos(text, from).map_err(failed)? else { break };
        let (start, end) = captures.get(0).map_or((from, from), |whole| (whole.start(), whole.end()));
        from = if start == end { end + text[end..].chars().next().map_or(1, char::len_utf8) } else { end };
        found.push(captures);
    }
    Ok(found)
}

/// `re.sub`; gives how many replacements were made too.
pub(crate) fn replace(
    regex: &Regex,
    text: &str,
    template: &str,
    most: usize,
) -> Result<(String, usize), Error> {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let matches = all(regex, text, most)?;
    for captures in &matches {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[done..whole.start()]);
        expand(template, captures, &mut out)?;
        done = whole.end();
    }
    out.push_str(&text[done..]);
    Ok((out, matches.len()))
}

/// A replacement: `\1`, `\g<1>`, `\g<name>`, `\n` …
fn expand(template: &str, captures: &Captures<'_, str>, out: &mut String) -> Result<(), Error> {
    let mut rest = template;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else { return Err(Error::new("bad escape (end of pattern)")) };
        let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if c == 'g' {
            let name = rest[1..].strip_prefix('<').and_then(|tail| tail.split_once('>'));
            let (name, tail) = name.ok_or_else(|| Error::new("missing group name"))?;
            out.push_str(group(captures, name)?);
            rest = tail;
        } else if c == '0' {
            out.push('\0');
            rest = &rest[1..];
        } else if digits > 0 {
            out.push_str(group(captures, &rest[..digits])?);
            rest = &rest[digits..];
        } else {
            match c {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'a' => out.push('\x07'),
                'f' => out.push('\x0c'),
                'v' => out.push('\x0b'),
                '\\' => out.push('\\'),
                c if c.is_ascii_alphabetic() => return Err(Error::new(format!("bad escape \\{c}"))),
                c => {
                    out.push('\\');
                    out.push(c);
                }
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    out.push_str(rest);
    Ok(())
}

pub(crate) fn group<'c>(captures: &'c Captures<'_, str>, name: &str) -> Result<&'c str, Error> {
    let found = match name.parse::<usize>() {
        Ok(number) if number < captures.len() => captures.get(number),
        Ok(number) => return Err(Error::new(format!("invalid group reference {number}"))),
        Err(_) => captures.name(name),
    };
    Ok(found.map_or("", |found| found.as_str()))
}
