//! JSON as Python's `json.dumps` writes it, since scripts grep Ansible's output.

use catalog::{Json, Map};
use std::fmt::Write as _;

/// On one line: `{"a": 1, "b": [2, 3]}`, keys sorted.
pub(crate) fn line(value: &Json) -> String {
    let mut out = String::new();
    write(&mut out, value, None, 0);
    out
}

/// Indented by four.
pub(crate) fn indented(value: &Json) -> String {
    let mut out = String::new();
    write(&mut out, value, Some(4), 0);
    out
}

fn write(out: &mut String, value: &Json, indent: Option<usize>, depth: usize) {
    match value {
        Json::Array(list) if !list.is_empty() => {
            out.push('[');
            for (i, item) in list.iter().enumerate() {
                separate(out, i, indent, depth + 1);
                write(out, item, indent, depth + 1);
            }
            close(out, ']', indent, depth);
        }
        Json::Object(map) if !map.is_empty() => {
            out.push('{');
            for (i, key) in sorted(map).into_iter().enumerate() {
                separate(out, i, indent, depth + 1);
                let _ = write!(out, "{}: ", string(key));
                write(out, &map[key], indent, depth + 1);
            }
            close(out, '}', indent, depth);
        }
        Json::String(s) => out.push_str(&string(s)),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn sorted(map: &Map) -> Vec<&String> {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort();
    keys
}

fn separate(out: &mut String, index: usize, indent: Option<usize>, depth: usize) {
    match indent {
        Some(width) => {
            let _ = write!(out, "{}\n{:width$}", if index > 0 { "," } else { "" }, "", width = width * depth);
        }
        None if index > 0 => out.push_str(", "),
        None => {}
    }
}

fn close(out: &mut String, bracket: char, indent: Option<usize>, depth: usize) {
    if let Some(width) = indent {
        let _ = write!(out, "\n{:width$}", "", width = width * depth);
    }
    out.push(bracket);
}

fn string(text: &str) -> String {
    Json::String(text.to_owned()).to_string()
}
