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
    Arg::bool("fail_on_missing").default("true"),
    Arg::bool("validate_checksum").default("true").controller_only(),
    // The digest of what the controller has already: that need not travel.
    Arg::str("_known"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("fetch", ARGS).check(Check::Query), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let source = crate::serve::expand_path(&args.string("src"), task.environment);
    let path = Path::new(&source);
    let must = args.bool("fail_on_missing");
    let reason = if !path.exists() {
        "the remote file does not exist, not transferring, ignored"
    } else if path.is_dir() && must {
        "remote file is a directory, fetch cannot work on directories"
    } else if path.is_dir() {
        "remote file is a directory, fetch cannot work on directories, not transferring, ignored"
    } else {
        return content(&source, args.str("_known"));
    };
    if must {
        return Err(Failure::new(reason));
    }
    Ok(Outcome::default().with("msg", reason).with("file", source))
}

fn content(source: &str, known: Option<&str>) -> Result<Outcome, Failure> {
    let bytes = read_whole(source)?;
    let outcome = Outcome::default()
        .with("checksum", files::sha1_of(&bytes))
        .with("md5sum", files::md5_of(&bytes))
        .with("size", bytes.len())
        .with("source", source);
    if known.is_some_and(|known| known == layer::Digest::of(&bytes).to_string()) {
        return Ok(outcome);
    }
    Ok(outcome.with("content", BASE64_STANDARD.encode(&bytes)).with("encoding", "base64"))
}
