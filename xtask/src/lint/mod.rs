//! What must hold of the tree itself: format, lints, rooms, lengths, documents, cases, licences.

mod crates;
mod documents;
mod rooms;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::conformance::case;
use crate::shell;
use crate::tally::Tally;

const LONGEST: usize = 700;

type Check = fn() -> Result<Vec<String>>;

/// Each check by its name; it returns its complaints.
const CHECKS: &[(&str, Check)] = &[
    ("format", format),
    ("rooms", rooms::check),
    ("lengths of files", lengths),
    ("unfinished code", unfinished),
    ("paths named in documents", documents::check),
    ("conformance cases", cases),
    ("clippy", clippy),
];

pub(crate) fn run() -> Result<ExitCode> {
    let mut tally = Tally::default();
    for (name, check) in CHECKS {
        let complaints = check()?;
        println!("{name}: {}", if complaints.is_empty() { "fine" } else { "not fine" });
        for complaint in &complaints {
            println!("  {complaint}");
        }
        if complaints.is_empty() {
            tally.passed += 1;
        } else {
            tally.failed.push((*name).to_owned());
        }
    }
    crates::check(&mut tally)?;
    Ok(tally.conclude())
}

fn format() -> Result<Vec<String>> {
    let status = shell::status(shell::cargo().args(["fmt", "--all", "--check"]))?;
    Ok(if status.success() { Vec::new() } else { vec!["run `cargo fmt --all`".to_owned()] })
}

fn clippy() -> Result<Vec<String>> {
    let status = shell::status(shell::cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(if status.success() { Vec::new() } else { vec!["clippy has something to say".to_owned()] })
}

/// Every Rust file of the workspace.
fn sources() -> Result<Vec<PathBuf>> {
    let root = shell::root();
    let mut found = Vec::new();
    for folder in ["src", "crates", "xtask", "tests", "bench", "examples"] {
        let folder = root.join(folder);
        if folder.is_dir() {
            found.extend(case::files(&folder)?);
        }
    }
    found.retain(|file| file.extension().is_some_and(|ending| ending == "rs"));
    Ok(found)
}

fn lengths() -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for file in sources()? {
        let lines = fs::read_to_string(&file)?.lines().count();
        if lines > LONGEST {
            complaints.push(format!("{}: {lines} lines, at most {LONGEST}", shown(&file)));
        }
    }
    Ok(complaints)
}

fn unfinished() -> Result<Vec<String>> {
    // In two parts, or this very line would be found.
    let words = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut complaints = Vec::new();
    for file in sources()? {
        let text = fs::read_to_string(&file)?;
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                complaints.push(format!("{}:{}: {}", shown(&file), number + 1, line.trim()));
            }
        }
    }
    Ok(complaints)
}

fn cases() -> Result<Vec<String>> {
    Ok(match case::find(&[]) {
        Ok(cases) if cases.is_empty() => vec!["there is none".to_owned()],
        Ok(_) => Vec::new(),
        Err(error) => vec![format!("{error:#}")],
    })
}

fn shown(file: &std::path::Path) -> String {
    file.strip_prefix(shell::root()).unwrap_or(file).display().to_string()
}
