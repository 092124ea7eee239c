//! Lookups in files of rows: `ini` (also Java properties) and `csvfile`.

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
        "interpolation",
    ];
    let mut all = Vec::new();
    for term in call.texts()? {
        let (key, options) = if term.contains('=') {
            term_options(call, &term, NAMES)?
        } else {
            term_options(call, "", NAMES).map(|(_, options)| (term.clone(), options))?
        };
        let yes = |name: &str| option(&options, name).and_then(catalog::arguments::truth).unwrap_or(false);
        let properties = option(&options, "type") == Some("properties");
        let file =
            option(&options, "file").unwrap_or(if properties { "ansible.properties" } else { "ansible.ini" });
        let section =
            if properties { "java_properties" } else { option(&options, "section").unwrap_or("global") };
        let text = read(call, file, option(&options, "encoding"))?;
        let text = if properties { format!("[java_properties]\n{text}") } else { text };
        let rows = ini_rows(&text, section, yes("case_sensitive"));
        if yes("re") {
            let regex = fancy_regex::Regex::new(&key)
                .map_err(|error| Error::new(format!("'{key}' is no regular expression: {error}")))?;
            all.extend(
                rows.iter()
                    .filter(|(name, _)| regex.find(name).ok().flatten().is_some_and(|hit| hit.start() == 0))
                    .map(|(_, value)| Value::from(value)),
            );
            continue;
        }
        let wanted = if yes("case_sensitive") { key.clone() } else { key.to_lowercase() };
        match rows.iter().rev().find(|(name, _)| *name == wanted) {
            Some((_, value)) => all.push(Value::from(value)),
            None => all.push(Value::from(option(&options, "default").unwrap_or_default())),
        }
    }
    Ok(all)
}

/// Name and value.
type Row = (String, String);

/// The rows of a section, those of `DEFAULT` first. Indented lines go on with the value above.
fn ini_rows(text: &str, wanted: &str, case_sensitive: bool) -> Vec<Row> {
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
            if let Some((_, value)) = target.last_mut().filter(|_| mine) {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            open = false;
            continue;
        }
        open = true;
        let Some(at) = trimmed.find(['=', ':']).filter(|_| mine) else { continue };
        let name = trimmed[..at].trim_end();
        let name = if case_sensitive { name.to_owned() } else { name.to_lowercase() };
        target.push((name, trimmed[at + 1..].trim().to_owned()));
    }
    defaults.extend(rows);
    defaults
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
