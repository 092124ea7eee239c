//! JSON as Python's `json` writes it.

use std::cmp::Ordering;
use std::convert::Infallible;

use crate::error::Error;
use crate::stable;
use crate::value::{Value, as_missing, deeper, float_repr, json_key};

#[derive(Clone)]
pub(crate) struct Style {
    pub(crate) indent: Option<usize>,
    pub(crate) sort_keys: bool,
    pub(crate) ascii: bool,
    pub(crate) item: String,
    pub(crate) key: String,
}

impl Default for Style {
    fn default() -> Self {
        Self { indent: None, sort_keys: false, ascii: true, item: ", ".to_owned(), key: ": ".to_owned() }
    }
}

pub(crate) fn write(value: &Value, style: &Style) -> Result<String, Error> {
    let mut out = String::new();
    put(value, style, 0, &mut out)?;
    Ok(out)
}

fn put(value: &Value, style: &Style, level: usize, out: &mut String) -> Result<(), Error> {
    deeper()?;
    if let Some(missing) = as_missing(value) {
        return Err(missing.error());
    }
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::Big(b) => out.push_str(&b.to_string()),
        Value::Float(f) if f.is_nan() => out.push_str("NaN"),
        Value::Float(f) if f.is_infinite() => out.push_str(if *f > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::Float(f) => out.push_str(&float_repr(*f)),
        Value::Str(s) => string(s.as_str(), style.ascii, out),
        Value::List(_) | Value::Tuple(_) => sequence(&value.iterate()?, style, level, out)?,
        Value::Dict(dict) => mapping(dict.items()?, style, level, out)?,
        Value::Bytes(bytes) => string(&String::from_utf8_lossy(bytes), style.ascii, out),
        Value::Object(object) => match (object.json(), object.keys()) {
            (Some(json), _) => put(&Value::from_json(&json), style, level, out)?,
            (None, Some(keys)) => {
                let entry = |key: Value| Ok((key.clone(), object.get(&key)?.unwrap_or(Value::None)));
                mapping(keys.into_iter().map(entry).collect::<Result<_, Error>>()?, style, level, out)?;
            }
            (None, None) => {
                let kind = object.type_name();
                return Err(Error::new(format!("Object of type {kind} is not JSON serializable")));
            }
        },
        Value::Undefined(_) => out.push_str("\"\""),
    }
    Ok(())
}

fn newline(style: &Style, level: usize, out: &mut String) {
    if let Some(indent) = style.indent {
        out.push('\n');
        out.push_str(&" ".repeat(indent * level));
    }
}

fn separator(style: &Style, out: &mut String) {
    out.push_str(if style.indent.is_some() && style.item == ", " { "," } else { &style.item });
}

fn sequence(items: &[Value], style: &Style, level: usize, out: &mut String) -> Result<(), Error> {
    if items.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            separator(style, out);
        }
        newline(style, level + 1, out);
        put(item, style, level + 1, out)?;
    }
    newline(style, level, out);
    out.push(']');
    Ok(())
}

fn mapping(
    mut entries: Vec<(Value, Value)>,
    style: &Style,
    level: usize,
    out: &mut String,
) -> Result<(), Error> {
    entries.retain(|(_, value)| !value.is_omit());
    if entries.is_empty() {
        out.push_str("{}");
        return Ok(());
    }
    if style.sort_keys {
        sort_entries(&mut entries);
    }
    out.push('{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            separator(style, out);
        }
        newline(style, level + 1, out);
        string(&json_key(key)?, style.ascii, out);
        out.push_str(&style.key);
        put(value, style, level + 1, out)?;
    }
    newline(style, level, out);
    out.push('}');
    Ok(())
}

/// By key; where the keys cannot be compared, by their text.
pub(crate) fn sort_entries(entries: &mut Vec<(Value, Value)>) {
    let mut less = |(a, _): &(Value, Value), (b, _): &(Value, Value)| {
        Ok::<_, Infallible>(match a.python_cmp(b, "<") {
            Ok(order) => order == Some(Ordering::Less),
            Err(_) => json_key(a).unwrap_or_default() < json_key(b).unwrap_or_default(),
        })
    };
    let Ok(sorted) = stable::sort(std::mem::take(entries), &mut less);
    *entries = sorted;
}

fn string(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && (c as u32) > 0x7e) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
