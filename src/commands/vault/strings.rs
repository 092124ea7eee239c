//! `encrypt_string`: values ready to be put into a YAML file.

use super::files::{self, Text};
use super::keys::Keys;
use crate::setup::Problem;
use crate::terminal;

pub(super) struct Wanted<'a> {
    pub(super) strings: &'a [String],
    pub(super) names: &'a [String],
    pub(super) stdin_name: Option<&'a str>,
    pub(super) prompt: bool,
}

pub(super) fn encrypt(wanted: &Wanted<'_>, keys: &Keys) -> Result<(), Problem> {
    let mut values: Vec<(Option<String>, Text)> = Vec::new();
    let mut names = wanted.names.iter();
    if wanted.prompt {
        values.push(asked(names.next())?);
    }
    let from_input = wanted.stdin_name.is_some() || wanted.strings.iter().any(|string| string == "-");
    if from_input || (wanted.strings.is_empty() && !wanted.prompt) {
        eprintln!("Reading the text from standard input (end it with Ctrl-D)");
        values.push((wanted.stdin_name.map(str::to_owned), files::standard_input()?));
    }
    for string in wanted.strings.iter().filter(|string| *string != "-") {
        values.push((names.next().cloned(), Text::from(string.clone().into_bytes())));
    }
    if let Some(extra) = names.next() {
        return Err(Problem::Options(format!("there is no string for the name `{extra}`")));
    }
    for (name, text) in values {
        if text.is_empty() {
            return Err("an empty string cannot be encrypted".to_owned().into());
        }
        files::print(formatted(name.as_deref(), &keys.encrypt(&text)?).as_bytes())?;
    }
    Ok(())
}

fn asked(name: Option<&String>) -> Result<(Option<String>, Text), Problem> {
    let nobody = || "nobody can be asked for the string".to_owned();
    let name = match name {
        Some(name) => Some(name.clone()),
        None => terminal::ask("Variable name (enter for no name): ", true).filter(|name| !name.is_empty()),
    };
    let text = terminal::secret("String to encrypt: ").ok_or_else(nobody)?;
    Ok((name, Text::from(text.into_bytes())))
}

/// `name: !vault |` and the lines below it.
fn formatted(name: Option<&str>, encrypted: &[u8]) -> String {
    let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let text = String::from_utf8_lossy(encrypted);
    let lines = text.lines().map(|line| format!("          {line}\n"));
    format!("{name}!vault |\n{}", lines.collect::<String>())
}
