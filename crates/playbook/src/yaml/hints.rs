//! What the parser's complaint most probably means, and what to do about it.

use std::path::Path;
use std::sync::Arc;

use expressions::Origin;
use libyaml_safer::{Error, ErrorKind, Mark};

use crate::diagnostic::Diagnostic;

/// The parser's error as a diagnostic, at the most telling place, with a hint if the mistake is a common one.
pub(super) fn explain(error: &Error, text: &str, path: &Arc<Path>) -> Diagnostic {
    let place = |line: usize, column: usize| {
        let number = |at: usize| u32::try_from(at + 1).unwrap_or(u32::MAX);
        Origin::new(Arc::clone(path), number(line), number(column))
    };
    if error.kind() == ErrorKind::Reader {
        let (line, column) = unreadable(text);
        return Diagnostic::new("a character here is not allowed in YAML")
            .at(&place(line, column))
            .hint("write control characters as an escape in double quotes, such as \"\\x1b\"");
    }
    let mark = error.problem_mark().unwrap_or_default();
    let (line, column) = clamp(text, mark);
    let mut diagnostic = Diagnostic::new(format!("YAML parsing failed: {}", problem(error)));
    let lines: Vec<&str> = text.lines().collect();
    let context = error.context_mark().map(|mark| clamp(text, mark));
    // The culprit is often earlier than the place where the parser gave up.
    let suspects = [Some(line), context.map(|(line, _)| line), previous(&lines, line)];
    let found = suspects.into_iter().flatten().find_map(|at| Some((at, hint(error, lines.get(at)?)?)));
    match found {
        Some((at, (column_there, hint))) => {
            diagnostic = diagnostic.at(&place(at, column_there.unwrap_or(column))).hint(hint);
        }
        None => {
            diagnostic = diagnostic.at(&place(line, column));
            if error.problem().contains("',' or") {
                diagnostic.hint =
                    Some("the bracket that was opened is not closed, or a comma is missing".into());
            } else if error.problem().contains("did not find expected") {
                diagnostic.hint =
                    Some("compare the indentation of this line with the lines before it: items that belong together start in the same column".into());
            }
        }
    }
    if let Some((line, column)) = context.filter(|(at, _)| *at != line) {
        diagnostic = diagnostic.related("it began here", &place(line, column));
    }
    diagnostic
}

fn problem(error: &Error) -> String {
    let mut problem = error.problem().to_owned();
    if let Some(first) = problem.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    match error.context() {
        Some(context) => format!("{problem}, {context}"),
        None => problem,
    }
}

/// The end of the text has no line of its own to show: point behind the last one.
fn clamp(text: &str, mark: Mark) -> (usize, usize) {
    let line = usize::try_from(mark.line).unwrap_or(usize::MAX);
    let count = text.lines().count();
    let written = text.trim_end().lines().count().max(1);
    if line < count && line < written {
        return (line, usize::try_from(mark.column).unwrap_or(usize::MAX));
    }
    (written - 1, text.lines().nth(written - 1).unwrap_or_default().trim_end().chars().count())
}

fn previous(lines: &[&str], line: usize) -> Option<usize> {
    (0..line.min(lines.len())).rev().find(|at| {
        let content = lines[*at].trim();
        !content.is_empty() && !content.starts_with('#')
    })
}

/// A hint for this line, and the column (from 0) it speaks of.
fn hint(error: &Error, line: &str) -> Option<(Option<usize>, String)> {
    let indent = line.len() - line.trim_start().len();
    if let Some(at) = line[..indent].find('\t') {
        return Some((Some(at), "indent with spaces: YAML does not allow tabs there".into()));
    }
    let content = line.trim();
    let (key, value) = split_value(content);
    let column = |part: &str| Some(indent_columns(line, indent) + offset(content, part));
    if let Some(value) = value {
        if value.starts_with("{{") {
            return Some((
                column(value),
                format!("a value that begins with `{{{{` must be quoted: \"{}\"", value.replace('"', "'")),
            ));
        }
        if let Some(hint) = quote_hint(value) {
            return Some((column(value), hint));
        }
        if let Some(first) = value.chars().next().filter(|first| matches!(first, '@' | '`' | '%')) {
            return Some((column(value), format!("text that begins with `{first}` must be quoted")));
        }
        if error.problem().contains("mapping values are not allowed")
            && !value.starts_with(['"', '\''])
            && has_colon(value)
        {
            return Some((
                None,
                format!(
                    "a `: ` inside a value needs quotes: {}: \"{}\"",
                    key.unwrap_or_default(),
                    value.replace('"', "'")
                ),
            ));
        }
    }
    if error.problem().contains("':'")
        || error.problem().contains("mapping values are not allowed")
        || error.problem().contains("did not find expected")
    {
        return missing_space(content).map(|(at, hint)| (Some(indent_columns(line, indent) + at), hint));
    }
    None
}

fn indent_columns(line: &str, indent: usize) -> usize {
    line[..indent].chars().count()
}

/// Characters before `part`, which is a slice of `whole`'s end.
fn offset(whole: &str, part: &str) -> usize {
    whole.chars().count().saturating_sub(part.chars().count())
}

/// `key: value` or `- value` apart; list dashes are skipped.
fn split_value(content: &str) -> (Option<&str>, Option<&str>) {
    let mut rest = content;
    let mut dashed = false;
    while let Some(inner) = rest.strip_prefix("- ") {
        rest = inner.trim_start();
        dashed = true;
    }
    if !rest.starts_with(['"', '\'', '{', '['])
        && let Some((key, value)) = rest.split_once(": ")
    {
        return (Some(key.trim()), Some(value.trim_start()).filter(|value| !value.is_empty()));
    }
    (None, (dashed || rest.starts_with("{{")).then_some(rest))
}

fn has_colon(value: &str) -> bool {
    value.contains(": ") || value.ends_with(':')
}

/// `"a" b` and `"a`.
fn quote_hint(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut rest = value[1..].char_indices();
    let end = loop {
        match rest.next() {
            None => return Some(format!("the quote {quote} at the beginning of this value is never closed")),
            Some((_, '\\')) if quote == '"' => {
                rest.next();
            }
            Some((at, c)) if c == quote => {
                if quote == '\'' && value[1 + at + 1..].starts_with('\'') {
                    rest.next();
                } else {
                    break at + 1;
                }
            }
            Some(_) => {}
        }
    };
    let after = value[end + 1..].trim_start();
    let fine = after.is_empty() || after.starts_with(['#', ',', ']', '}', ':']);
    (!fine).then(|| {
        let other = if quote == '"' { '\'' } else { '"' };
        format!("the value ends with its second {quote}, and more follows; put all of it into quotes: {other}{value}{other}")
    })
}

/// `key:value`, which is text without a blank after the colon.
fn missing_space(content: &str) -> Option<(usize, String)> {
    let at = content.find(':')?;
    let (key, value) = (&content[..at], &content[at + 1..]);
    let name = key.trim_start_matches("- ");
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let glued = value.starts_with(|c: char| !c.is_whitespace() && c != '/' && c != ':');
    (plain && glued)
        .then(|| (key.chars().count(), format!("a space is missing after the colon: `{name}: {value}`")))
}

/// The first character that YAML does not allow.
fn unreadable(text: &str) -> (usize, usize) {
    let odd = |c: char| {
        !matches!(c, '\t' | '\n' | '\r' | '\u{85}' | '\u{feff}')
            && (c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    for (number, line) in text.lines().enumerate() {
        if let Some(column) = line.chars().position(odd) {
            return (number, column);
        }
    }
    (0, 0)
}

/// What is said of a text that the parser gave up, having reached this line and column.
pub(super) fn given_up(text: &str, path: &Arc<Path>, reached: (u32, u32)) -> Diagnostic {
    let place = |(line, column)| Origin::new(Arc::clone(path), line, column);
    match tag_before_comma(text) {
        Some(at) => Diagnostic::new("YAML parsing failed: A comma directly behind a tag")
            .at(&place(at))
            .hint("a space belongs between a tag and a comma; text that begins with `!` must be quoted"),
        None => Diagnostic::new("from here on this is not YAML that can be read").at(&place(reached)),
    }
}

/// Line and column of something that looks like `!tag,`, which the parser may not survive.
fn tag_before_comma(text: &str) -> Option<(u32, u32)> {
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains('!')) {
        let chars: Vec<char> = line.chars().collect();
        for at in (0..chars.len()).filter(|at| chars[*at] == '!') {
            let starts = at == 0 || matches!(chars[at - 1], ' ' | '\t' | '[' | '{' | ']' | '}' | ',' | ':');
            let end = chars[at..].iter().find(|c| matches!(c, ' ' | '\t' | ','));
            if starts && end == Some(&',') {
                return Some((u32::try_from(number + 1).ok()?, u32::try_from(at + 1).ok()?));
            }
        }
    }
    None
}

/// `!!binary` whose bytes are text.
pub(super) fn base64_text(value: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for c in value.bytes().filter(|c| !c.is_ascii_whitespace() && *c != b'=') {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(digit)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}
