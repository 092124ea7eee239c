//! A plan on disk: what was asked, what it was made from, the hosts' generations, and what would change. Only its
//! owner may read it: what would change in files is in it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use catalog::Json;
use serde_json::json;

use super::foretold::Foretold;
use super::{REFUSED, inputs};
use crate::arguments::Playing;
use crate::setup::{Base, Problem};

/// Raised when an older program would misread a plan.
const FORMAT: u64 = 1;
const KEY: &str = "theseus_plan";

/// Whether this is no playbook: playbooks are lists.
pub(crate) fn is_plan(path: &Path) -> bool {
    let mut start = [0; 512];
    let Ok(mut file) = std::fs::File::open(path) else { return false };
    let length = file.read(&mut start).unwrap_or(0);
    let start = String::from_utf8_lossy(&start[..length]);
    start.trim_start().starts_with('{') && start.contains(KEY)
}

pub(crate) fn write(
    path: &Path,
    playing: &Playing,
    base: &Base,
    command: &str,
    found: &Foretold,
) -> Result<(), Problem> {
    let plan = json!({
        KEY: FORMAT,
        "made": jiff::Timestamp::now().to_string(),
        "command": command,
        "asked": asked(playing),
        "inputs": inputs::digests(playing, base)?,
        "hosts": found.hosts,
        "changes": found.changes.iter().map(super::change::Foreseen::json).collect::<Vec<_>>(),
    });
    let new = path.with_extension("new");
    let written = (|| {
        let options =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
        let mut file = options?;
        serde_json::to_writer_pretty(&mut file, &plan)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    })();
    written.map_err(|error: std::io::Error| {
        Problem::Other(format!("{} cannot be written: {error}", path.display()))
    })
}

/// All of what was typed that says what is done where; not secrets, nor how many hosts at once.
fn asked(playing: &Playing) -> Json {
    let reach = &playing.reach;
    json!({
        "playbooks": playing.playbooks,
        "inventory": playing.hosts.inventory,
        "limit": playing.hosts.limit,
        "tags": playing.tags,
        "skip_tags": playing.skip_tags,
        "start_at_task": playing.start_at_task,
        "force_handlers": playing.force_handlers,
        "user": reach.user,
        "connection": reach.connection,
        "private_key": reach.private_key,
        "ssh": reach.ssh,
        "ssh_common_args": reach.ssh_common_args,
        "ssh_extra_args": reach.ssh_extra_args,
        "become": reach.become_,
        "become_method": reach.become_method,
        "become_user": reach.become_user,
    })
}

/// A plan that was read.
pub(crate) struct File {
    path: PathBuf,
    asked: Json,
    inputs: BTreeMap<String, String>,
    hosts: BTreeMap<String, Option<u64>>,
    changes: Vec<Json>,
}

impl File {
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let wrong = |reason: String| Problem::Other(format!("{}: {reason}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let mut plan: Json = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(format!("this is no whole plan: {error}")))?;
        if plan[KEY] != FORMAT {
            return Err(wrong(format!(
                "a plan of another version ({}; this program reads {FORMAT})",
                plan[KEY]
            )));
        }
        let part = |plan: &mut Json, key: &str| plan[key].take();
        let (asked, inputs) = (part(&mut plan, "asked"), part(&mut plan, "inputs"));
        let (hosts, changes) = (part(&mut plan, "hosts"), part(&mut plan, "changes"));
        let unlike = |error: serde_json::Error| wrong(format!("this is no plan: {error}"));
        Ok(Self {
            path: path.to_owned(),
            asked,
            inputs: serde_json::from_value(inputs).map_err(unlike)?,
            hosts: serde_json::from_value(hosts).map_err(unlike)?,
            changes: serde_json::from_value(changes).map_err(unlike)?,
        })
    }

    pub(crate) fn hosts(&self) -> Vec<&str> {
        self.hosts.keys().map(String::as_str).collect()
    }

    /// What was asked then, with the secrets and the manner of now.
    pub(crate) fn playing(&self, typed: &Playing) -> Result<Playing, Problem> {
        if asked(typed) != asked(&Playing { playbooks: typed.playbooks.clone(), ..Playing::default() }) {
            return Err(Problem::Options(format!(
                "{} is a plan: its hosts, tags and users are in it, and no others can be given beside it",
                self.path.display()
            )));
        }
        let mut playing = typed.clone();
        let text = |key: &str| self.asked[key].as_str().map(str::to_owned);
        let list = |key: &str| -> Vec<String> {
            let all = self.asked[key].as_array().into_iter().flatten();
            all.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        playing.playbooks = list("playbooks").into_iter().map(PathBuf::from).collect();
        playing.hosts.inventory = list("inventory");
        playing.hosts.limit = text("limit");
        playing.tags = list("tags");
        playing.skip_tags = list("skip_tags");
        playing.start_at_task = text("start_at_task");
        playing.force_handlers = self.asked["force_handlers"] == true;
        let reach = &mut playing.reach;
        reach.user = text("user");
        reach.connection = text("connection");
        reach.private_key = text("private_key").map(PathBuf::from);
        reach.ssh = text("ssh");
        reach.ssh_common_args = text("ssh_common_args");
        reach.ssh_extra_args = text("ssh_extra_args");
        reach.become_ = self.asked["become"] == true;
        reach.become_method = text("become_method");
        reach.become_user = text("become_user");
        Ok(playing)
    }

    /// The project is what it was.
    pub(crate) fn check_inputs(&self, playing: &Playing, base: &Base) -> Result<(), Problem> {
        let now = inputs::digests(playing, base)?;
        let differ = inputs::differing(&self.inputs, &now);
        match differ.as_slice() {
            [] => Ok(()),
            ["--extra-vars"] => Err(self.refuse("it was made with other variables (-e): give the same ones")),
            [first, more @ ..] => {
                let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
                Err(self.refuse(&format!("the project has changed since it was made ({first}{more})")))
            }
        }
    }

    /// The hosts are what they were, and what would change is what is written here.
    pub(crate) fn check(&self, now: &Foretold) -> Result<(), Problem> {
        if let Some((host, task, reason)) = now.failures.first() {
            return Err(self.refuse(&format!("{host}: {task}: {reason}")));
        }
        let number = |generation: &Option<u64>| generation.unwrap_or(0);
        for (host, then) in &self.hosts {
            let Some(is) = now.hosts.get(host) else {
                return Err(self.refuse(&format!("{host} is no host of the run any more")));
            };
            if is != then {
                return Err(self.refuse(&format!(
                    "{host} has moved on: the plan was made for generation {}, and it is at {} now",
                    number(then),
                    number(is)
                )));
            }
        }
        if let Some(new) = now.hosts.keys().find(|host| !self.hosts.contains_key(*host)) {
            return Err(self.refuse(&format!("{new} is a new host of the run")));
        }
        let changes: Vec<Json> = now.changes.iter().map(super::change::Foreseen::json).collect();
        let other = |(a, b): (Option<&Json>, Option<&Json>)| (a != b).then(|| a.or(b).cloned()).flatten();
        let length = changes.len().max(self.changes.len());
        match (0..length).find_map(|i| other((self.changes.get(i), changes.get(i)))) {
            None => Ok(()),
            Some(change) => {
                let name = change["path"].as_str().or(change["object"].as_str()).unwrap_or_default();
                let host = change["host"].as_str().unwrap_or_default();
                Err(self.refuse(&format!(
                    "on {host}, something else would change now than the plan says ({name})"
                )))
            }
        }
    }

    fn refuse(&self, why: &str) -> Problem {
        let path = self.path.display();
        Problem::Other(format!("{path}: {why}; {REFUSED}. Make a new plan with `theseus plan`"))
    }
}
