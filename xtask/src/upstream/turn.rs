//! One program's turn at one target, on a fresh host; what it did is counted, and kept for the real ansible-core.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result};
use lab::{HostOptions, InitKind, Lab, LabHost};
use serde::{Deserialize, Serialize};

use super::guest;
use super::suite::Suite;
use super::target::Target;
use crate::conformance::digest;
use crate::shell;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Program {
    Ansible,
    Theseus,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Ansible => "ansible",
            Self::Theseus => "theseus",
        }
    }

    fn folder(self) -> String {
        match self {
            Self::Ansible => format!("{}/bin", guest::REFERENCE),
            Self::Theseus => guest::THESEUS.to_owned(),
        }
    }
}

/// What came of it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Turn {
    pub(crate) exit: i32,
    pub(crate) seconds: f64,
    /// Each call of one of the programs: its exit code, name and arguments.
    pub(crate) calls: Vec<String>,
    /// Results of tasks that were printed.
    pub(crate) results: usize,
    /// The line that best says why it failed.
    pub(crate) why: String,
}

impl Turn {
    pub(crate) fn take(suite: &Suite, target: &Target, program: Program) -> Result<Self> {
        let log = log(target, program)?;
        // Long names do not fit into names of network devices and sockets.
        let key = [target.name.as_bytes(), program.name().as_bytes()];
        let pool = Lab::pool(&format!("up-{}", &digest(&key)[..8]))?;
        pool.down_all()?;
        let down = Down(&pool);
        let host = host(suite, target, &pool)?;
        if program == Program::Theseus {
            host.copy_in(format!("{}/theseus", guest::THESEUS), &fs::read(&suite.theseus)?, 0o755)?;
        }
        let out = File::create(&log)?;
        let mut command = host.command("timeout");
        command.args(["-k", "5", &target.limit().as_secs().to_string(), guest::RUN, &target.name]);
        command.arg(program.folder());
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let start = Instant::now();
        let status = command.status().with_context(|| format!("{command:?}"))?;
        let seconds = start.elapsed().as_secs_f64();
        let calls = host.read(guest::CALLS).unwrap_or_default();
        drop(down);
        let exit = status.code().unwrap_or(-1);
        let calls = String::from_utf8_lossy(&calls).lines().map(str::to_owned).collect();
        let printed = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let why = if exit == 0 { String::new() } else { why(exit, &printed) };
        Ok(Self { exit, seconds, calls, results: results(&printed), why })
    }

    pub(crate) fn passed(&self) -> bool {
        self.exit == 0
    }
}

struct Down<'a>(&'a Lab);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.down_all() {
            eprintln!("a host of the suite could not be removed: {error}");
        }
    }
}

fn host(suite: &Suite, target: &Target, pool: &Lab) -> Result<LabHost> {
    let init = if target.about.systemd { InitKind::Systemd } else { InitKind::Small };
    let options = HostOptions {
        base: Some(suite.base.clone()),
        init,
        sshd: true,
        tied: true,
        ..HostOptions::new("testbed")
    };
    let mut hosts = pool.up(&[options])?;
    hosts.pop().context("no host was made")
}

/// Where everything is that the program printed.
pub(crate) fn log(target: &Target, program: Program) -> Result<PathBuf> {
    let place = shell::target()?.join("upstream/logs");
    fs::create_dir_all(&place)?;
    Ok(place.join(format!("{}.{}.txt", target.name, program.name())))
}

fn results(printed: &str) -> usize {
    const WORDS: [&str; 5] = ["ok: [", "changed: [", "skipping: [", "included: ", "fatal: ["];
    printed.lines().filter(|line| WORDS.iter().any(|word| line.starts_with(word))).count()
}

/// The last line that speaks of a failure which was not ignored, or else the last line.
fn why(exit: i32, printed: &str) -> String {
    if exit == 124 || exit == 137 {
        return "not done in time".to_owned();
    }
    let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
    let speaks = |line: &str| {
        ["fatal: [", "failed: [", "ERROR", "error:", "Error: "].iter().any(|word| line.contains(word))
            && !line.starts_with('+')
    };
    let ignored = |at: usize| lines.get(at + 1).is_some_and(|next| next.contains("...ignoring"));
    // A script's own complaint, or a program's, is near the end.
    let near = lines.len().saturating_sub(25);
    let found = (near..lines.len()).rev().find(|at| speaks(lines[*at]) && !ignored(*at));
    found.map(|at| lines[at]).or(lines.last().copied()).unwrap_or("nothing was printed").to_owned()
}

/// Where the reference's result is kept, by all that it depends on.
fn place(suite: &Suite, target: &Target) -> Result<PathBuf> {
    let about = format!("{:?}", target.about);
    let parts: [&[u8]; 4] = [suite.version.as_bytes(), guest::SOURCE.as_bytes(), about.as_bytes(), b"1"];
    Ok(shell::target()?.join(format!("upstream/oracle/{}-{}.json", target.name, &digest(&parts)[..16])))
}

pub(crate) fn recall(suite: &Suite, target: &Target) -> Result<Option<Turn>> {
    let Ok(text) = fs::read(place(suite, target)?) else { return Ok(None) };
    Ok(serde_json::from_slice(&text).ok())
}

pub(crate) fn remember(suite: &Suite, target: &Target, turn: &Turn) -> Result<()> {
    let place = place(suite, target)?;
    fs::create_dir_all(place.parent().context("a parent")?)?;
    Ok(fs::write(place, serde_json::to_vec(turn)?)?)
}
