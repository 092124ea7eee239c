//! `state: dump` and `state: import`, by the server's own programs; files packed by gzip, bzip2 or xz are known by
//! their names.

use std::path::Path;

use catalog::Args;
use layer::Attributes;

use super::told;
use crate::children;
use crate::files;
use crate::module::{Failure, Outcome, Task};
use crate::mysql::{Server, expect, identifier};
use crate::words;

pub(super) fn dump(
    args: &Args,
    task: &mut Task<'_>,
    server: &Server,
    names: &[String],
) -> Result<Outcome, Failure> {
    let target = args.string("target");
    let outcome = told(Outcome::changed(true), names).with("msg", "");
    if task.check {
        return Ok(outcome);
    }
    let line = options(args, names)?;
    // Whole or not at all: the file gets its name only when the program ended well.
    let scratch = layer::Scratch::new()?;
    let made = scratch.path().join("dump");
    let run = server.program(task, ["mariadb-dump", "mysqldump"])?.args(&line);
    let output = expect(run.arg(format!("--result-file={}", made.display())).output()?)?;
    let packed = match packer(&target) {
        None => made,
        Some((program, ending)) => {
            let name = made.to_string_lossy();
            children::expect(children::ask(task, &[program, &name])?)?;
            made.with_extension(ending)
        }
    };
    task.recorder.write(Path::new(&target), files::open(&packed)?, &Attributes::default())?;
    let shown = format!("mariadb-dump {} > {target}", words::join(&line));
    Ok(outcome.with("msg", output.stderr_text()).with("executed_commands", vec![shown]))
}

fn options(args: &Args, names: &[String]) -> Result<Vec<String>, Failure> {
    let mut line = Vec::new();
    let mut add = |on: bool, word: &str| {
        if on {
            line.push(word.to_owned());
        }
    };
    let all = names.iter().any(|name| name == "all");
    add(args.bool("force"), "--force");
    add(all, "--all-databases");
    add(!all && names.len() > 1, "--databases");
    add(args.bool("skip_lock_tables"), "--skip-lock-tables");
    add(!args.str("encoding").unwrap_or_default().is_empty(), &format!("--default-character-set={}", args.string("encoding")));
    add(args.bool("single_transaction"), "--single-transaction=true");
    add(args.bool("quick"), "--quick");
    add(args.bool("hex_blob"), "--hex-blob");
    let master = args.int("master_data").unwrap_or(0);
    add(master > 0, &format!("--master-data={master}"));
    for table in args.strings("ignore_tables").iter().filter(|table| !table.is_empty()) {
        line.push(format!("--ignore-table={table}"));
    }
    if let Some(more) = args.str("dump_extra_args") {
        line.extend(words::split(more)?);
    }
    if !all {
        line.extend(names.iter().cloned());
    }
    Ok(line)
}

pub(super) fn import(
    args: &Args,
    task: &mut Task<'_>,
    server: &Server,
    names: &[String],
    exists: bool,
) -> Result<Outcome, Failure> {
    let target = args.string("target");
    if !Path::new(&target).exists() {
        return Err(Failure::new(format!("target {target} does not exist on the host")));
    }
    let outcome = told(Outcome::changed(true), names).with("msg", "");
    if task.check {
        return Ok(outcome);
    }
    let name = names.iter().find(|name| *name != "all");
    if let Some(name) = name.filter(|_| !exists) {
        server.act(task, &super::created(args, name))?;
    }
    let content = match packer(&target) {
        None => files::read(Path::new(&target))?,
        Some((program, _)) => children::expect(children::ask(task, &[program, "-dc", &target])?)?.stdout,
    };
    let mut line: Vec<String> = Vec::new();
    if args.bool("force") {
        line.push("-f".to_owned());
    }
    if let Some(encoding) = args.str("encoding").filter(|encoding| !encoding.is_empty()) {
        line.push(format!("--default-character-set={encoding}"));
    }
    if let Some(name) = name {
        line.extend(["--one-database".to_owned(), name.clone()]);
        task.recorder.opaque(format!("MySQL: filled the database {} from {target}", identifier(name)))?;
    } else {
        task.recorder.opaque(format!("MySQL: filled all databases from {target}"))?;
    }
    expect(server.program(task, ["mariadb", "mysql"])?.args(&line).stdin(content).output()?)?;
    let shown = format!("mariadb {} < {target}", words::join(&line));
    Ok(outcome.with("executed_commands", vec![shown]))
}

/// The program for a file of this name, and the ending that it adds.
fn packer(target: &str) -> Option<(&'static str, &'static str)> {
    match Path::new(target).extension()?.to_str()? {
        "gz" => Some(("gzip", "gz")),
        "bz2" => Some(("bzip2", "bz2")),
        "xz" => Some(("xz", "xz")),
        _ => None,
    }
}
