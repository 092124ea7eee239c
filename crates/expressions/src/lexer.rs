//! Text to tokens: Jinja's delimiters, whitespace control, raw blocks and comments.

use std::borrow::Cow;

use num_bigint::BigInt;

use crate::ast::Pos;
use crate::engine::Options;
use crate::error::Error;
use crate::value::Value;

#[derive(Clone, Debug)]
pub(crate) enum Tok<'a> {
    Data(String),
    BlockBegin,
    BlockEnd,
    VarBegin,
    VarEnd,
    Name(&'a str),
    Str(Cow<'a, str>),
    Number(Value),
    Op(&'static str),
    Eof,
}

#[derive(Clone, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) tok: Tok<'a>,
    pub(crate) pos: Pos,
}

/// A mistake in the text and its place.
pub(crate) struct SyntaxError {
    pub(crate) error: Error,
    pub(crate) pos: Pos,
}

pub(crate) type Lexed<T> = Result<T, SyntaxError>;

const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<",
    "=", ".", ":", "|", ",", ";",
];

pub(crate) struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// How far positions are counted, and the position there.
    counted: usize,
    here: Pos,
    /// Where each kind of tag begins next, and how long its beginning is.
    ahead: [Option<(usize, usize)>; 5],
    options: &'a Options,
    /// String literals inside `{{ }}` keep their backslashes (strings of playbooks).
    raw_strings: bool,
    tokens: Vec<Token<'a>>,
    /// The last end marker had a minus: the following text loses its leading whitespace.
    strip_next: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Block,
    Variable,
    Comment,
    LineStatement,
    LineComment,
}

const BEGINS: [Begin; 5] =
    [Begin::Block, Begin::Variable, Begin::Comment, Begin::LineStatement, Begin::LineComment];

/// The tokens of a template.
pub(crate) fn template<'a>(
    source: &'a str,
    options: &'a Options,
    raw_strings: bool,
) -> Lexed<Vec<Token<'a>>> {
    let mut lexer = Lexer::new(source, options, raw_strings);
    while lexer.at < source.len() {
        lexer.text()?;
    }
    lexer.push(Tok::Eof, source.len());
    Ok(lexer.tokens)
}

/// The tokens of an expression without delimiters.
pub(crate) fn expression<'a>(source: &'a str, options: &'a Options) -> Lexed<Vec<Token<'a>>> {
    let mut lexer = Lexer::new(source, options, false);
    let mut open = Vec::new();
    loop {
        lexer.skip_space();
        if lexer.at >= source.len() {
            break;
        }
        lexer.token(false, &mut open)?;
    }
    lexer.push(Tok::Eof, source.len());
    Ok(lexer.tokens)
}

impl<'a> Lexer<'a> {
    fn new(source: &'a str, options: &'a Options, raw_strings: bool) -> Self {
        let tokens = Vec::with_capacity(source.len() / 4 + 2);
        Self {
            source,
            at: 0,
            counted: 0,
            here: Pos { line: 1, column: 1 },
            ahead: [None; 5],
            options,
            raw_strings,
            tokens,
            strip_next: false,
        }
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Offsets come mostly in order, so only what lies between is counted.
    fn pos(&mut self, offset: usize) -> Pos {
        if offset < self.counted {
            (self.counted, self.here) = (0, Pos { line: 1, column: 1 });
        }
        for c in self.source[self.counted..offset].chars() {
            if c == '\n' {
                self.here = Pos { line: self.here.line.saturating_add(1), column: 1 };
            } else {
                self.here.column = self.here.column.saturating_add(1);
            }
        }
        self.counted = offset;
        self.here
    }

    fn push(&mut self, tok: Tok<'a>, offset: usize) {
        let pos = self.pos(offset);
        self.tokens.push(Token { tok, pos });
    }

    fn fail<T>(&mut self, message: impl Into<String>, offset: usize) -> Lexed<T> {
        Err(SyntaxError { error: Error::syntax(message), pos: self.pos(offset) })
    }

    /// Text up to the next tag, and that tag.
    fn text(&mut self) -> Lexed<()> {
        let start = self.at;
        let found = self.find_begin();
        let end = found.map_or(self.source.len(), |(offset, ..)| offset);
        let Some((offset, delimiter, begin)) = found else {
            self.at = end;
            self.data(&self.source[start..end], start, None);
            return Ok(());
        };
        let sign = self.source[offset + delimiter..].bytes().next().filter(|b| matches!(b, b'-' | b'+'));
        self.at = offset + delimiter + usize::from(sign.is_some());
        let mut text = &self.source[start..end];
        match sign {
            Some(b'-') => text = text.trim_end(),
            None if self.options.lstrip_blocks && begin != Begin::Variable => {
                text = strip_indent(text, start == 0 || self.source[..start].ends_with('\n'))
            }
            _ => {}
        }
        self.data(text, start, Some(begin));
        match begin {
            Begin::Comment => self.comment(offset),
            Begin::LineComment => {
                let rest = self.rest();
                self.at += rest.find(['\r', '\n']).unwrap_or(rest.len());
                Ok(())
            }
            Begin::Variable | Begin::LineStatement => self.inside(offset, begin),
            Begin::Block => match self.raw_begin() {
                Some(content) => self.raw(content, offset),
                None => self.inside(offset, Begin::Block),
            },
        }
    }

    fn data(&mut self, text: &str, offset: usize, _before: Option<Begin>) {
        let text = if std::mem::take(&mut self.strip_next) { text.trim_start() } else { text };
        if !text.is_empty() {
            let text = newlines(text, &self.options.newline_sequence);
            self.push(Tok::Data(text), offset);
        }
    }

    fn delimiter(&self, begin: Begin) -> &'a str {
        match begin {
            Begin::Block => &self.options.block_start,
            Begin::Variable => &self.options.variable_start,
            Begin::Comment => &self.options.comment_start,
            Begin::LineStatement => &self.options.line_statement,
            Begin::LineComment => &self.options.line_comment,
        }
    }

    /// The next tag: the first in the text, the longest delimiter where several fit.
    fn find_begin(&mut self) -> Option<(usize, usize, Begin)> {
        let mut best: Option<(usize, usize, Begin)> = None;
        for (slot, begin) in BEGINS.into_iter().enumerate() {
            // What lies ahead was found already: searching anew at each tag would read the text again and again.
            if self.ahead[slot].is_none_or(|(offset, _)| offset < self.at) {
                self.ahead[slot] = Some(self.next(begin).unwrap_or((usize::MAX, 0)));
            }
            let Some((offset, size)) = self.ahead[slot].filter(|(offset, _)| *offset != usize::MAX) else {
                continue;
            };
            if best.is_none_or(|(at, len, _)| offset < at || (offset == at && size > len)) {
                best = Some((offset, size, begin));
            }
        }
        best
    }

    /// Where one kind of tag begins next, and how long its beginning is: the blanks before it belong to one of a line.
    fn next(&self, begin: Begin) -> Option<(usize, usize)> {
        let delimiter = self.delimiter(begin);
        let blank = |c: char| c.is_whitespace() && !matches!(c, '\r' | '\n');
        match begin {
            Begin::LineStatement | Begin::LineComment if delimiter.is_empty() => None,
            Begin::LineStatement => {
                let mut line = self.at;
                loop {
                    let text = &self.source[line..];
                    let words = text.trim_start_matches([' ', '\t', '\x0b']);
                    if words.starts_with(delimiter) && (line == 0 || self.source[..line].ends_with('\n')) {
                        return Some((line, text.len() - words.len() + delimiter.len()));
                    }
                    line += text.find('\n')? + 1;
                }
            }
            Begin::LineComment => {
                let found = self.rest().find(delimiter)?;
                let start = self.rest()[..found].trim_end_matches(blank).len();
                Some((self.at + start, found - start + delimiter.len()))
            }
            _ => self.rest().find(delimiter).map(|offset| (self.at + offset, delimiter.len())),
        }
    }

    fn comment(&mut self, offset: usize) -> Lexed<()> {
        let end = self.options.comment_end.as_str();
        let Some(found) = self.rest().find(end) else {
            return self.fail("a comment is not closed", offset);
        };
        let sign = self.rest()[..found].bytes().last();
        self.at += found + end.len();
        self.after_end(sign, true);
        Ok(())
    }

    /// What an end marker does to the text after it.
    fn after_end(&mut self, sign: Option<u8>, trims: bool) {
        match sign {
            Some(b'-') => self.strip_next = true,
            Some(b'+') => {}
            _ if trims && self.options.trim_blocks => self.skip_newline(),
            _ => {}
        }
        if self.strip_next {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            self.strip_next = false;
        }
    }

    fn skip_newline(&mut self) {
        let rest = self.rest();
        self.at += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with(['\n', '\r'])) };
    }

    /// Is this `raw %}`? Gives where its content begins.
    fn raw_begin(&self) -> Option<usize> {
        let rest = self.rest().trim_start().strip_prefix("raw")?.trim_start();
        let (rest, strip) = match rest.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let rest = rest.strip_prefix(self.options.block_end.as_str())?;
        let rest = if strip { rest.trim_start() } else { rest };
        Some(self.source.len() - rest.len())
    }

    fn raw(&mut self, content: usize, offset: usize) -> Lexed<()> {
        let start = self.options.block_start.as_str();
        let mut from = content;
        while let Some(found) = self.source[from..].find(start) {
            let begin = from + found;
            let after = &self.source[begin + start.len()..];
            let sign = after.bytes().next().filter(|b| matches!(b, b'-' | b'+'));
            let after = &after[usize::from(sign.is_some())..];
            from = begin + start.len();
            let Some(tail) = after.trim_start().strip_prefix("endraw") else { continue };
            let tail = tail.trim_start();
            let end_sign = tail.bytes().next().filter(|b| matches!(b, b'-' | b'+'));
            let tail = &tail[usize::from(end_sign.is_some())..];
            let Some(tail) = tail.strip_prefix(self.options.block_end.as_str()) else { continue };
            let mut text = &self.source[content..begin];
            if sign == Some(b'-') {
                text = text.trim_end();
            } else if sign.is_none() && self.options.lstrip_blocks {
                text = strip_indent(text, self.source[..content].ends_with('\n'));
            }
            self.at = self.source.len() - tail.len();
            self.data(text, content, None);
            self.after_end(end_sign, true);
            return Ok(());
        }
        self.fail("a raw block is not closed by 'endraw'", offset)
    }

    /// The tokens of `{{ … }}` or `{% … %}`, after its begin.
    fn inside(&mut self, offset: usize, begin: Begin) -> Lexed<()> {
        let (first, last, end, raw) = match begin {
            Begin::Block => (Tok::BlockBegin, Tok::BlockEnd, self.options.block_end.as_str(), false),
            Begin::LineStatement => (Tok::BlockBegin, Tok::BlockEnd, "the end of its line", false),
            _ => (Tok::VarBegin, Tok::VarEnd, self.options.variable_end.as_str(), self.raw_strings),
        };
        self.push(first, offset);
        let mut open: Vec<&'static str> = Vec::new();
        loop {
            if begin == Begin::LineStatement
                && open.is_empty()
                && let Some(len) = self.line_end()
            {
                let at = self.at;
                self.push(last, at);
                self.at += len;
                return Ok(());
            }
            self.skip_space();
            if self.at >= self.source.len() {
                let name = if begin == Begin::Block { "a statement" } else { "an expression" };
                return self
                    .fail(format!("unexpected end of template: {name} is not closed by '{end}'"), offset);
            }
            if open.is_empty()
                && begin != Begin::LineStatement
                && let Some((sign, len)) = self.end_marker(end, begin)
            {
                let at = self.at;
                self.push(last, at);
                self.at += len;
                self.after_end(sign, begin == Begin::Block);
                return Ok(());
            }
            self.token(raw, &mut open)?;
        }
    }

    /// The end of a line, with the empty ones behind it.
    fn line_end(&self) -> Option<usize> {
        let rest = self.rest();
        let space = rest.len() - rest.trim_start().len();
        if space == rest.len() { Some(space) } else { rest[..space].rfind('\n').map(|end| end + 1) }
    }

    fn end_marker(&self, end: &str, begin: Begin) -> Option<(Option<u8>, usize)> {
        let rest = self.rest();
        if rest.starts_with(end) {
            return Some((None, end.len()));
        }
        let sign = rest.bytes().next().filter(|b| *b == b'-' || (*b == b'+' && begin == Begin::Block))?;
        rest[1..].starts_with(end).then_some((Some(sign), end.len() + 1))
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn token(&mut self, raw: bool, open: &mut Vec<&'static str>) -> Lexed<()> {
        let start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(()) };
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '_' || first.is_alphabetic() {
            let len = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            self.at += len;
            self.push(Tok::Name(&rest[..len]), start);
            return Ok(());
        }
        if first == '\'' || first == '"' {
            return self.string(first, raw);
        }
        let Some(op) = OPERATORS.iter().find(|op| rest.starts_with(**op)).copied() else {
            return self.fail(format!("unexpected char {first:?}"), start);
        };
        match op {
            "(" | "[" | "{" => open.push(match op {
                "(" => ")",
                "[" => "]",
                _ => "}",
            }),
            ")" | "]" | "}" => match open.pop() {
                Some(expected) if expected == op => {}
                Some(expected) => {
                    return self.fail(format!("unexpected '{op}', expected '{expected}'"), start);
                }
                None => return self.fail(format!("unexpected '{op}'"), start),
            },
            _ => {}
        }
        self.at += op.len();
        self.push(Tok::Op(op), start);
        Ok(())
    }

    fn string(&mut self, quote: char, raw: bool) -> Lexed<()> {
        let start = self.at;
        let body = &self.rest()[1..];
        let mut escaped = false;
        let mut plain = true;
        for (index, c) in body.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => {
                    escaped = true;
                    plain = false;
                }
                c if c == quote => {
                    let content = &body[..index];
                    let text =
                        if plain || raw { Cow::Borrowed(content) } else { Cow::Owned(unescape(content)) };
                    self.push(Tok::Str(text), start);
                    self.at = start + index + 2;
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fail("a string is not closed", start)
    }

    fn number(&mut self) -> Lexed<()> {
        let start = self.at;
        let rest = self.rest();
        let after_dot = self.source[..start].ends_with('.');
        let (len, number) = scan_number(rest, after_dot);
        let Some(number) = number else {
            return self.fail(format!("'{}' is not a number", &rest[..len]), start);
        };
        self.at += len;
        self.push(Tok::Number(number), start);
        Ok(())
    }
}

fn scan_number(text: &str, after_dot: bool) -> (usize, Option<Value>) {
    let bytes = text.as_bytes();
    let radix = match (bytes.first(), bytes.get(1).map(u8::to_ascii_lowercase)) {
        (Some(b'0'), Some(b'x')) => 16,
        (Some(b'0'), Some(b'o')) => 8,
        (Some(b'0'), Some(b'b')) => 2,
        _ => 10,
    };
    if radix != 10 {
        let digits = text[2..].find(|c: char| !c.is_digit(radix) && c != '_').unwrap_or(text.len() - 2);
        return (2 + digits, parse_integer(&text[2..2 + digits], radix));
    }
    let digits = |from: usize| {
        let tail = &bytes[from.min(bytes.len())..];
        tail.iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count()
    };
    let whole = digits(0);
    let mut len = whole;
    if !after_dot {
        if bytes.get(len) == Some(&b'.') && bytes.get(len + 1).is_some_and(u8::is_ascii_digit) {
            len += 1 + digits(len + 1);
        }
        if matches!(bytes.get(len), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
            let exponent = digits(len + 1 + sign);
            if exponent > 0 {
                len += 1 + sign + exponent;
            }
        }
    }
    if len == whole {
        return (len, parse_integer(&text[..len], 10));
    }
    (len, text[..len].replace('_', "").parse().ok().map(Value::Float))
}

fn parse_integer(digits: &str, radix: u32) -> Option<Value> {
    let digits = digits.replace('_', "");
    match i64::from_str_radix(&digits, radix) {
        Ok(number) => Some(Value::Int(number)),
        // More digits than any machine's counter, but not more than a page of them.
        Err(_) if digits.len() < 5000 => BigInt::parse_bytes(digits.as_bytes(), radix).map(Value::big),
        Err(_) => None,
    }
}

/// `lstrip_blocks`: the spaces before a tag, if nothing else stands before it in its line.
fn strip_indent(text: &str, at_line_start: bool) -> &str {
    let line = text.rfind('\n').map(|offset| offset + 1);
    if line.is_none() && !at_line_start {
        return text;
    }
    let line = line.unwrap_or(0);
    if text[line..].chars().all(char::is_whitespace) { &text[..line] } else { text }
}

fn newlines(text: &str, sequence: &str) -> String {
    if sequence == "\n" && !text.contains('\r') {
        return text.to_owned();
    }
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    if sequence == "\n" { unix } else { unix.replace('\n', sequence) }
}

/// Python's escapes in a string literal.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(offset) = rest.find('\\') {
        out.push_str(&rest[..offset]);
        let tail = &rest[offset + 1..];
        let Some(escape) = tail.chars().next() else {
            out.push('\\');
            rest = "";
            break;
        };
        let mut used = escape.len_utf8();
        match escape {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(escape),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            'x' => used += coded(&tail[1..], 2, 16, &mut out, "\\x"),
            'u' => used += coded(&tail[1..], 4, 16, &mut out, "\\u"),
            'U' => used += coded(&tail[1..], 8, 16, &mut out, "\\U"),
            '0'..='7' => {
                let len = tail.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let code = u32::from_str_radix(&tail[..len], 8).unwrap_or(0);
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                used = len;
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
        rest = &tail[used..];
    }
    out.push_str(rest);
    out
}

/// A character by its number; gives how many digits were used.
fn coded(digits: &str, count: usize, radix: u32, out: &mut String, prefix: &str) -> usize {
    let code = digits.get(..count).and_then(|digits| u32::from_str_radix(digits, radix).ok());
    let Some(c) = code.and_then(char::from_u32) else {
        out.push_str(prefix);
        return 0;
    };
    out.push(c);
    count
}
