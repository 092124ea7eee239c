//! All tests of the workspace, the trials of crashes, then the conformance suite, then one closing line.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::tally::Tally;
use crate::{conformance, setup, shell, trials};

pub(crate) fn run() -> Result<ExitCode> {
    setup::run()?;
    shell::run(shell::cargo().args(["build", "--workspace", "--all-targets"]))?;
    let mut tally = cargo_test()?;
    tally.add(trials::run(&[])?);
    tally.add(conformance::run(&conformance::Options::default())?);
    Ok(tally.conclude())
}

/// Tests that find a condition missing print `SKIPPED name: reason` and return; they are counted as skipped.
fn cargo_test() -> Result<Tally> {
    let mut command = shell::cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]).stdout(Stdio::piped());
    let mut child = command.spawn().context("cargo test")?;
    let stdout = child.stdout.take().context("cargo test has no output")?;
    let mut reading = Reading::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        reading.line(&line);
    }
    let status = child.wait()?;
    let mut tally = reading.finish();
    if !status.success() && tally.failed.is_empty() {
        tally.failed.push(format!("cargo test ended with {status} before its tests could run"));
    }
    Ok(tally)
}

/// What the harness of Rust prints, read line by line.
#[derive(Default)]
struct Reading {
    passed: usize,
    failed: Vec<String>,
    ignored: Vec<String>,
    skipped: BTreeSet<String>,
}

impl Reading {
    fn line(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix("SKIPPED ") {
            self.skipped.insert(reason.to_owned());
        }
        let Some(rest) = line.strip_prefix("test ") else { return };
        let Some((name, outcome)) = rest.rsplit_once(" ... ") else { return };
        match outcome.split([',', ' ']).next() {
            Some("ok") => self.passed += 1,
            Some("FAILED") => self.failed.push(name.to_owned()),
            Some("ignored") => self.ignored.push(format!("{name}: {outcome}")),
            _ => {}
        }
    }

    fn finish(self) -> Tally {
        let passed = self.passed.saturating_sub(self.skipped.len());
        let skipped = self.skipped.into_iter().chain(self.ignored).collect();
        Tally { passed, failed: self.failed, skipped }
    }
}

#[cfg(test)]
mod tests {
    use super::Reading;

    #[test]
    fn counts_what_the_harness_prints() {
        let mut reading = Reading::default();
        for line in [
            "test a::b ... ok",
            "test needs_root ... ok",
            "SKIPPED needs_root: not root",
            "test c ... FAILED",
            "test d ... ignored, slow",
            "test result: ok. 2 passed; 1 failed; 1 ignored",
        ] {
            reading.line(line);
        }
        let tally = reading.finish();
        assert_eq!(tally.passed, 1);
        assert_eq!(tally.failed, ["c"]);
        assert_eq!(tally.skipped, ["needs_root: not root", "d: ignored, slow"]);
    }
}
