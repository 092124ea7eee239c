//! `apt_key`: keys that apt trusts, in its keyrings, by `apt-key` and `gpg`.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::command::{Output, find_program};
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "apt_key",
        &[
            Arg::str("id"),
            Arg::str("url"),
            Arg::str("data"),
            Arg::path("file"),
            Arg::path("keyring"),
            Arg::bool("validate_certs").default("true"),
            Arg::str("keyserver"),
            Arg::str("state").default("present").choices(&["absent", "present"]),
        ],
    )
    .mutually_exclusive(&[&["data", "file", "keyserver", "url"]]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    for program in ["apt-key", "gpg"] {
        if find_program(program).is_none() {
            return Err(Failure::new(format!("Failed to find required executable \"{program}\"")));
        }
    }
    let data = key_data(args, task)?;
    let id = match (args.str("id"), &data) {
        (Some(id), _) => checked(id)?,
        (None, Some(data)) => ids_in(task, data)?.into_iter().next().ok_or("No valid key in the data")?,
        (None, None) => {
            return Err("key_id is required to find the key: give `id`, `data`, `file` or `url`".into());
        }
    };
    let before = trusted(args, task)?;
    let there = before.iter().any(|known| known.ends_with(&id) || id.ends_with(known.as_str()));
    let present = args.string("state") == "present";
    let mut outcome = Outcome::changed(there != present);
    if there != present && !task.check {
        let done = if present { add(args, task, data.as_deref(), &id)? } else { delete(args, task, &id)? };
        if !done.ok() {
            let verb = if present { "adding" } else { "removing" };
            return Err(children::failed(
                &done,
                format!("Error {verb} key {id}: {}", done.stderr_text().trim()),
            ));
        }
        let after = trusted(args, task)?;
        if after.iter().any(|known| known.ends_with(&id) || id.ends_with(known.as_str())) != present {
            let place = if present { "not among" } else { "still among" };
            return Err(Failure::new(format!("the key {id} is {place} apt's keys"))
                .with("before", before)
                .with("after", after));
        }
        outcome.set("after", after);
    }
    let tail = |length: usize| id[id.len().saturating_sub(length)..].to_owned();
    Ok(outcome
        .with("before", before)
        .with("id", args.str("id").unwrap_or(&id))
        .with("fp", id.as_str())
        .with("key_id", tail(16))
        .with("short_id", tail(8)))
}

/// Hexadecimal digits, of 8, 16 or 40 of them.
fn checked(id: &str) -> Result<String, Failure> {
    let plain: String = id.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase();
    let plain = plain.strip_prefix("0X").unwrap_or(&plain).to_owned();
    if plain.len() >= 8 && plain.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(plain);
    }
    Err(Failure::new("Invalid key_id").with("id", id))
}

fn key_data(args: &Args, task: &Task<'_>) -> Result<Option<Vec<u8>>, Failure> {
    if let Some(data) = args.str("data") {
        return Ok(Some(data.as_bytes().to_vec()));
    }
    if let Some(file) = args.str("file") {
        return crate::files::read(Path::new(file)).map(Some);
    }
    let Some(url) = args.str("url") else { return Ok(None) };
    // An absent key with a known id needs no download.
    if args.string("state") == "absent" && args.has("id") {
        return Ok(None);
    }
    let scratch = layer::Scratch::new()?;
    let file = crate::http::download(task, url, (&scratch, "key"), args.bool("validate_certs"))?;
    crate::files::read(&file).map(Some)
}

/// Identifiers of the keys in some data, the primary one first.
fn ids_in(task: &Task<'_>, data: &[u8]) -> Result<Vec<String>, Failure> {
    let argv = ["gpg", "--no-tty", "--batch", "--with-colons", "--import-options", "show-only", "--import"];
    let output = children::in_c_locale(task, &argv).stdin(data).output()?;
    Ok(long_ids(&output.stdout_text()))
}

/// In gpg's colon form: the fifth field of `pub` and `sub` lines.
fn long_ids(text: &str) -> Vec<String> {
    let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let keys = fields.filter(|f| matches!(f.first(), Some(&("pub" | "sub"))));
    keys.filter_map(|f| f.get(4).map(|id| (*id).to_owned())).collect()
}

fn words<'a>(args: &'a Args, more: &[&'a str]) -> Vec<&'a str> {
    let mut argv = vec!["apt-key"];
    if let Some(ring) = args.str("keyring") {
        argv.extend(["--keyring", ring]);
    }
    argv.extend(more);
    argv
}

fn trusted(args: &Args, task: &Task<'_>) -> Result<Vec<String>, Failure> {
    let list = ["adv", "--list-public-keys", "--keyid-format=long", "--with-colons", "--with-fingerprint"];
    let output = children::ask(task, &words(args, &list))?;
    Ok(long_ids(&output.stdout_text()))
}

fn add(args: &Args, task: &mut Task<'_>, data: Option<&[u8]>, id: &str) -> Result<Output, Failure> {
    if let Some(server) = args.str("keyserver") {
        let argv = words(args, &["adv", "--no-tty", "--keyserver", server, "--recv", id]);
        return children::act(task, &argv);
    }
    let Some(data) = data else {
        return Err("give `data`, `file`, `url` or `keyserver` to add a key".into());
    };
    let process = children::in_c_locale(task, &words(args, &["add", "-"])).stdin(data);
    children::act_with(task, process)
}

fn delete(args: &Args, task: &mut Task<'_>, id: &str) -> Result<Output, Failure> {
    children::act(task, &words(args, &["del", id]))
}
