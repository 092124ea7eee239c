//! What an account may do: read from `SHOW GRANTS`, written as the playbook writes it, and the way from one to the other.

use std::collections::BTreeMap;

use catalog::Json;

use super::act;
use crate::module::{Failure, Task};
use crate::mysql::{Server, identifier};

/// By object (`db.*`, `db.table`, `FUNCTION db.f`): privileges in the order in which they were named.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Privileges(pub(super) BTreeMap<String, Vec<String>>);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Exactly,
    Append,
    Subtract,
}

const EVERYTHING: &str = "*.*";

impl Privileges {
    /// `db.table:PRIV,PRIV/other.*:ALL`, or the same as a dictionary.
    pub(super) fn wanted(given: Option<&Json>, keep_case: bool) -> Result<Option<Self>, Failure> {
        let text = match given {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::Object(map)) => {
                let one = |(object, list): (&String, &Json)| format!("{object}:{}", catalog::arguments::text(list));
                map.iter().map(one).collect::<Vec<_>>().join("/")
            }
            Some(other) => catalog::arguments::text(other),
        };
        let mut all = BTreeMap::new();
        for part in text.split('/').filter(|part| !part.trim().is_empty()) {
            let (object, list) = part.trim().rsplit_once(':').ok_or_else(|| {
                Failure::new(format!("invalid privileges string: `{part}` must be `database.table:PRIVILEGE,PRIVILEGE`"))
            })?;
            let object = if object.contains('.') { object.to_owned() } else { format!("{object}.*") };
            all.insert(object.replace('`', ""), list_of(list, keep_case));
        }
        Ok(Some(Self(all)))
    }

    fn granted(server: &Server, task: &Task<'_>, at: &str) -> Result<Self, Failure> {
        let rows = server.ask(task, &format!("SHOW GRANTS FOR {at}"))?;
        let mut all = Self::default();
        for line in rows.iter().flatten() {
            all.read(line);
        }
        Ok(all)
    }

    /// One line of the server's answer: `GRANT SELECT, UPDATE ON `db`.* TO … WITH GRANT OPTION`.
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("GRANT ") else { return };
        let Some((list, rest)) = rest.split_once(" ON ") else { return };
        let Some((object, rest)) = rest.split_once(" TO ") else { return };
        if list == "PROXY" {
            return;
        }
        let mut list = list_of(list, true);
        if rest.contains("WITH GRANT OPTION") {
            list.push("GRANT".to_owned());
        }
        self.0.entry(object.replace('`', "")).or_default().extend(list);
    }
}

/// Split at commas outside of columns' parentheses.
fn list_of(text: &str, keep_case: bool) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        match (c, all.last_mut()) {
            (',', _) if depth == 0 => all.push(String::new()),
            (c, Some(last)) => last.push(c),
            _ => {}
        }
    }
    let plain = |word: String| {
        let word = word.trim().replace('`', "");
        let (name, columns) = word.split_once('(').map_or((word.as_str(), None), |(n, c)| (n.trim(), Some(c)));
        let name = match name.trim().to_uppercase().as_str() {
            "ALL PRIVILEGES" => "ALL".to_owned(),
            "GRANT OPTION" => "GRANT".to_owned(),
            other => other.to_owned(),
        };
        let Some(columns) = columns else { return name };
        let columns = if keep_case { columns.to_owned() } else { columns.to_uppercase() };
        let mut columns: Vec<&str> = columns.trim_end_matches(')').split(',').map(str::trim).collect();
        columns.sort_unstable();
        format!("{name} ({})", columns.join(", "))
    };
    all.into_iter().filter(|word| !word.trim().is_empty()).map(plain).collect()
}

/// `db`.`table`, `db`.*, FUNCTION `db`.`f`
fn named(object: &str) -> String {
    let (kind, name) = match object.split_once(' ') {
        Some((kind @ ("FUNCTION" | "PROCEDURE"), name)) => (format!("{kind} "), name),
        _ => (String::new(), object),
    };
    let part = |part: &str| if part == "*" { part.to_owned() } else { identifier(part) };
    match name.split_once('.') {
        Some((db, table)) => format!("{kind}{}.{}", part(db), part(table)),
        None => format!("{kind}{}", part(name)),
    }
}

pub(super) fn grant(
    server: &Server,
    task: &mut Task<'_>,
    at: &str,
    object: &str,
    list: &[String],
) -> Result<(), Failure> {
    let option = if list.iter().any(|word| word == "GRANT") { " WITH GRANT OPTION" } else { "" };
    let words: Vec<&str> = list.iter().map(String::as_str).filter(|word| *word != "GRANT").collect();
    let words = if words.is_empty() { "USAGE".to_owned() } else { words.join(",") };
    let statement = format!("GRANT {words} ON {} TO {at}{option}", named(object));
    act(server, task, &statement).map_err(|failure| {
        let why = &failure.message;
        Failure::new(format!("Error granting privileges, invalid priv string: {words} , query: {statement} , exception: {why}."))
    })
}

fn revoke(
    server: &Server,
    task: &mut Task<'_>,
    at: &str,
    object: &str,
    list: &[String],
) -> Result<(), Failure> {
    if list.iter().any(|word| word == "GRANT") {
        act(server, task, &format!("REVOKE GRANT OPTION ON {} FROM {at}", named(object)))?;
    }
    let words: Vec<&str> = list.iter().map(String::as_str).filter(|word| !matches!(*word, "GRANT" | "USAGE")).collect();
    if words.is_empty() {
        return Ok(());
    }
    act(server, task, &format!("REVOKE {} ON {} FROM {at}", words.join(","), named(object)))
}

/// Brings an account's privileges to what is wanted; what was done, if anything.
pub(super) fn settle(
    server: &Server,
    task: &mut Task<'_>,
    at: &str,
    wanted: &Privileges,
    mode: Mode,
) -> Result<Option<String>, Failure> {
    let now = Privileges::granted(server, task, at)?;
    let mut message = None;
    if mode == Mode::Exactly {
        for (object, list) in now.0.iter().filter(|(object, _)| !wanted.0.contains_key(*object)) {
            if object == EVERYTHING && list.iter().all(|word| word == "USAGE") {
                continue;
            }
            revoke(server, task, at, object, list)?;
            message = Some("Privileges updated".to_owned());
        }
    }
    let nothing = Vec::new();
    for (object, list) in &wanted.0 {
        let has = now.0.get(object).unwrap_or(&nothing);
        let (add, remove) = difference(list, has, mode);
        if add.is_empty() && remove.is_empty() {
            continue;
        }
        if !remove.is_empty() {
            revoke(server, task, at, object, &remove)?;
        }
        if !add.is_empty() {
            grant(server, task, at, object, &add)?;
        }
        message = Some(if has.is_empty() {
            "New privileges granted".to_owned()
        } else {
            format!("Privileges updated: granted {}, revoked {}", shown(&add), shown(&remove))
        });
    }
    Ok(message)
}

/// What is to be granted and what is to be revoked.
fn difference(wanted: &[String], has: &[String], mode: Mode) -> (Vec<String>, Vec<String>) {
    let real = |list: &[String]| -> Vec<String> { list.iter().filter(|word| *word != "USAGE").cloned().collect() };
    let (wanted, has) = (real(wanted), real(has));
    let all = has.iter().any(|word| word == "ALL");
    let missing = wanted.iter().filter(|word| !has.contains(word));
    match mode {
        Mode::Subtract => (Vec::new(), wanted.iter().filter(|word| has.contains(word)).cloned().collect()),
        Mode::Append => (missing.filter(|word| !all || *word == "GRANT").cloned().collect(), Vec::new()),
        Mode::Exactly => (missing.cloned().collect(), has.iter().filter(|word| !wanted.contains(word)).cloned().collect()),
    }
}

/// As Python shows a list.
fn shown(list: &[String]) -> String {
    let words: Vec<String> = list.iter().map(|word| format!("'{word}'")).collect();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_reads_as_what_was_asked_for() {
        let mut granted = Privileges::default();
        granted.read("GRANT SELECT, INSERT (`b`, `a`) ON `shop`.`t` TO `u`@`%`");
        granted.read("GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION");
        granted.read("GRANT `role` TO `u`@`%`");
        let text = Json::String("shop.t:select,insert(a,b)/*.*:ALL,GRANT".to_owned());
        assert_eq!(Privileges::wanted(Some(&text), true).unwrap(), Some(granted));
    }

    #[test]
    fn the_way_from_one_to_the_other() {
        let list = |text: &str| list_of(text, true);
        let (add, remove) = difference(&list("SELECT,INSERT"), &list("ALL"), Mode::Exactly);
        assert_eq!((shown(&add), shown(&remove)), ("['SELECT', 'INSERT']".to_owned(), "['ALL']".to_owned()));
        assert_eq!(difference(&list("USAGE"), &[], Mode::Exactly), (Vec::new(), Vec::new()));
        assert_eq!(difference(&list("UPDATE"), &list("ALL"), Mode::Append).0, Vec::<String>::new());
        assert_eq!(difference(&list("UPDATE"), &list("UPDATE,SELECT"), Mode::Subtract).1, ["UPDATE"]);
    }

    #[test]
    fn objects_are_quoted_part_by_part() {
        assert_eq!(named("shop.*"), "`shop`.*");
        assert_eq!(named("*.*"), "*.*");
        assert_eq!(named("FUNCTION a.b`c"), "FUNCTION `a`.`b``c`");
    }
}
