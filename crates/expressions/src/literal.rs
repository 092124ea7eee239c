//! Python literals, as `ast.literal_eval` reads them: numbers, strings, lists, tuples, dicts, sets, names.

use std::sync::Arc;

use num_bigint::BigInt;

use crate::{Origin, Str, Value};

const MAX_DEPTH: usize = 100;

/// `None`: the text is not a literal. Strings in it were written where the text was.
pub fn parse(text: &str, origin: &Arc<Origin>) -> Option<Value> {
    Parser::new(text, Some(origin)).whole()
}

/// The same of text that is data. JSON's words for true, false and nothing are understood, too.
pub(crate) fn parse_data(text: &str) -> Option<Value> {
    Parser::new(text, None).whole()
}

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    origin: Option<&'a Arc<Origin>>,
}

impl<'a> Parser<'a> {
    fn new(text: &str, origin: Option<&'a Arc<Origin>>) -> Self {
        Self { chars: text.trim_start_matches([' ', '\t']).chars().collect(), at: 0, depth: 0, origin }
    }
}

impl Parser<'_> {
    fn whole(mut self) -> Option<Value> {
        let value = self.sequence_or_value()?;
        self.blanks();
        (self.at == self.chars.len()).then_some(value)
    }
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }
    fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }
    /// Blanks and a comment; newlines only inside brackets.
    fn blanks(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\u{c}' => self.at += 1,
                '\n' | '\r' if self.depth > 0 => self.at += 1,
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }
    fn text(&self, text: String) -> Value {
        Value::Str(match self.origin {
            Some(origin) => Str::trusted(text, Arc::clone(origin)),
            None => Str::new(text),
        })
    }

    /// `1, 2` without parentheses is a tuple.
    fn sequence_or_value(&mut self) -> Option<Value> {
        let first = self.value()?;
        self.blanks();
        if !self.eat(',') {
            return Some(first);
        }
        let mut items = vec![first];
        loop {
            self.blanks();
            if self.peek().is_none() {
                return Some(Value::list(items));
            }
            items.push(self.value()?);
            self.blanks();
            if !self.eat(',') {
                return Some(Value::list(items));
            }
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.blanks();
        match self.peek()? {
            open @ ('[' | '(' | '{') => {
                self.at += 1;
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return None;
                }
                let value = match open {
                    '[' => Value::list(self.items(']')?.0),
                    '(' => self.parenthesis()?,
                    _ => self.braces()?,
                };
                self.depth -= 1;
                Some(value)
            }
            '"' | '\'' => self.strings(),
            '.' if self.chars[self.at..].starts_with(&['.', '.', '.']) => {
                self.at += 3;
                Some(self.text("...".to_owned()))
            }
            '0'..='9' | '.' | '+' | '-' => self.number(),
            c if c.is_alphabetic() || c == '_' => self.word(),
            _ => None,
        }
    }

    /// The items up to the bracket, and whether there was a comma.
    fn items(&mut self, close: char) -> Option<(Vec<Value>, bool)> {
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            self.blanks();
            if self.eat(close) {
                return Some((items, comma));
            }
            if !items.is_empty() && !comma_between(&mut comma, self.eat(',')) {
                return None;
            }
            self.blanks();
            if self.eat(close) {
                return Some((items, comma));
            }
            items.push(self.value()?);
        }
    }

    fn parenthesis(&mut self) -> Option<Value> {
        let (mut items, comma) = self.items(')')?;
        if items.len() == 1 && !comma {
            return items.pop();
        }
        Some(Value::list(items))
    }

    fn braces(&mut self) -> Option<Value> {
        self.blanks();
        if self.eat('}') {
            return Some(Value::dict(Vec::<(Value, Value)>::new()));
        }
        let first = self.value()?;
        self.blanks();
        if !self.eat(':') {
            // A set; variables hold none, so it is a list.
            let mut items = vec![first];
            if self.eat(',') {
                items.extend(self.items('}')?.0);
            } else if !self.eat('}') {
                return None;
            }
            return Some(Value::list(items));
        }
        let mut entries = vec![(first, self.value()?)];
        loop {
            self.blanks();
            if self.eat('}') {
                return entries.iter().all(|(key, _)| hashable(key)).then(|| Value::dict(entries));
            }
            if !self.eat(',') {
                return None;
            }
            self.blanks();
            if self.peek() == Some('}') {
                continue;
            }
            let key = self.value()?;
            self.blanks();
            if !self.eat(':') {
                return None;
            }
            entries.push((key, self.value()?));
        }
    }

    /// Adjacent strings are one.
    fn strings(&mut self) -> Option<Value> {
        let mut text = String::new();
        while matches!(self.peek(), Some('"' | '\'')) {
            text.push_str(&self.string(false)?);
            self.blanks();
        }
        Some(self.text(text))
    }

    fn string(&mut self, raw: bool) -> Option<String> {
        let quote = self.peek()?;
        self.at += 1;
        let triple = self.chars.get(self.at..self.at + 2) == Some(&[quote, quote]);
        self.at += if triple { 2 } else { 0 };
        let mut text = String::new();
        loop {
            let c = self.peek()?;
            self.at += 1;
            match c {
                '\\' if raw => {
                    text.push('\\');
                    text.push(self.peek()?);
                    self.at += 1;
                }
                '\\' => self.escape(&mut text)?,
                '\n' if !triple => return None,
                c if c == quote && !triple => return Some(text),
                c if c == quote && self.chars.get(self.at..self.at + 2) == Some(&[quote, quote]) => {
                    self.at += 2;
                    return Some(text);
                }
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        let c = self.peek()?;
        self.at += 1;
        match c {
            '\n' => {}
            '\\' | '\'' | '"' => text.push(c),
            'a' => text.push('\x07'),
            'b' => text.push('\x08'),
            'f' => text.push('\x0c'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\x0b'),
            'x' => text.push(self.code(2, 2, 16)?),
            'u' => text.push(self.code(4, 4, 16)?),
            'U' => text.push(self.code(8, 8, 16)?),
            '0'..='7' => {
                self.at -= 1;
                text.push(self.code(1, 3, 8)?);
            }
            other => text.extend(['\\', other]),
        }
        Some(())
    }

    fn code(&mut self, least: usize, most: usize, radix: u32) -> Option<char> {
        let rest = &self.chars[self.at..];
        let digits: String = rest.iter().take(most).take_while(|c| c.is_digit(radix)).collect();
        self.at += digits.len();
        (digits.len() >= least).then(|| char::from_u32(u32::from_str_radix(&digits, radix).ok()?))?
    }

    fn word(&mut self) -> Option<Value> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        if matches!(self.peek(), Some('"' | '\'')) {
            return match word.to_ascii_lowercase().as_str() {
                "r" => self.string(true).map(|text| self.text(text)),
                "u" => self.strings(),
                // Bytes: data, never a template.
                "b" => self.string(false).map(|text| Value::Str(Str::new(text))),
                "br" | "rb" => self.string(true).map(|text| Value::Str(Str::new(text))),
                _ => None,
            };
        }
        match word.as_str() {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "None" => Some(Value::None),
            "true" if self.origin.is_none() => Some(Value::Bool(true)),
            "false" if self.origin.is_none() => Some(Value::Bool(false)),
            "null" if self.origin.is_none() => Some(Value::None),
            // The only call that a literal may hold.
            "set" if self.eat('(') && self.eat(')') => Some(Value::list(Vec::new())),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value> {
        let mut negative = false;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            negative ^= sign == '-';
            self.at += 1;
            self.blanks();
        }
        let start = self.at;
        while let Some(c) = self.peek() {
            let exponent = self.at > start
                && matches!(c, '+' | '-')
                && matches!(self.chars[self.at - 1], 'e' | 'E')
                && !matches!(self.chars.get(start + 1), Some('x' | 'X'));
            if !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || exponent) {
                break;
            }
            self.at += 1;
        }
        let token: String = self.chars[start..self.at].iter().collect();
        if let Some(imaginary) = token.strip_suffix(['j', 'J']) {
            // Variables hold no complex numbers: their text stays.
            number_value(imaginary, negative)?;
            return Some(self.text(format!("{}{imaginary}j", if negative { "-" } else { "" })));
        }
        number_value(&token, negative)
    }
}

fn comma_between(seen: &mut bool, found: bool) -> bool {
    *seen |= found;
    found
}

fn hashable(key: &Value) -> bool {
    !matches!(key, Value::List(_) | Value::Dict(_))
}

fn number_value(token: &str, negative: bool) -> Option<Value> {
    let lower = token.to_ascii_lowercase();
    let underscores_fine = !lower.starts_with('_')
        && !lower.ends_with('_')
        && !lower.contains("__")
        && !lower.contains("_.")
        && !lower.contains("._");
    if !underscores_fine || lower.is_empty() {
        return None;
    }
    let plain = lower.replace('_', "");
    let integer = |digits: &str, radix| {
        let digits_fine = digits.chars().all(|c| c.is_digit(radix));
        let value = BigInt::parse_bytes(digits.as_bytes(), radix).filter(|_| digits_fine)?;
        let value = if negative { -value } else { value };
        Some(i64::try_from(&value).map_or_else(|_| Value::Big(Arc::new(value)), Value::Int))
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = plain.strip_prefix(prefix) {
            return integer(digits, radix);
        }
    }
    if plain.bytes().all(|byte| byte.is_ascii_digit()) {
        // A leading zero is a mistake in Python, unless all is zero: `007` stays text.
        let leading = plain.len() > 1 && plain.starts_with('0') && plain.bytes().any(|byte| byte != b'0');
        return if leading { None } else { integer(&plain, 10) };
    }
    let shaped = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && plain.chars().any(|c| c.is_ascii_digit())
        && plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-'));
    let value: f64 = plain.parse().ok().filter(|_| shaped)?;
    Some(Value::Float(if negative { -value } else { value }))
}
