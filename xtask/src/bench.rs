//! The measurements of bench/ and the demonstration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::tally::Tally;
use crate::{setup, shell};

/// How a script says that this machine lacks what it measures with.
const SKIPPED: i32 = 77;

/// Runs every measurement of bench/, or those named: shell scripts directly, Rust files as `cargo bench`es of the root package.
pub(crate) fn run(names: &[String]) -> Result<ExitCode> {
    let found = measurements(&shell::root().join("bench"))?;
    if found.is_empty() {
        bail!("bench/ holds no measurement");
    }
    for name in names {
        if !found.iter().any(|(known, _)| known == name) {
            let known: Vec<_> = found.iter().map(|(known, _)| known.as_str()).collect();
            bail!("no measurement {name}; there are {}", known.join(", "));
        }
    }
    setup::run()?;
    shell::run(shell::cargo().args(["build", "--release"]))?;
    let oracle = setup::oracle()?;
    let theseus = shell::target()?.join("release/theseus");
    let mut tally = Tally::default();
    for (name, path) in &found {
        if !names.is_empty() && !names.contains(name) {
            continue;
        }
        println!("== {name}");
        let mut command = if path.extension().is_some_and(|ending| ending == "sh") {
            let mut bash = Command::new("bash");
            bash.arg(path);
            bash
        } else {
            let mut cargo = shell::cargo();
            cargo.args(["bench", "--bench", name]);
            cargo
        };
        command.env("THESEUS", &theseus).env("ORACLE", &oracle);
        match shell::status(&mut command)?.code() {
            Some(0) => tally.passed += 1,
            Some(SKIPPED) => tally.skipped.push(format!("bench {name}: it says above what is missing")),
            _ => tally.failed.push(format!("bench {name}: an aim was missed, or it could not be measured")),
        }
    }
    Ok(tally.conclude())
}

/// Name and file of each, by name.
fn measurements(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let wanted = path.extension().is_some_and(|ending| ending == "rs" || ending == "sh");
            if let (true, Some(name)) = (wanted, path.file_stem()) {
                found.push((name.to_string_lossy().into_owned(), path.clone()));
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn demo() -> Result<ExitCode> {
    let status =
        shell::status(shell::cargo().args(["run", "--release", "--package", "theseus", "--", "tour"]))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
