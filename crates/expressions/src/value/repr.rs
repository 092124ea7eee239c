//! Python's `str()` and `repr()`.

use std::fmt::{self, Write as _};

use num_bigint::BigInt;

use super::{Value, deeper};
use crate::error::Error;

/// How containers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Python,
    /// What Ansible prints at the end of a template: tuples have become lists.
    Final,
}

impl Value {
    pub fn python_str(&self) -> Result<String, Error> {
        let mut out = String::new();
        self.write_str(&mut out, Style::Python)?;
        Ok(out)
    }
    pub fn python_repr(&self) -> Result<String, Error> {
        let mut out = String::new();
        self.write_repr(&mut out, Style::Python)?;
        Ok(out)
    }
    pub(crate) fn write_str(&self, out: &mut String, style: Style) -> Result<(), Error> {
        match self {
            Value::Str(s) => out.push_str(s.as_str()),
            Value::Object(o) => out.push_str(&o.render()?),
            _ => return self.write_repr(out, style),
        }
        Ok(())
    }
    pub(crate) fn write_repr(&self, out: &mut String, style: Style) -> Result<(), Error> {
        match self {
            Value::Undefined(missing) if missing.soft => {}
            Value::Undefined(missing) => return Err(missing.error()),
            Value::None => out.push_str("None"),
            Value::Bool(b) => out.push_str(if *b { "True" } else { "False" }),
            Value::Int(i) => push(out, i),
            Value::Big(b) => push(out, b),
            Value::Float(f) => out.push_str(&float_repr(*f)),
            Value::Str(s) => string_repr(s.as_str(), out),
            Value::Bytes(b) => bytes_repr(b, out),
            Value::List(list) => sequence(&list.items()?, ["[", "]"], out, style)?,
            Value::Tuple(items) if style == Style::Final => sequence(items, ["[", "]"], out, style)?,
            Value::Tuple(items) if items.len() == 1 => sequence(items, ["(", ",)"], out, style)?,
            Value::Tuple(items) => sequence(items, ["(", ")"], out, style)?,
            Value::Dict(dict) => mapping(&dict.items()?, out, style)?,
            Value::Object(o) => out.push_str(&o.repr()?),
        }
        Ok(())
    }
}

fn push(out: &mut String, value: impl fmt::Display) {
    write!(out, "{value}").expect("writing to a String cannot fail");
}

fn sequence(items: &[Value], brackets: [&str; 2], out: &mut String, style: Style) -> Result<(), Error> {
    deeper()?;
    out.push_str(brackets[0]);
    let shown = items.iter().filter(|item| style == Style::Python || !item.is_omit());
    for (index, item) in shown.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        item.write_repr(out, style)?;
    }
    out.push_str(brackets[1]);
    Ok(())
}

fn mapping(entries: &[(Value, Value)], out: &mut String, style: Style) -> Result<(), Error> {
    deeper()?;
    out.push('{');
    let shown = entries.iter().filter(|(_, value)| style == Style::Python || !value.is_omit());
    for (index, (key, value)) in shown.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        if style == Style::Final && matches!(key, Value::Tuple(_)) {
            return Err(Error::new("a tuple cannot be a key of a dict outside a template"));
        }
        key.write_repr(out, style)?;
        out.push_str(": ");
        value.write_repr(out, style)?;
    }
    out.push('}');
    Ok(())
}

/// A string as Python's `repr` writes it.
pub(crate) fn string_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => push(out, format_args!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x10000 => push(out, format_args!("\\u{:04x}", c as u32)),
            c => push(out, format_args!("\\U{:08x}", c as u32)),
        }
    }
    out.push(quote);
}

fn is_printable(c: char) -> bool {
    !(c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c as u32, 0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe000..=0xf8ff))
}

fn bytes_repr(bytes: &[u8], out: &mut String) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    out.push('b');
    out.push(quote);
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b if char::from(b) == quote => {
                out.push('\\');
                out.push(quote);
            }
            b' '..=b'~' => out.push(char::from(byte)),
            b => push(out, format_args!("\\x{b:02x}")),
        }
    }
    out.push(quote);
}

/// A float as Python writes it: the shortest digits that read back the same, an exponent only when far from 1.
pub(crate) fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

pub(super) fn big_to_f64(number: &BigInt) -> f64 {
    number.to_string().parse().unwrap_or(f64::INFINITY)
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Undefined(missing) => write!(f, "<undefined: {}>", missing.message),
            _ => match self.python_repr() {
                Ok(text) => f.write_str(&text),
                Err(error) => write!(f, "<{}: {error}>", self.type_name()),
            },
        }
    }
}
