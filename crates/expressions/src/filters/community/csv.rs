//! Tables of text: `from_csv`, and INI files.

use crate::error::Error;
use crate::eval::{Args, Run};
use crate::filters::{text_of, text_or, truth_or};
use crate::value::{Dict, Value};

struct Dialect {
    delimiter: char,
    skip_space: bool,
    strict: bool,
}

/// Rows of text as dicts, named by the first row or by the given names.
pub(super) fn from_csv(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let names = ["dialect", "fieldnames", "delimiter", "skipinitialspace", "strict"];
    let [dialect, fields, delimiter, skip, strict] = args.bind("from_csv", names)?;
    let mut delimiter_char = match text_or(dialect, "excel")?.as_str() {
        "excel" | "unix" => ',',
        "excel-tab" => '\t',
        other => {
            return Err(Error::new(format!("Dialect '{other}' is not supported by your version of python.")));
        }
    };
    if let Some(given) = delimiter.filter(|given| !given.is_none()) {
        let mut chars = text_of(&given)?.chars().collect::<Vec<_>>();
        delimiter_char = match (chars.pop(), chars.is_empty()) {
            (Some(c), true) => c,
            _ => return Err(Error::new("\"delimiter\" must be a 1-character string")),
        };
    }
    let dialect = Dialect {
        delimiter: delimiter_char,
        skip_space: truth_or(skip, false)?,
        strict: truth_or(strict, false)?,
    };
    let rows = rows(&text_of(value)?, &dialect)?;
    let mut rows = rows.into_iter().filter(|row| !row.is_empty());
    let fields = match fields.filter(|fields| !fields.is_none()) {
        Some(fields) => fields.elements()?.iter().map(text_of).collect::<Result<Vec<_>, _>>()?,
        None => rows.next().unwrap_or_default(),
    };
    let mut all = Vec::new();
    for row in rows {
        let new = Dict::new();
        for (place, name) in fields.iter().enumerate() {
            new.insert(name.as_str(), row.get(place).map_or(Value::None, |cell| Value::str(cell.as_str())));
        }
        if let Some(rest) = row.get(fields.len()..).filter(|rest| !rest.is_empty()) {
            new.insert(Value::None, Value::from(rest.to_vec()));
        }
        all.push(Value::from(new));
    }
    Ok(Value::list(all))
}

fn rows(text: &str, dialect: &Dialect) -> Result<Vec<Vec<String>>, Error> {
    let mut all = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let mut cell = String::new();
    let (mut quoted, mut begun, mut was_quoted) = (false, false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' if quoted => quoted = false,
            c if quoted => cell.push(c),
            '"' if cell.is_empty() && !was_quoted => (quoted, begun, was_quoted) = (true, true, true),
            c if c == dialect.delimiter => {
                row.push(std::mem::take(&mut cell));
                (begun, was_quoted) = (true, false);
            }
            '\r' | '\n' => {
                if c == '\r' {
                    chars.next_if_eq(&'\n');
                }
                if begun || !cell.is_empty() {
                    row.push(std::mem::take(&mut cell));
                }
                all.push(std::mem::take(&mut row));
                (begun, was_quoted) = (false, false);
            }
            ' ' if dialect.skip_space && cell.is_empty() && !was_quoted => {}
            c => {
                if was_quoted && dialect.strict {
                    let delimiter = dialect.delimiter;
                    return Err(Error::new(format!("'{delimiter}' expected after '\"'")));
                }
                cell.push(c);
            }
        }
    }
    if quoted && dialect.strict {
        return Err(Error::new("unexpected end of data"));
    }
    if begun || !cell.is_empty() {
        row.push(cell);
        all.push(row);
    }
    Ok(all)
}

/// The sections of an INI file as dicts of text.
pub(super) fn from_ini(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    let Value::Str(text) = value else {
        return Err(Error::new(format!("from_ini requires a str, got {}", value.type_name())));
    };
    let mut sections: Vec<(String, Vec<(String, Value)>)> = Vec::new();
    let mut defaults: Vec<(String, Value)> = Vec::new();
    let mut in_defaults = false;
    for line in text.as_str().lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')) {
            in_defaults = name.0 == "DEFAULT";
            if !in_defaults {
                sections.push((name.0.to_owned(), Vec::new()));
            }
            continue;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else {
            return Err(Error::new(format!("from_ini failed to parse the line: {line}")));
        };
        let entry = (key.trim().to_owned(), Value::str(value.trim()));
        match sections.last_mut() {
            _ if in_defaults => defaults.push(entry),
            Some((_, entries)) => entries.push(entry),
            None => return Err(Error::new(format!("from_ini: no section before the line: {line}"))),
        }
    }
    let all = Dict::new();
    for (name, entries) in sections {
        let section = Dict::new();
        for (key, value) in entries.into_iter().chain(defaults.clone()) {
            if !section.contains(&key) {
                section.insert(key, value);
            }
        }
        all.insert(name, Value::from(section));
    }
    Ok(Value::from(all))
}

/// Dicts as the sections of an INI file.
pub(super) fn to_ini(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    let Value::Dict(sections) = value else {
        return Err(Error::new(format!("to_ini requires a dict, got {}", value.type_name())));
    };
    let mut out = String::new();
    for (name, section) in sections.items()? {
        let Value::Dict(section) = section else {
            return Err(Error::new("to_ini: each section must be a dict"));
        };
        out.push_str(&format!("[{}]\n", text_of(&name)?));
        for (key, value) in section.items()? {
            out.push_str(&format!("{} = {}\n", text_of(&key)?, text_of(&value)?));
        }
        out.push('\n');
    }
    Ok(Value::from(out))
}
