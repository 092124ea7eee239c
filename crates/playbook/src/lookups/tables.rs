//! Lookups in files of rows: `ini` (also Java properties) and `csvfile`.

use std::collections::HashSet;

use expressions::{Error, Value};

use super::Call;
use crate::{keyvalue, search, yaml};

fn read(call: &Call<'_>, name: &str, encoding: Option<&str>) -> Result<String, Error> {
    let path = search::find(name, "files", &call.scope.search_path()).filter(|path| path.is_file());
    let path = path.ok_or_else(|| Error::new(format!("could not locate file in lookup: {name}")))?;
    let plain: String = encoding.unwrap_or("utf-8").to_lowercase().replace(['-', '_'], "");
    match plain.as_str() {
        // Each byte is the letter of that number.
        "iso88591" | "latin1" | "88591" | "l1" => std::fs::read(&path)
            .map(|bytes| bytes.iter().map(|byte| char::from(*byte)).collect())
            .map_err(|error| Error::new(format!("{}: {error}", path.display()))),
        "utf8" | "u8" | "ascii" => {
            yaml::read_text(&path, &call.scope.variables().vault).map_err(|error| Error::new(error.message))
        }
        _ => Err(Error::new(format!(
            "files are read as utf-8 or iso-8859-1, not as {}",
            encoding.unwrap_or_default()
        ))),
    }
}

/// A term and its `name=value` options, those of the call below them.
fn term_options(
    call: &Call<'_>,
    term: &str,
    names: &[&str],
) -> Result<(String, Vec<(String, String)>), Error> {
    let parsed = keyvalue::parse(term).map_err(|error| Error::new(error.message))?;
    let mut options = Vec::new();
    for (name, value) in call.options {
        options.push((name.to_string(), value.python_str()?));
    }
    for (name, value) in parsed.pairs {
        if !names.contains(&name.as_str()) {
            return Err(Error::new(format!("'{name}' is not a valid option")));
        }
        options.push((name, value));
    }
    Ok((parsed.raw.unwrap_or_default().trim().to_owned(), options))
}

fn option<'o>(options: &'o [(String, String)], name: &str) -> Option<&'o str> {
    options.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

pub(super) fn ini(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    const NAMES: &[&str] = &[
        "type",
        "section",
        "file",
        "re",
        "encoding",
        "default",
        "case_sensitive",
        "allow_no_value",
        "allow_none",
        "interpolation",
    ];
    let mut all = Vec::new();
    for term in call.texts()? {
        let (key, options) = if term.contains('=') {
            term_options(call, &term, NAMES)?
        } else {
            term_options(call, "", NAMES).map(|(_, options)| (term.clone(), options))?
        };
        if key.is_empty() {
            let problem = "No key to look up was provided as first term within string inline options";
            return Err(Error::new(format!("{problem}: {term}")));
        }
        let yes = |name: &str| option(&options, name).and_then(catalog::arguments::truth).unwrap_or(false);
        let properties = option(&options, "type") == Some("properties");
        let file =
            option(&options, "file").unwrap_or(if properties { "ansible.properties" } else { "ansible.ini" });
        let section =
            if properties { "java_properties" } else { option(&options, "section").unwrap_or("global") };
        let text = read(call, file, option(&options, "encoding"))?;
        let text = if properties { format!("[java_properties]\n{text}") } else { text };
        let wrong = |problem: String| {
            Error::new(format!("the file {file} for the lookup 'ini' cannot be used: {problem}"))
        };
        let bare = yes("allow_no_value") || yes("allow_none");
        let rows = ini_rows(&text, section, yes("case_sensitive"), bare).map_err(wrong)?;
        let plain = option(&options, "interpolation").and_then(catalog::arguments::truth) == Some(false);
        let value = |value: &Option<String>| -> Result<Option<Value>, Error> {
            let other =
                |name: &str| rows.iter().rev().find(|(known, _)| known.to_lowercase() == name)?.1.clone();
            Ok(match value {
                Some(text) if plain => Some(Value::from(text)),
                Some(text) => Some(Value::from(catalog::ini::interpolate(text, &other).map_err(wrong)?)),
                None => None,
            })
        };
        if yes("re") {
            let regex = fancy_regex::Regex::new(&key)
                .map_err(|error| Error::new(format!("'{key}' is no regular expression: {error}")))?;
            let hits = |name: &str| regex.find(name).ok().flatten().is_some_and(|hit| hit.start() == 0);
            for (_, found) in rows.iter().filter(|(name, _)| hits(name)) {
                all.extend(value(found)?);
            }
            continue;
        }
        let wanted = if yes("case_sensitive") { key.clone() } else { key.to_lowercase() };
        match rows.iter().rev().find(|(name, _)| *name == wanted) {
            Some((_, found)) => all.extend(value(found)?),
            None => all.push(Value::from(option(&options, "default").unwrap_or_default())),
        }
    }
    Ok(all)
}

/// Name and value; a name alone has none.
type Row = (String, Option<String>);

/// The rows of a section, those of `DEFAULT` first. Indented lines go on with the value above. A section or a key
/// that stands there twice is a mistake, as it is to Python, in whatever section.
fn ini_rows(text: &str, wanted: &str, case_sensitive: bool, bare: bool) -> Result<Vec<Row>, String> {
    let mut seen: HashSet<(String, String)> = HashSet::new();
    let mut sections: HashSet<String> = HashSet::new();
    let (mut defaults, mut rows): (Vec<Row>, Vec<Row>) = (Vec::new(), Vec::new());
    let mut section = String::new();
    let mut open = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        let target = if section == wanted { &mut rows } else { &mut defaults };
        let mine = section == wanted || section == "DEFAULT";
        if trimmed.is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t']) && open {
            if let Some((_, Some(value))) = target.last_mut().filter(|_| mine) {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            if !sections.insert(section.clone()) && section != "DEFAULT" {
                return Err(format!("Duplicate section in it: '{section}'"));
            }
            open = false;
            continue;
        }
        open = true;
        let at = trimmed.find(['=', ':']);
        if at.is_none() && !bare {
            return Err(format!("a key without a value: '{trimmed}'"));
        }
        let name = trimmed[..at.unwrap_or(trimmed.len())].trim_end();
        let name = if case_sensitive { name.to_owned() } else { name.to_lowercase() };
        if !seen.insert((section.clone(), name.clone())) {
            return Err(format!("Duplicate option in it: '{name}' in section '{section}'"));
        }
        if mine {
            target.push((name, at.map(|at| trimmed[at + 1..].trim().to_owned())));
        }
    }
    if !sections.contains(wanted) && wanted != "DEFAULT" {
        return Err(format!("No section '{wanted}' in it"));
    }
    defaults.extend(rows);
    Ok(defaults)
}

pub(super) fn csvfile(call: &Call<'_>) -> Result<Vec<Value>, Error> {
    const NAMES: &[&str] = &["file", "col", "delimiter", "default", "encoding", "keycol"];
    let mut all = Vec::new();
    for term in call.texts()? {
        let (key, options) = term_options(call, &term, NAMES)?;
        let number = |name: &str, default: usize| match option(&options, name) {
            Some(text) => {
                text.trim().parse().map_err(|_| Error::new(format!("{name}={text} is not a column")))
            }
            None => Ok(default),
        };
        let (column, key_column) = (number("col", 1)?, number("keycol", 0)?);
        let delimiter = match option(&options, "delimiter").unwrap_or("TAB") {
            "TAB" | "\\t" | "\t" => '\t',
            other => other.chars().next().unwrap_or(','),
        };
        let key = crate::keyvalue::unquote(&key).to_owned();
        let file = option(&options, "file").unwrap_or("ansible.csv");
        let text = read(call, file, option(&options, "encoding"))?;
        let row = rows(&text, delimiter)
            .into_iter()
            .find(|row| row.get(key_column).is_some_and(|cell| *cell == key));
        match row {
            Some(row) => match row.get(column) {
                Some(cell) => all.push(Value::from(cell)),
                None => return Err(Error::new(format!("csvfile: there is no column {column}"))),
            },
            None => {
                if let Some(default) = option(&options, "default") {
                    all.push(Value::from(default));
                }
            }
        }
    }
    Ok(all)
}

/// Rows of cells; quotes hold delimiters and line ends, two quotes stand for one.
fn rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let (mut cell, mut quoted, mut started) = (String::new(), false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() && !started => (quoted, started) = (true, true),
            c if quoted => cell.push(c),
            '\r' => {}
            '\n' => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
                started = false;
            }
            c if c == delimiter => {
                row.push(std::mem::take(&mut cell));
                started = false;
            }
            c => cell.push(c),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}
