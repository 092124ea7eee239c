//! `cargo xtask fuzz`: builds and runs `fuzz/`, one target after the other.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::shell;
use crate::tally::Tally;

const TARGETS: &[&str] = &["yaml", "template", "expression", "inventory", "vault", "keyvalue"];

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let options = arguments.iter().position(|argument| argument.starts_with("--")).unwrap_or(arguments.len());
    let (named, options) = arguments.split_at(options);
    let mut targets: Vec<&str> = named.iter().map(String::as_str).collect();
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    let mut tally = Tally::default();
    for target in targets {
        one(target, options, &mut tally)?;
    }
    Ok(tally)
}

fn one(target: &str, options: &[String], tally: &mut Tally) -> Result<()> {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--package", "theseus-fuzz", "--", target]).args(options);
    let mut child = command.stdout(Stdio::piped()).spawn().context("the fuzzer")?;
    let stdout = child.stdout.take().context("the fuzzer has no output")?;
    let before = tally.failed.len();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        if line.starts_with("ok ") {
            tally.passed += 1;
        } else if let Some(rest) = line.strip_prefix("FAILED ") {
            tally.failed.push(rest.to_owned());
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed.len() == before {
        tally.failed.push(format!("fuzz {target} ended with {status}; its input is in the temporary folder"));
    }
    Ok(())
}
