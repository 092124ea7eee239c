//! `slurp`: a file's content, as base64.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use catalog::{Arg, Args, Check, ModuleSpec};

use crate::files;
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("slurp", &[Arg::path("src").required().aliases(&["path"])]).check(Check::Query),
    run,
};

fn run(args: &Args, _task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let source = args.string("src");
    let bytes = read_whole(&source)?;
    let outcome = Outcome::default().with("content", BASE64_STANDARD.encode(bytes));
    Ok(outcome.with("source", source).with("encoding", "base64"))
}

pub(super) fn read_whole(source: &str) -> Result<Vec<u8>, Failure> {
    let path = Path::new(source);
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("File not found: {source}")))
        }
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Failure::new(format!("File is not readable: {source}")))
        }
        Ok(m) if m.is_dir() => {
            Err(Failure::new(format!("Source is a directory and must be a file: {source}")))
        }
        Err(e) => Err(Failure::new(format!("Unable to slurp file: {source}: {e}"))),
        Ok(_) => files::read(path),
    }
}
