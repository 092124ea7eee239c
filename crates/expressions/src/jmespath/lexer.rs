//! The words of a query.

use super::Comparator;
use crate::error::Error;
use crate::value::Value;

#[derive(Clone, Debug)]
pub(super) enum Token {
    Name(String),
    Quoted(String),
    Literal(Value),
    Number(i64),
    Compare(Comparator),
    /// `[?`
    FilterStart,
    /// `[]`
    Flatten,
    Or,
    And,
    /// One of `.*]),:@&(){}[|!`
    Sign(char),
    End,
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut rest = text;
    let mut all = Vec::new();
    while let Some(c) = rest.chars().next() {
        let (token, len) = match c {
            ' ' | '\t' | '\r' | '\n' => {
                rest = &rest[1..];
                continue;
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                (Token::Name(rest[..len].to_owned()), len)
            }
            '0'..='9' | '-' => number(rest)?,
            '"' => {
                let (inner, len) = quoted(rest, '"')?;
                let json: serde_json::Value = serde_json::from_str(&format!("\"{inner}\""))
                    .map_err(|error| Error::new(format!("bad quoted name: {error}")))?;
                (Token::Quoted(json.as_str().unwrap_or_default().to_owned()), len)
            }
            '\'' => {
                let (inner, len) = quoted(rest, '\'')?;
                (Token::Literal(Value::from(inner.replace("\\'", "'"))), len)
            }
            '`' => {
                let (inner, len) = quoted(rest, '`')?;
                (Token::Literal(literal(&inner.replace("\\`", "`"))?), len)
            }
            _ => sign(rest, c)?,
        };
        all.push(token);
        rest = &rest[len..];
    }
    all.push(Token::End);
    Ok(all)
}

fn number(text: &str) -> Result<(Token, usize), Error> {
    let digits = text[1..].bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..=digits].parse().map_err(|_| Error::new(format!("bad number at '{text}'")))?;
    Ok((Token::Number(number), digits + 1))
}

/// The text up to the closing quote, and how long it is with both quotes.
fn quoted(text: &str, quote: char) -> Result<(&str, usize), Error> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Ok((&text[1..at], at + 1)),
            _ => {}
        }
    }
    Err(Error::new(format!("unclosed {quote} delimiter")))
}

/// JSON between backticks; what is no JSON is text (an old habit that many queries have).
fn literal(text: &str) -> Result<Value, Error> {
    let text = text.trim_start();
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) => Ok(Value::from_json(&json)),
        Err(_) => match serde_json::from_str::<serde_json::Value>(&format!("\"{text}\"")) {
            Ok(json) => Ok(Value::from_json(&json)),
            Err(_) => Err(Error::new(format!("bad token `{text}`"))),
        },
    }
}

fn sign(text: &str, c: char) -> Result<(Token, usize), Error> {
    let pairs = [
        ("[?", Token::FilterStart),
        ("[]", Token::Flatten),
        ("||", Token::Or),
        ("&&", Token::And),
        ("==", Token::Compare(Comparator::Eq)),
        ("!=", Token::Compare(Comparator::Ne)),
        ("<=", Token::Compare(Comparator::Le)),
        (">=", Token::Compare(Comparator::Ge)),
    ];
    if let Some((_, token)) = pairs.into_iter().find(|(sign, _)| text.starts_with(sign)) {
        return Ok((token, 2));
    }
    match c {
        '<' => Ok((Token::Compare(Comparator::Lt), 1)),
        '>' => Ok((Token::Compare(Comparator::Gt), 1)),
        '.' | '*' | ']' | ')' | ',' | ':' | '@' | '&' | '(' | '{' | '}' | '[' | '|' | '!' => {
            Ok((Token::Sign(c), 1))
        }
        other => Err(Error::new(format!("unknown token '{other}'"))),
    }
}
