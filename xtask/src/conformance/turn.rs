//! One program's turn at one case: fresh hosts, a fresh copy of the case, the run, and what came of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::case::Case;
use super::hosts::Hosts;
use super::outcome::Outcome;
use super::tree::{Scope, Snapshot};
use crate::{setup, shell};

const LIMIT: Duration = Duration::from_secs(300);
const LIMIT_OF_A_ROLE: Duration = Duration::from_secs(1200);
const RECORDER: &str = include_str!("recorder.py");

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Program {
    Ansible,
    Theseus { release: bool },
}

/// Runs the case once, or twice on the same hosts if it asks for that.
pub(crate) fn take(case: &Case, program: Program, keep: bool) -> Result<Vec<Outcome>> {
    let work = Work::new(case)?;
    // Long names do not fit into names of network devices and sockets.
    let pool = format!("conf-{}", &super::tree::digest(&[case.name.as_bytes()])[..8]);
    let hosts = Hosts::up(case, &pool, keep)?;
    let by_lab = case.about.lab && matches!(program, Program::Theseus { .. });
    let inventory = if by_lab { hosts.lab_inventory() } else { hosts.inventory()? };
    fs::write(work.place.join("hosts.ini"), inventory)?;
    let mut outcomes = Vec::new();
    let mut before = (hosts.snapshot(case)?, work.snapshot()?);
    for _ in 0..if case.about.second { 2 } else { 1 } {
        let start = Instant::now();
        let mut outcome = work.run(case, program)?;
        outcome.seconds = start.elapsed().as_secs_f64();
        let after = (hosts.snapshot(case)?, work.snapshot()?);
        outcome.trees = hosts.delta(case, &before.0, &after.0);
        outcome.trees.insert("controller".to_owned(), after.1.since(&before.1, &work.scope()));
        outcomes.push(outcome);
        before = after;
    }
    if let (Some(role), Some(last)) = (&case.role, outcomes.last_mut()) {
        last.silent = hosts.silent(&role.checks);
    }
    Ok(outcomes)
}

/// The place on the controller in which the case is run: the same path for both programs, one after the other.
struct Work {
    place: PathBuf,
}

impl Work {
    fn new(case: &Case) -> Result<Self> {
        let place = shell::target()?.join("conformance/work").join(&case.name);
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::create_dir_all(place.join("home"))?;
        shell::run(Command::new("cp").arg("-a").arg(&case.folder).arg(place.join("case")))?;
        if let Some(project) = &case.about.project {
            let from = shell::root().join(project);
            shell::run(Command::new("cp").arg("-a").arg(from).arg(place.join("case/project")))?;
        }
        Ok(Self { place })
    }

    fn scope(&self) -> Scope<'_> {
        Scope { root: self.place.clone(), within: &["case"], lower: None, ignore: &[] }
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::take(&self.scope(), 0)
    }

    fn run(&self, case: &Case, program: Program) -> Result<Outcome> {
        let events = self.place.join("events");
        let printed = self.place.join("printed");
        let _ = fs::remove_file(&events);
        let mut command = match program {
            Program::Ansible => self.ansible(case, &events, &printed)?,
            Program::Theseus { release } => self.theseus(case, release, &events)?,
        };
        command.arg("-i").arg(self.place.join("hosts.ini"));
        if let Some(inventory) = &case.about.inventory {
            command.args(["-i", inventory]);
        }
        command.args(&case.about.args).arg("site.yml");
        command.stdin(Stdio::null()).stderr(File::create(self.place.join("errors"))?);
        let child =
            command.current_dir(self.place.join("case")).spawn().with_context(|| format!("{command:?}"))?;
        let status = shell::wait_at_most(child, if case.role.is_some() { LIMIT_OF_A_ROLE } else { LIMIT })
            .with_context(|| case.name.clone())?;
        let lines = fs::read_to_string(&events).unwrap_or_default();
        Ok(Outcome::read(status.code().unwrap_or(-1), &lines))
    }

    fn ansible(&self, case: &Case, events: &Path, printed: &Path) -> Result<Command> {
        let plugins = self.place.join("plugins");
        fs::create_dir_all(&plugins)?;
        fs::write(plugins.join("recorder.py"), RECORDER)?;
        let programs = if case.role.is_some() { setup::oracle_with_collections()? } else { setup::oracle()? };
        let mut command = Command::new(programs.join("ansible-playbook"));
        self.surroundings(&mut command);
        // A socket's path must be short.
        let sockets = std::env::temp_dir().join(format!("xtask-{}", std::process::id()));
        command
            .env("RECORDER_FILE", events)
            .env("ANSIBLE_CALLBACK_PLUGINS", plugins)
            .env("ANSIBLE_CALLBACKS_ENABLED", "recorder")
            .env("ANSIBLE_LOCALHOST_WARNING", "False")
            .env("ANSIBLE_SSH_CONTROL_PATH_DIR", sockets)
            .env("ANSIBLE_SSH_ARGS", "-C -o ControlMaster=auto -o ControlPersist=5s")
            .stdout(File::create(printed)?);
        Ok(command)
    }

    fn theseus(&self, case: &Case, release: bool, events: &Path) -> Result<Command> {
        let folder = shell::target()?.join(if release { "release" } else { "debug" });
        let mut command = Command::new(folder.join("theseus"));
        self.surroundings(&mut command);
        if case.about.core {
            let own = std::env::var_os("PATH").unwrap_or_default();
            let mut path = vec![setup::oracle()?];
            path.extend(std::env::split_paths(&own));
            command.env("PATH", std::env::join_paths(path)?);
        }
        command.env("THESEUS_STATE", self.place.join("home/state")).stdout(File::create(events)?);
        if case.role.is_some() {
            // Modules that are not its own it takes from where ansible-core has them.
            command.env("ANSIBLE_COLLECTIONS_PATH", setup::collections()?);
        }
        command.args(["apply", "--output", "json"]);
        Ok(command)
    }

    /// The environment that both programs see.
    fn surroundings(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.place.join("home"))
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_FORKS", "5")
            .env("ANSIBLE_PIPELINING", "True")
            .env("ANSIBLE_HOST_KEY_CHECKING", "False")
            .env("ANSIBLE_DEPRECATION_WARNINGS", "False");
    }
}
