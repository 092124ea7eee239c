//! All tests of the workspace, the trials of crashes, then the conformance suite, then one closing line.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::tally::Tally;
use crate::{conformance, setup, shell, trials};

pub(crate) fn run() -> Result<ExitCode> {
    let mut phases = Phases::default();
    phases.time("setup", setup::run)?;
    let build = || shell::run(shell::cargo().args(["build", "--workspace", "--all-targets"]));
    phases.time("build", build)?;
    let mut tally = phases.time("tests", cargo_test)?;
    tally.add(phases.time("trials", || trials::run(&[]))?);
    tally.add(phases.time("conformance", || conformance::run(&conformance::Options::default()))?);
    println!("\n{}", phases.0.join(", "));
    Ok(tally.conclude())
}

/// How long each part took, for whoever waits for it.
#[derive(Default)]
struct Phases(Vec<String>);

impl Phases {
    fn time<T>(&mut self, name: &str, part: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = part();
        let seconds = start.elapsed().as_secs();
        self.0.push(format!("{name} {}m{:02}", seconds / 60, seconds % 60));
        done
    }
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
    /// The test whose output is being read, after all tests of a program were run, and that output.
    block: Option<(String, Vec<String>)>,
    tally: Tally,
}

impl Reading {
    fn line(&mut self, line: &str) {
        self.output(line);
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

    /// The harness shows what tests printed in blocks, each after its test's name, those of the failed ones last.
    fn output(&mut self, line: &str) {
        let name = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        if name.is_some() || matches!(line, "successes:" | "failures:") || line.starts_with("test result:") {
            if let Some((name, lines)) = self.block.take()
                && self.failed.contains(&name)
            {
                self.tally.print_again(&name, &lines);
            }
            self.block = name.map(|name| (name.to_owned(), Vec::new()));
        } else if let Some((_, lines)) = &mut self.block {
            lines.push(line.to_owned());
        }
    }

    fn finish(self) -> Tally {
        let passed = self.passed.saturating_sub(self.skipped.len());
        let skipped = self.skipped.into_iter().chain(self.ignored).collect();
        Tally { passed, failed: self.failed, skipped, ..self.tally }
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
            "test c ... FAILED",
            "test d ... ignored, slow",
            "successes:",
            "---- needs_root stdout ----",
            "SKIPPED needs_root: not root",
            "successes:",
            "    a::b",
            "failures:",
            "---- c stdout ----",
            "it is 1, not 2",
            "failures:",
            "    c",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored",
        ] {
            reading.line(line);
        }
        let tally = reading.finish();
        assert_eq!(tally.passed, 1);
        assert_eq!(tally.failed, ["c"]);
        assert_eq!(tally.printed, ["---- c ----\nit is 1, not 2"]);
        assert_eq!(tally.skipped, ["needs_root: not root", "d: ignored, slow"]);
    }
}
