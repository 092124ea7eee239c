//! `tempfile`: a new file or directory with a name that nothing else has.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Check, ModuleSpec};
use layer::Attributes;

use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::str("state").default("file").choices(&["file", "directory"]),
    Arg::path("path"),
    Arg::str("prefix").default("ansible."),
    Arg::str("suffix").default(""),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("tempfile", ARGS).check(Check::Skip), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let dir = match args.str("path") {
        Some(path) => PathBuf::from(path),
        None => task.variable("TMPDIR").map_or_else(|| "/tmp".into(), PathBuf::from),
    };
    if !dir.is_dir() {
        return Err(Failure::new(format!(
            "could not create a temporary file: {} is no directory",
            dir.display()
        )));
    }
    let path = free_name(&dir, &args.string("prefix"), &args.string("suffix"))?;
    if args.str("state") == Some("directory") {
        task.recorder.create_dir(&path, &Attributes::mode(0o700))?;
    } else {
        task.recorder.write(&path, std::io::empty(), &Attributes::mode(0o600))?;
    }
    let state = args.string("state");
    Ok(Outcome::changed(true).with("path", path.to_string_lossy().into_owned()).with("state", state))
}

fn free_name(dir: &Path, prefix: &str, suffix: &str) -> Result<PathBuf, Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz_01234";
    for _ in 0..100 {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(std::io::Error::from)?;
        let middle: String = random.iter().map(|b| char::from(LETTERS[usize::from(b % 32)])).collect();
        let path = dir.join(format!("{prefix}{middle}{suffix}"));
        if path.symlink_metadata().is_err() {
            return Ok(path);
        }
    }
    Err(format!("no free name in {}", dir.display()).into())
}
