//! Arguments in the words that Python would write: modules in other languages look for them by text.

use std::io;

use catalog::{Json, Map};
use serde::Serialize;
use serde_json::ser::Formatter;

use crate::words;

/// As `json.dumps`: a space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

pub(super) fn json(map: &Map) -> String {
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut out, Spaced);
    match map.serialize(&mut writer) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => serde_json::json!(map).to_string(),
    }
}

/// `key='value' …` with Python's words for what is no text.
pub(super) fn key_values(arguments: &Map) -> String {
    arguments.iter().map(|(key, value)| format!("{key}={} ", words::quote(&python_text(value)))).collect()
}

/// Python's `str()` of a value.
fn python_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => python_repr(other),
    }
}

fn python_repr(value: &Json) -> String {
    match value {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => {
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            let mut out = String::from(quote);
            for c in text.chars() {
                match c {
                    '\n' => out.push_str("\\n"),
                    '\t' => out.push_str("\\t"),
                    '\r' => out.push_str("\\r"),
                    '\\' => out.push_str("\\\\"),
                    c if c == quote => out.extend(['\\', c]),
                    c => out.push(c),
                }
            }
            out.push(quote);
            out
        }
        Json::Array(list) => {
            format!("[{}]", list.iter().map(python_repr).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let entry = |(key, value): (&String, &Json)| {
                format!("{}: {}", python_repr(&Json::String(key.clone())), python_repr(value))
            };
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn old_modules_get_words_that_a_shell_can_read() {
        let Json::Object(map) = json!({"a": "x y'z", "n": 3, "b": true, "l": ["1", null]}) else { unreachable!() };
        assert_eq!(key_values(&map), "a='x y'\"'\"'z' n=3 b=True l='['\"'\"'1'\"'\"', None]' ");
    }

    #[test]
    fn json_has_pythons_spaces() {
        let Json::Object(map) = json!({"a": [1, {"b": null}], "c": {}}) else { unreachable!() };
        assert_eq!(super::json(&map), "{\"a\": [1, {\"b\": null}], \"c\": {}}");
    }
}
