//! Running apt-get: its options, waiting for its locks, reading what it said.

use std::time::{Duration, Instant};

use catalog::Args;
use serde_json::json;

use crate::children;
use crate::command::{Output, Run};
use crate::module::{Failure, Outcome, Task};
use crate::patterns;

pub const PROGRAM: &str = "/usr/bin/apt-get";

/// Environment in which apt and dpkg ask nothing and speak English.
pub fn quiet<'a>(run: Run<'a>) -> Run<'a> {
    run.env("DEBIAN_FRONTEND", "noninteractive").env("DEBIAN_PRIORITY", "critical").env("LANGUAGE", "C")
}

/// Options that every change gets.
pub fn options(args: &Args, check: bool) -> Vec<String> {
    let mut list = vec!["-y".to_owned()];
    for option in args.string("dpkg_options").split(',').map(str::trim).filter(|o| !o.is_empty()) {
        list.extend(["-o".to_owned(), format!("Dpkg::Options::=--{option}")]);
    }
    let wait = args.int("lock_timeout").unwrap_or(60);
    list.extend(["-o".to_owned(), format!("DPkg::Lock::Timeout={wait}")]);
    if check {
        list.push("--simulate".to_owned());
    }
    if args.bool("fail_on_autoremove") {
        list.push("--no-remove".to_owned());
    }
    let force = args.bool("force");
    let switches = [
        ("only_upgrade", "--only-upgrade", false),
        ("allow_unauthenticated", "--allow-unauthenticated", force),
        ("allow_downgrade", "--allow-downgrades", force),
        ("allow_change_held_packages", "--allow-change-held-packages", force),
        ("", "--allow-remove-essential", force),
    ];
    list.extend(
        switches.iter().filter(|(arg, _, forced)| args.bool(arg) || *forced).map(|(_, o, _)| (*o).to_owned()),
    );
    if let Some(release) = args.str("default_release") {
        list.extend(["-t".to_owned(), release.to_owned()]);
    }
    if args.has("install_recommends") {
        let yes = if args.bool("install_recommends") { "yes" } else { "no" };
        list.extend(["-o".to_owned(), format!("APT::Install-Recommends={yes}")]);
    }
    list
}

/// Runs apt-get and waits while somebody else holds its locks. In check mode it only simulates.
pub fn run(args: &Args, task: &mut Task<'_>, words: &[String]) -> Result<Output, Failure> {
    let patience =
        Duration::from_secs(args.int("lock_timeout").and_then(|n| u64::try_from(n).ok()).unwrap_or(60));
    let end = Instant::now() + patience;
    let policy = PolicyFile::place(args, task)?;
    let result = loop {
        let argv: Vec<&str> = std::iter::once(PROGRAM).chain(words.iter().map(String::as_str)).collect();
        let process = quiet(children::in_c_locale(task, &argv));
        let result = if task.check {
            process.output().map_err(Failure::from)
        } else {
            children::act_with(task, process)
        };
        let locked = result.as_ref().is_ok_and(|o| !o.ok() && o.stderr_text().contains("Could not get lock"));
        if !locked || Instant::now() >= end {
            break result;
        }
        task.go_on()?;
        std::thread::sleep(Duration::from_secs(1));
    };
    policy.take_away(task)?;
    result
}

/// `/usr/sbin/policy-rc.d`: says whether packages may start services while they are installed.
struct PolicyFile {
    before: Option<(Vec<u8>, u32)>,
    placed: bool,
}

impl PolicyFile {
    const PATH: &str = "/usr/sbin/policy-rc.d";

    fn place(args: &Args, task: &mut Task<'_>) -> Result<Self, Failure> {
        use std::os::unix::fs::PermissionsExt;
        let Some(code) = args.int("policy_rc_d").filter(|_| !task.check) else {
            return Ok(Self { before: None, placed: false });
        };
        let path = std::path::Path::new(Self::PATH);
        let mode = path.metadata().map(|m| m.permissions().mode() & 0o7777).unwrap_or(0o755);
        let before = std::fs::read(path).ok().map(|bytes| (bytes, mode));
        let script = format!("#!/bin/sh\nexit {code}\n");
        task.recorder.write(path, script.as_bytes(), &layer::Attributes::mode(0o755))?;
        Ok(Self { before, placed: true })
    }

    fn take_away(self, task: &mut Task<'_>) -> Result<(), Failure> {
        let path = std::path::Path::new(Self::PATH);
        match self.before {
            Some((bytes, mode)) => {
                _ = task.recorder.write(path, bytes.as_slice(), &layer::Attributes::mode(mode))?
            }
            None if self.placed => task.recorder.remove(path)?,
            None => {}
        }
        Ok(())
    }
}

/// What a run of apt-get means as a result. `doing`: for the message when it failed.
pub fn result(task: &Task<'_>, output: &Output, words: &[String]) -> Result<Outcome, Failure> {
    let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
    if !output.ok() {
        let message = unavailable(&stderr)
            .unwrap_or_else(|| format!("'{PROGRAM} {}' failed: {stderr}", crate::words::join(words)));
        return Err(children::failed(output, message));
    }
    let mut outcome =
        Outcome::changed(!changes_nothing(&stdout)).with("stdout", stdout.clone()).with("stderr", stderr);
    if task.diff {
        outcome.diff.push(json!({"prepared": prepared(&stdout)}));
    }
    Ok(outcome)
}

fn unavailable(stderr: &str) -> Option<String> {
    stderr.lines().find_map(|line| {
        if let Some(name) = line.strip_prefix("E: Unable to locate package ") {
            return Some(format!("No package matching '{}' is available", name.trim()));
        }
        let rest = line.strip_prefix("E: Version '")?;
        let (version, rest) = rest.split_once("' for '")?;
        let name = rest.split_once("' was not found").map(|(name, _)| name)?;
        Some(format!("no available installation candidate for {name}={version}"))
    })
}

/// apt-get's own summary.
pub fn changes_nothing(stdout: &str) -> bool {
    stdout.contains("\n0 upgraded, 0 newly installed, 0 to remove") || !stdout.contains(" upgraded, ")
}

/// What apt-get announced, up to its summary.
fn prepared(stdout: &str) -> String {
    let lines: Vec<&str> = stdout.lines().collect();
    let starts = |line: &str| line.starts_with("The following") || line.starts_with("Use 'apt autoremove'");
    let Some(start) = lines.iter().position(|line| starts(line)) else { return String::new() };
    let end =
        lines.iter().position(|line| line.contains(" upgraded, ") && line.contains(" newly installed, "));
    lines[start..end.map_or(lines.len(), |end| end + 1).max(start)].join("\n")
}

/// The candidate's version of each package, for those that have one.
pub fn candidates(
    task: &Task<'_>,
    names: &[&str],
    release: Option<&str>,
) -> Result<Vec<(String, String)>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut argv = vec!["apt-cache"];
    if let Some(release) = release {
        argv.extend(["-t", release]);
    }
    argv.push("policy");
    argv.extend(names);
    let output = children::expect(children::ask(task, &argv)?)?;
    let mut found = Vec::new();
    let mut name = "";
    let text = output.stdout_text();
    for line in text.lines() {
        if !line.starts_with(' ') {
            name = line.trim_end_matches(':');
        } else if let Some(version) = line.trim().strip_prefix("Candidate: ").filter(|v| *v != "(none)") {
            found.push((name.to_owned(), version.to_owned()));
        }
    }
    Ok(found)
}

/// Names of available packages that fit a shell pattern.
pub fn names_like(task: &Task<'_>, pattern: &str) -> Result<Vec<String>, Failure> {
    let output = children::expect(children::ask(task, &["apt-cache", "pkgnames"])?)?;
    let mut names: Vec<String> = output
        .stdout_text()
        .lines()
        .filter(|name| patterns::matches(pattern, name))
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}
