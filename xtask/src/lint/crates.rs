//! Licences, sources and advisories of crates from outside, by cargo-deny.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::shell;
use crate::tally::Tally;

/// How long installing cargo-deny may take.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

pub(super) fn check(tally: &mut Tally) -> Result<()> {
    let Some(deny) = tool()? else {
        tally.skipped.push("licences, sources and advisories: cargo-deny could not be had".to_owned());
        return Ok(());
    };
    let output = run(&deny, &["licenses", "bans", "sources"])?;
    println!("licences and sources: {}", if output.0 { "fine" } else { "not fine" });
    if output.0 {
        tally.passed += 1;
    } else {
        print!("{}", output.1);
        tally.failed.push("licences and sources".to_owned());
    }
    let output = run(&deny, &["advisories"])?;
    if output.0 {
        println!("advisories: fine");
        tally.passed += 1;
    } else if unreachable(&output.1) {
        tally.skipped.push("advisories: their database could not be fetched".to_owned());
    } else {
        print!("advisories: not fine\n{}", output.1);
        tally.failed.push("advisories".to_owned());
    }
    Ok(())
}

fn run(deny: &PathBuf, what: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(deny)
        .args(["--color", "never", "check", "--hide-inclusion-graph"])
        .args(what)
        .output()?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), said))
}

fn unreachable(said: &str) -> bool {
    let said = said.to_lowercase();
    [
        "failed to fetch advisory database",
        "failed to fetch",
        "failed to load advisory",
        "unable to connect",
        "dns error",
        "failed to clone",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// cargo-deny, from the path or installed once below the target directory.
fn tool() -> Result<Option<PathBuf>> {
    if shell::has_program("cargo-deny") {
        return Ok(Some(PathBuf::from("cargo-deny")));
    }
    let place = shell::target()?.join("tools");
    let program = place.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(Some(program));
    }
    println!("installing cargo-deny into {}", place.display());
    let mut install = shell::cargo();
    install.args(["install", "cargo-deny", "--locked", "--quiet", "--root"]).arg(&place);
    // Built beside our own things, so that it does not get in their way.
    install.env("CARGO_TARGET_DIR", place.join("build"));
    let installed = shell::wait_at_most(install.stdin(Stdio::null()).spawn()?, PATIENCE);
    match installed {
        Ok(status) if status.success() && program.is_file() => Ok(Some(program)),
        Ok(status) => {
            println!("installing cargo-deny ended with {status}");
            Ok(None)
        }
        Err(error) => {
            println!("installing cargo-deny: {error:#}");
            Ok(None)
        }
    }
}
