//! A package from a file or a web address: `apt` with `deb`.

use std::path::{Path, PathBuf};

use catalog::Args;

use crate::children;
use crate::module::{Failure, Outcome, Task};
use crate::packages::apt_get::{self, options};
use crate::packages::dpkg::Dpkg;
use crate::packages::version;

/// Installs a package file, its dependencies first.
pub fn install(args: &Args, task: &mut Task<'_>, given: &str) -> Result<Outcome, Failure> {
    let fetched = given.contains("://").then(|| fetch(task, given)).transpose()?;
    let file = fetched.clone().unwrap_or_else(|| PathBuf::from(given));
    let result = install_file(args, task, &file);
    if let Some(file) = fetched {
        // Our own temporary file, never part of the host's state.
        _ = std::fs::remove_file(&file);
        _ = file.parent().map(std::fs::remove_dir);
    }
    result
}

fn install_file(args: &Args, task: &mut Task<'_>, file: &Path) -> Result<Outcome, Failure> {
    let path = std::path::absolute(file)?;
    let shown = path.to_string_lossy().into_owned();
    let output = children::ask(task, &["dpkg-deb", "-f", &shown, "Package", "Version", "Architecture"])?;
    if !output.ok() {
        return Err(children::failed(
            &output,
            format!("Unable to install package: {}", output.stderr_text().trim()),
        ));
    }
    let text = output.stdout_text();
    let field = |key: &str| {
        text.lines()
            .find_map(|l| l.split_once(": ").filter(|(k, _)| *k == key).map(|(_, v)| v.trim()))
            .unwrap_or_default()
    };
    let (name, new) = (field("Package"), field("Version"));
    let key = match field("Architecture") {
        "all" | "" => name.to_owned(),
        arch => format!("{name}:{arch}"),
    };
    let there = Dpkg::now(task.cache).installed(&key).map(|p| p.version.clone());
    let force = args.bool("force") || args.bool("allow_downgrade");
    match there.map(|there| version::compare(&there, new)) {
        Some(std::cmp::Ordering::Equal) if !args.bool("force") => return Ok(Outcome::changed(false)),
        Some(std::cmp::Ordering::Greater) if !force => {
            return Err("A later version is already installed".into());
        }
        _ => {}
    }
    let mut words = options(args, task.check);
    words.extend(["install".to_owned(), shown]);
    if args.bool("force") {
        words.push("--reinstall".to_owned());
    }
    let output = apt_get::run(args, task, &words)?;
    let mut outcome = apt_get::result(task, &output, &words)?;
    outcome.changed = true;
    Ok(outcome)
}

/// With whatever the host has for fetching.
fn fetch(task: &Task<'_>, address: &str) -> Result<PathBuf, Failure> {
    let dir = children::expect(children::ask(task, &["mktemp", "-d"])?)?.stdout_text().trim().to_owned();
    let name = address.rsplit('/').next().filter(|n| n.ends_with(".deb")).unwrap_or("package.deb");
    let file = format!("{dir}/{name}");
    let helper = "/usr/lib/apt/apt-helper";
    let output = match children::ask_if_there(task, &["curl", "-fsSL", "-o", &file, address])? {
        Some(output) => output,
        None => children::ask(task, &[helper, "download-file", address, &file])?,
    };
    if !output.ok() {
        return Err(children::failed(
            &output,
            format!("Failed to download {address}: {}", output.stderr_text().trim()),
        ));
    }
    Ok(PathBuf::from(file))
}
