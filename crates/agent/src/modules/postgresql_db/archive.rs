//! `state: dump` and `state: restore`, by `pg_dump`, `pg_restore` and `psql`.

use std::io::Read;
use std::path::Path;

use catalog::Args;
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use layer::Attributes;

use super::told;
use crate::children;
use crate::command::{Output, Run};
use crate::files;
use crate::module::{At, Failure, Outcome, Task};
use crate::postgresql::Server;
use crate::words;

pub(super) fn dump(args: &Args, task: &mut Task<'_>, server: &Server, exists: bool) -> Result<Outcome, Failure> {
    let (db, target) = (args.string("db"), args.string("target"));
    if !exists {
        return Err(Failure::new(format!("source database \"{db}\" does not exist")));
    }
    known_packing(&target)?;
    let mut line = vec!["pg_dump".to_owned(), format!("--dbname={db}")];
    if let Some(format) = own_format(&target) {
        line.push(format!("--format={format}"));
    }
    line.extend(extra(args, "target_opts")?);
    line.extend(extra(args, "dump_extra_args")?);
    let shown = words::join(&line);
    if task.check {
        return Ok(told(args, true, &shown, ""));
    }
    // Whole or not at all: the file changes its name only when the program ended well.
    let scratch = layer::Scratch::new()?;
    let made = scratch.path().join("dump");
    let run = server.program(task, "pg_dump").args(&line[1..]).arg("-f").arg(&made);
    expect(children::act_with(task, run)?)?;
    let mut content = Vec::new();
    if made.is_dir() {
        return Err("a dump into a folder is not supported: use a target of one file (.sql, .sql.gz, .pgc, .tar)".into());
    }
    let file = files::open(&made)?;
    let read = if target.ends_with(".gz") {
        GzEncoder::new(file, Compression::default()).read_to_end(&mut content)
    } else {
        (&file).read_to_end(&mut content)
    };
    read.at("read", &made)?;
    task.recorder.write(Path::new(&target), &content[..], &Attributes::default())?;
    Ok(told(args, true, &shown, ""))
}

pub(super) fn restore(args: &Args, task: &mut Task<'_>, server: &Server, exists: bool) -> Result<Outcome, Failure> {
    let (db, target) = (args.string("db"), args.string("target"));
    if !exists {
        return Err(Failure::new(format!("target database \"{db}\" does not exist")));
    }
    known_packing(&target)?;
    let own = own_format(&target);
    let program = if own.is_some() { "pg_restore" } else { "psql" };
    let mut line = vec![program.to_owned(), format!("--dbname={db}")];
    line.extend(own.map(|format| format!("--format={format}")));
    line.extend(extra(args, "target_opts")?);
    let shown = words::join(&line);
    if task.check {
        return Ok(told(args, true, &shown, ""));
    }
    let bytes = files::read(Path::new(&target))?;
    let input = if target.ends_with(".gz") {
        let mut text = Vec::new();
        GzDecoder::new(&bytes[..]).read_to_end(&mut text).at("unpack", &target)?;
        text
    } else {
        bytes
    };
    let run: Run<'_> = server.program(task, program).args(&line[1..]).stdin(input);
    expect(children::order(task, run)?)?;
    Ok(told(args, true, &shown, ""))
}

/// What `pg_restore` reads and `psql` does not.
fn own_format(target: &str) -> Option<&'static str> {
    match Path::new(target).extension()?.to_str()? {
        "tar" => Some("t"),
        "pgc" => Some("c"),
        _ => None,
    }
}

fn known_packing(target: &str) -> Result<(), Failure> {
    let unknown = [".bz2", ".xz", ".dir"].iter().find(|end| target.ends_with(**end));
    match unknown {
        _ if target.is_empty() => Err("You need to set target option when state is dump or restore".into()),
        Some(end) => Err(Failure::new(format!(
            "{target}: files ending in {end} cannot be read and written here: use .sql, .sql.gz, .pgc or .tar"
        ))),
        None => Ok(()),
    }
}

fn extra(args: &Args, name: &str) -> Result<Vec<String>, Failure> {
    words::split(&args.string(name)).map_err(|e| Failure::new(format!("{name}: {e}")))
}

fn expect(output: Output) -> Result<Output, Failure> {
    if output.ok() {
        return Ok(output);
    }
    let said = output.stderr_text();
    Err(children::failed(&output, said.trim_end()))
}
