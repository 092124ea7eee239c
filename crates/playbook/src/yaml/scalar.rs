//! What a plain scalar means: YAML 1.1 in the form that PyYAML implements.

use std::sync::Arc;

use num_bigint::BigInt;

use super::{Kind, timestamp};

/// Resolves an unquoted scalar. `Err`: it looks like a date, but there is no such day.
pub(super) fn resolve(text: &str) -> Result<Kind, String> {
    let Some(first) = text.bytes().next() else { return Ok(Kind::Null) };
    let kind = match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => match number(text) {
            Some(kind) => Some(kind),
            None => timestamp::parse(text)?.map(|date| Kind::Date(date.into())),
        },
        b'~' | b'n' | b'N' | b'y' | b'Y' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' => word(text),
        _ => None,
    };
    Ok(kind.unwrap_or_else(|| Kind::Str { text: text.into(), plain: true }))
}

/// The value for an explicit `!!int`, `!!float`, `!!bool` or `!!null`; `None`: the text is not one.
pub(super) fn tagged(tag: &str, text: &str) -> Option<Kind> {
    match tag {
        "int" => integer(text),
        "float" => match integer(text) {
            Some(Kind::Int(value)) => Some(Kind::Float(value as f64)),
            _ => float(text).or_else(|| text.parse().ok()).map(Kind::Float),
        },
        "bool" => word(&text.to_ascii_lowercase()).filter(|kind| matches!(kind, Kind::Bool(_))),
        "null" => Some(Kind::Null),
        _ => None,
    }
}

fn word(text: &str) -> Option<Kind> {
    Some(match text {
        "~" | "null" | "Null" | "NULL" => Kind::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Kind::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Kind::Bool(false),
        _ => return None,
    })
}

fn number(text: &str) -> Option<Kind> {
    integer(text).or_else(|| float(text).map(Kind::Float))
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}

fn integer(text: &str) -> Option<Kind> {
    let (negative, body) = sign(text);
    if let Some(digits) = body.strip_prefix("0b") {
        return radix(negative, digits, 2);
    }
    if let Some(digits) = body.strip_prefix("0x") {
        return radix(negative, digits, 16);
    }
    if body == "0" {
        return Some(Kind::Int(0));
    }
    match body.bytes().next()? {
        // The zero that marks octal is a digit as well: `0_` is 0.
        b'0' if all(&body[1..], |byte| matches!(byte, b'0'..=b'7' | b'_')) => radix(negative, body, 8),
        b'1'..=b'9' if body.contains(':') => sexagesimal(body).map(|value| signed(negative, value)),
        b'1'..=b'9' => radix(negative, body, 10),
        _ => None,
    }
}

fn radix(negative: bool, digits: &str, radix: u32) -> Option<Kind> {
    if !all(digits, |byte| byte == b'_' || char::from(byte).is_digit(radix)) {
        return None;
    }
    let digits = digits.replace('_', "");
    let value = BigInt::parse_bytes(digits.as_bytes(), radix)?;
    Some(signed(negative, value))
}

fn signed(negative: bool, value: BigInt) -> Kind {
    let value = if negative { -value } else { value };
    i64::try_from(&value).map_or_else(|_| Kind::Big(Arc::new(value)), Kind::Int)
}

/// `1:30` is 90.
fn sexagesimal(body: &str) -> Option<BigInt> {
    let mut parts = body.split(':');
    let head = parts.next().filter(|head| all(head, |byte| byte.is_ascii_digit() || byte == b'_'))?;
    let mut value = BigInt::parse_bytes(head.replace('_', "").as_bytes(), 10)?;
    for part in parts {
        value = value * 60 + minute(part)?;
    }
    Some(value)
}

/// 0 to 59, in one or two digits.
fn minute(part: &str) -> Option<u32> {
    let fits = (1..=2).contains(&part.len()) && all(part, |byte| byte.is_ascii_digit());
    part.parse().ok().filter(|value| fits && *value < 60)
}

fn float(text: &str) -> Option<f64> {
    let (negative, body) = sign(text);
    let apply = |value: f64| if negative { -value } else { value };
    match body {
        ".inf" | ".Inf" | ".INF" => return Some(apply(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if body.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    if body.contains(':') {
        return base60_float(body).map(apply);
    }
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    // The sign of an exponent is not optional in YAML 1.1: `1.0e3` is text.
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        all(digits, |byte| byte.is_ascii_digit()).then_some(())?;
    }
    let (whole, fraction) = mantissa.split_once('.')?;
    let digit = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let shaped = if whole.is_empty() {
        body.len() == text.len() && fraction.starts_with(|c: char| c.is_ascii_digit()) && all(fraction, digit)
    } else {
        whole.starts_with(|c: char| c.is_ascii_digit()) && all(whole, digit) && fraction.bytes().all(digit)
    };
    shaped.then_some(())?;
    body.replace('_', "").parse().ok().map(apply)
}

fn base60_float(body: &str) -> Option<f64> {
    let (whole, fraction) = body.split_once('.')?;
    let (head, last) = whole.rsplit_once(':')?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        || !head.starts_with(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let head: f64 = sexagesimal(head)?.to_string().parse().ok()?;
    let tail: f64 = format!("{}.{}", minute(last)?, fraction.replace('_', "")).parse().ok()?;
    Some(head * 60.0 + tail)
}

pub(super) fn json_number(number: &serde_json::Number) -> Kind {
    let text = number.to_string();
    if let Some(value) = number.as_i64() {
        return Kind::Int(value);
    }
    match text.parse::<BigInt>() {
        Ok(value) => signed(false, value),
        Err(_) => Kind::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// `repr(float)`.
pub(super) fn python_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    let text = value.to_string();
    if text.contains('.') { text } else { text + ".0" }
}
