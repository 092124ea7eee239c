//! Arguments in one line: `key=value` pairs with quotes and templates, free-form commands, shell-like words.

use crate::diagnostic::{Diagnostic, Result};

/// What `key=value` text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValues {
    /// In the order in which they are written; of equal keys the last counts.
    pub pairs: Vec<(String, String)>,
    /// What is no pair, as it is written: the command of a free-form module.
    pub raw: Option<String>,
}

impl KeyValues {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// The only pairs that are arguments of a free-form module; everything else belongs to its command.
const FREE_FORM: [&str; 8] =
    ["creates", "removes", "chdir", "executable", "warn", "stdin", "stdin_add_newline", "strip_empty_ends"];

/// `name=nginx state=present`.
pub fn parse(text: &str) -> Result<KeyValues> {
    collect(text, false)
}

/// `make install chdir=/src`: for modules that take a command (command, shell, script, raw, …).
pub fn parse_free_form(text: &str) -> Result<KeyValues> {
    collect(text, true)
}

fn collect(text: &str, free_form: bool) -> Result<KeyValues> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut raw: Vec<String> = Vec::new();
    for word in split(text)? {
        let decoded = unescape(&word);
        match separator(&decoded) {
            Some(at) if !free_form || FREE_FORM.contains(&decoded[..at].trim()) => {
                let key = decoded[..at].trim();
                let value = unquote(decoded[at + 1..].trim()).to_owned();
                pairs.retain(|(name, _)| name != key);
                pairs.push((key.to_owned(), value));
            }
            None if decoded.contains('=') => raw.push(decoded.replace("\\=", "=")),
            _ => raw.push(word),
        }
    }
    let raw = (!raw.is_empty()).then(|| join(&raw));
    Ok(KeyValues { pairs, raw })
}

/// The first equals sign that is neither escaped nor the first character.
fn separator(word: &str) -> Option<usize> {
    let bytes = word.as_bytes();
    (1..bytes.len()).find(|at| bytes[*at] == b'=' && bytes[*at - 1] != b'\\')
}

/// Words back to text: they carry all blanks but the one that separates.
fn join(words: &[String]) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// Text into words at blanks and line ends; quotes and templates hold words together and stay in them.
/// Surplus blanks and line ends stay at the end of the word before them, so that commands are kept as written.
pub fn split(text: &str) -> Result<Vec<String>> {
    let mut state = State::default();
    let mut words: Vec<String> = Vec::new();
    let mut continued = true;
    for line in text.split('\n') {
        if !continued {
            append(&mut words, "\n");
        }
        continued = false;
        for (index, piece) in line.split(' ').enumerate() {
            if piece == "\\" && state.quote.is_none() {
                continued = true;
                continue;
            }
            let inside = state.inside();
            state.read(piece);
            if inside {
                append(&mut words, if index > 0 { " " } else { "" });
                append(&mut words, piece);
            } else if !piece.is_empty() {
                words.push(piece.to_owned());
            } else if index > 0 {
                append(&mut words, " ");
            }
        }
    }
    if text.is_empty() {
        words.clear();
    }
    if state.inside() {
        return Err(Diagnostic::new(format!("a quote or a template is not closed in these arguments: {text}"))
            .hint("a single quote inside text needs a backslash or other quotes around it; better write the arguments as a mapping"));
    }
    Ok(words)
}

/// To the last word, or as the first.
fn append(words: &mut Vec<String>, text: &str) {
    match words.last_mut() {
        Some(word) => word.push_str(text),
        None if text.is_empty() => {}
        None => words.push(text.to_owned()),
    }
}

/// What is open: a quote, `{{`, `{%`, `{#`.
#[derive(Default)]
struct State {
    quote: Option<char>,
    open: [usize; 3],
}

impl State {
    fn inside(&self) -> bool {
        self.quote.is_some() || self.open.iter().any(|depth| *depth > 0)
    }
    fn read(&mut self, piece: &str) {
        let mut before = None;
        for c in piece.chars() {
            if matches!(c, '"' | '\'') && before != Some('\\') {
                match self.quote {
                    None => self.quote = Some(c),
                    Some(quote) if quote == c => self.quote = None,
                    Some(_) => {}
                }
            }
            before = Some(c);
        }
        for (depth, (open, close)) in self.open.iter_mut().zip([("{{", "}}"), ("{%", "%}"), ("{#", "#}")]) {
            *depth = (*depth + piece.matches(open).count()).saturating_sub(piece.matches(close).count());
        }
    }
}

/// The escapes of Python's strings, as far as they are recognised in arguments.
fn unescape(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (meaning, length) = match tail.chars().next() {
            Some(c @ ('\\' | '\'' | '"')) => (Some(c), 1),
            Some('a') => (Some('\x07'), 1),
            Some('b') => (Some('\x08'), 1),
            Some('f') => (Some('\x0c'), 1),
            Some('n') => (Some('\n'), 1),
            Some('r') => (Some('\r'), 1),
            Some('t') => (Some('\t'), 1),
            Some('v') => (Some('\x0b'), 1),
            Some('x') => (code(&tail[1..], 2), 3),
            Some('u') => (code(&tail[1..], 4), 5),
            Some('U') => (code(&tail[1..], 8), 9),
            _ => (None, 0),
        };
        match meaning {
            Some(c) => {
                text.push(c);
                rest = &tail[length..];
            }
            None => {
                text.push('\\');
                rest = tail;
            }
        }
    }
    text + rest
}

fn code(text: &str, digits: usize) -> Option<char> {
    let digits = text.get(..digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

/// Without the quotes around all of it.
pub fn unquote(text: &str) -> &str {
    let bytes = text.as_bytes();
    match bytes {
        [first @ (b'"' | b'\''), .., before, last] if first == last && *before != b'\\' => {
            &text[1..text.len() - 1]
        }
        [b'"', b'"'] | [b'\'', b'\''] => "",
        _ => text,
    }
}

/// Words as a POSIX shell splits them, quotes and backslashes removed. `comments`: a `#` ends the text.
pub fn shell_split(text: &str, comments: bool) -> std::result::Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if comments => {
                words.extend(word.take());
                chars.by_ref().find(|c| *c == '\n');
            }
            '\\' => word
                .get_or_insert_default()
                .push(chars.next().ok_or("a backslash at the end escapes nothing")?),
            '\'' | '"' => quoted(c, &mut chars, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(
    quote: char,
    chars: &mut std::str::Chars<'_>,
    word: &mut String,
) -> std::result::Result<(), &'static str> {
    const OPEN: &str = "a quote is not closed";
    loop {
        match chars.next().ok_or(OPEN)? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let escaped = chars.next().ok_or(OPEN)?;
                if !matches!(escaped, '"' | '\\') {
                    word.push('\\');
                }
                word.push(escaped);
            }
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
