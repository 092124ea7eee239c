//! `fetch`, the host's side: the content of a file, for the controller to keep.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use catalog::{Arg, Args, Check, ModuleSpec};

use super::slurp::read_whole;
use crate::files;
use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::str("src").required(),
    Arg::str("dest").controller_only(),
    Arg::bool("flat").default("false").controller_only(),
    Arg::bool("fail_on_missing").default("true").controller_only(),
    Arg::bool("validate_checksum").default("true").controller_only(),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("fetch", ARGS).check(Check::Query), run };

/// A missing file is no failure here (`missing: true`): the controller decides by `fail_on_missing`.
fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let source = crate::serve::expand_path(&args.string("src"), task.environment);
    if !Path::new(&source).exists() {
        return Ok(Outcome::default().with("missing", true).with("source", source));
    }
    if Path::new(&source).is_dir() {
        return Err(
            Failure::new("remote file is a directory, fetch cannot work on directories").with("file", source)
        );
    }
    let bytes = read_whole(&source)?;
    let outcome =
        Outcome::default().with("checksum", files::sha1_of(&bytes)).with("md5sum", files::md5_of(&bytes));
    let outcome = outcome.with("size", bytes.len()).with("content", BASE64_STANDARD.encode(&bytes));
    Ok(outcome.with("source", source).with("encoding", "base64"))
}
