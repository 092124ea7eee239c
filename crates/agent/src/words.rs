//! Splitting a line into words as a POSIX shell does, quoting, and what a shell expands in a word.

use crate::accounts::Accounts;

/// Words of a line: quotes and backslashes as in a shell, nothing expanded.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("No closing quotation".to_owned()),
                    }
                }
            }
            '"' => double_quoted(&mut letters, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(letters.next().ok_or("No escaped character")?),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn double_quoted(letters: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    loop {
        match letters.next() {
            Some('"') => return Ok(()),
            Some('\\') => match letters.next() {
                Some(c @ ('"' | '\\')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err("No escaped character".to_owned()),
            },
            Some(c) => word.push(c),
            None => return Err("No closing quotation".to_owned()),
        }
    }
}

/// A word that a shell reads as exactly this text.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

/// Words as one line.
pub fn join<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// `~`, `~user`, `$NAME` and `${NAME}`; what is not known stays as it is.
pub fn expand(word: &str, variable: &dyn Fn(&str) -> Option<String>, accounts: &mut Accounts) -> String {
    expand_variables(&expand_home(word, variable, accounts), variable)
}

fn expand_home(word: &str, variable: &dyn Fn(&str) -> Option<String>, accounts: &mut Accounts) -> String {
    let Some(rest) = word.strip_prefix('~') else { return word.to_owned() };
    let (user, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let home = if user.is_empty() {
        variable("HOME").or_else(|| accounts.user_by_uid(rustix::process::getuid().as_raw()).map(|u| u.home))
    } else {
        accounts.user(user).map(|u| u.home)
    };
    match home {
        Some(home) if home == "/" => {
            if path.is_empty() {
                home
            } else {
                path.to_owned()
            }
        }
        Some(home) => format!("{}{path}", home.trim_end_matches('/')),
        None => word.to_owned(),
    }
}

fn expand_variables(word: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        match variable(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    out + rest
}
