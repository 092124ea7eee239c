//! `rpm_key`: keys that RPM trusts, in its own database, by `rpm` and `gpg`.

use std::path::PathBuf;

use catalog::{Arg, Args, ModuleSpec};
use layer::Scratch;

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::str("key").required().no_log(),
    Arg::list("fingerprint"),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::bool("validate_certs").default("true"),
];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("rpm_key", ARGS), run };

/// What gpg says of a key in a file.
struct Key {
    /// The primary key's, then those of subkeys: sixteen digits each.
    ids: Vec<String>,
    fingerprints: Vec<String>,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (key, present) = (args.string("key"), args.string("state") == "present");
    let scratch = Scratch::new()?;
    let file = file(args, task, &key, &scratch)?;
    let mut read = None;
    let ids = match &file {
        Some(file) => {
            let found = look(task, file)?;
            let Some(found) = found else { return Err(Failure::new(format!("Not a public key: {key}"))) };
            read = Some(found);
            read.as_ref().map(|found| found.ids.clone()).unwrap_or_default()
        }
        None if present => return Err("When importing a key, a valid file must be given".into()),
        None => vec![plain(&key)],
    };
    let installed = installed(task)?;
    let matching: Vec<&String> = installed.iter().filter(|known| ids.iter().any(|id| same(id, known))).collect();
    let there = !matching.is_empty();
    if let Some(found) = read.filter(|_| present && !there) {
        expected(args, &key, &found)?;
    }
    if there != present && !task.check {
        match &file {
            Some(file) if present => {
                let path = file.to_string_lossy();
                children::expect(children::act(task, &["rpm", "--import", &path])?)?;
            }
            _ => {
                for known in matching {
                    let package = format!("gpg-pubkey-{known}");
                    children::expect(children::act(task, &["rpm", "--erase", "--allmatches", &package])?)?;
                }
            }
        }
    }
    Ok(Outcome::changed(there != present))
}

/// The key as a file; `None`: it is only an identifier.
fn file(args: &Args, task: &Task<'_>, key: &str, scratch: &Scratch) -> Result<Option<PathBuf>, Failure> {
    if key.contains("://") {
        let certificates = args.bool("validate_certs");
        return crate::http::download(task, key, (scratch, "key"), certificates).map(Some);
    }
    let path = PathBuf::from(key);
    if path.is_file() {
        return Ok(Some(path));
    }
    let id = plain(key);
    let is_id = id.len() >= 8 && id.chars().all(|c| c.is_ascii_hexdigit());
    if is_id { Ok(None) } else { Err(Failure::new(format!("Not a valid key {key}"))) }
}

fn plain(id: &str) -> String {
    let id = id.replace(' ', "").to_lowercase();
    id.strip_prefix("0x").map(str::to_owned).unwrap_or(id)
}

fn same(a: &str, b: &str) -> bool {
    a.ends_with(b) || b.ends_with(a)
}

fn look(task: &Task<'_>, file: &std::path::Path) -> Result<Option<Key>, Failure> {
    let path = file.to_string_lossy();
    let words = ["--no-tty", "--batch", "--with-colons", "--fixed-list-mode"];
    let import = ["--import-options", "show-only", "--import", &path];
    let argv: Vec<&str> = ["gpg"].into_iter().chain(words).chain(import).collect();
    let Some(output) = children::ask_if_there(task, &argv)? else {
        return Err("the program `gpg` is needed on the host to read keys".into());
    };
    let text = output.stdout_text();
    let field = |line: &str, at: usize| line.split(':').nth(at).unwrap_or_default().to_lowercase();
    let of = |kinds: &[&str], at: usize| -> Vec<String> {
        let fits = |line: &&str| kinds.iter().any(|kind| line.starts_with(kind));
        text.lines().filter(fits).map(|line| field(line, at)).collect()
    };
    let ids = of(&["pub:", "sub:"], 4);
    if ids.is_empty() {
        return Ok(None);
    }
    Ok(Some(Key { ids, fingerprints: of(&["fpr:"], 9) }))
}

/// The fingerprints that the task demands.
fn expected(args: &Args, key: &str, found: &Key) -> Result<(), Failure> {
    let wanted: Vec<String> = args.strings("fingerprint").iter().map(|text| plain(text)).collect();
    if wanted.is_empty() || wanted.iter().any(|wanted| found.fingerprints.contains(wanted)) {
        return Ok(());
    }
    let is = found.fingerprints.first().map(|text| text.to_uppercase()).unwrap_or_default();
    let should: Vec<String> = wanted.iter().map(|text| text.to_uppercase()).collect();
    Err(Failure::new(format!(
        "The specified fingerprint, '{}', does not match any key fingerprints in '{key}' ({is})",
        should.join(", ")
    )))
}

/// Identifiers of the keys in the database: eight digits, or all of a fingerprint in newer versions.
fn installed(task: &Task<'_>) -> Result<Vec<String>, Failure> {
    let argv = ["rpm", "-q", "gpg-pubkey", "--qf", "%{VERSION}\\n"];
    let Some(output) = children::ask_if_there(task, &argv)? else {
        return Err("the program `rpm` is needed on the host".into());
    };
    // There is none: it says so and ends with 1.
    if !output.ok() {
        return Ok(Vec::new());
    }
    Ok(output.stdout_text().lines().map(|line| line.trim().to_lowercase()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_any_length_are_compared_by_their_end() {
        assert!(same("72f97b74ec551f03", "ec551f03"));
        assert!(same(&plain("0xEC55 1F03"), "72f97b74ec551f03"));
        assert!(!same("72f97b74ec551f03", "deadbeef"));
    }
}
