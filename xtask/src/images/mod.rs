//! What is promised of images, with real programs: public roles baked and tested, bakes killed at random points, living
//! servers compared, a disk booted in QEMU, a Docker Engine, skopeo, umoci and a registry.

mod disk;
mod engines;
mod kills;
mod living;
mod roles;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tally::Tally;
use crate::{setup, shell};

type Part = fn(&[String], &mut Tally) -> Result<()>;

/// Each on demand; all of them when none is named.
const PARTS: &[(&str, Part)] = &[
    ("roles", roles::run),
    ("kills", kills::run),
    ("living", living::run),
    ("engines", engines::run),
    ("disk", disk::run),
];

/// Names the program, where it is built already.
const BUILT: &str = "THESEUS";

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let mut tally = Tally::default();
    if !shell::is_root() {
        tally.skipped.push("images: only root can bake".to_owned());
        return Ok(tally);
    }
    let wanted = arguments.first().map(String::as_str);
    if let Some(unknown) = wanted.filter(|wanted| PARTS.iter().all(|(name, _)| name != wanted)) {
        bail!("no part {unknown}; there are roles, kills, living, engines and disk");
    }
    setup::run()?;
    if std::env::var_os(BUILT).is_none() {
        shell::run(shell::cargo().args(["build", "--release"]))?;
    }
    for (name, part) in PARTS {
        if wanted.is_none_or(|wanted| wanted == *name) {
            println!("== {name}");
            part(arguments.get(1..).unwrap_or_default(), &mut tally)?;
        }
    }
    Ok(tally)
}

/// Says what is missing; true if nothing is.
fn has(part: &str, programs: &[&str], tally: &mut Tally) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|name| !shell::has_program(name)).collect();
    if !missing.is_empty() {
        tally.skipped.push(format!("images {part}: needs {}", missing.join(", ")));
    }
    missing.is_empty()
}

/// A folder with a project in it and a store of its own; both go with it.
struct Project {
    root: PathBuf,
}

impl Project {
    fn new(name: &str) -> Result<Self> {
        let root = shell::target()?.join("images").join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// The example of the tour.
    fn ship(name: &str) -> Result<Self> {
        let project = Self::new(name)?;
        shell::run(
            Command::new("cp").arg("-a").arg(shell::root().join("examples/ship/.")).arg(&project.root),
        )?;
        Ok(project)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.path(name), text).with_context(|| name.to_owned())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let built = std::env::var_os(BUILT).map(PathBuf::from);
        let mut command =
            Command::new(built.map_or_else(|| Ok(shell::target()?.join("release/theseus")), anyhow::Ok)?);
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command.env("THESEUS_STATE", self.root.join("state"));
        Ok(command)
    }

    /// What it printed; an error if it failed.
    fn theseus(&self, arguments: &[&str]) -> Result<String> {
        let output = shell::output(&mut self.command(arguments)?)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The event of an image's bake.
    fn bake(&self, name: &str, more: &[&str]) -> Result<Value> {
        let out = self.theseus(&[&["bake", name, "--output", "json"], more].concat())?;
        let events = out.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.into_iter().find(|event| event["event"] == "image").context("the bake told of no image")
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Whether two directories hold the same, by rsync: contents, owners, modes, links, attributes; not the times of
/// directories, which umoci does not restore. The first few differences.
fn differences(one: &Path, other: &Path) -> Result<Vec<String>> {
    let with_slash = |path: &Path| format!("{}/", path.display());
    let mut rsync = Command::new("rsync");
    rsync.args(["-naHAXO", "--checksum", "--delete", "--itemize-changes", "--exclude=/lost+found"]);
    let output = shell::output(rsync.args([with_slash(one), with_slash(other)]))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter(|line| !line.ends_with(" ./")).take(8).map(str::to_owned).collect())
}

/// An answer of a web server on this machine, waited for.
fn answer(port: u16, seconds: u64, mut alive: impl FnMut() -> bool) -> Option<String> {
    let began = std::time::Instant::now();
    while began.elapsed().as_secs() < seconds && alive() {
        let mut curl = Command::new("curl");
        curl.args(["--fail", "--silent", "--max-time", "3", &format!("http://127.0.0.1:{port}/")]);
        if let Ok(output) = shell::output(&mut curl)
            && !output.stdout.is_empty()
        {
            return Some(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
    None
}
