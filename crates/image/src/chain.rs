//! The chain of steps: what each was, what came of it, and the layer it left. The key of a step holds everything that
//! can influence it: the step itself with its templates resolved and its contents by digest, and the whole chain
//! before it, down to the base.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use catalog::Map;
use catalog::protocol::{Call, Cause, Hello};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Result};
use crate::store::{Store, secure};

/// A step as it is remembered with an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub play: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    pub task: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub item: String,
    pub module: String,
    pub changed: bool,
}

/// What is known of a step that was done once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) result: Map,
    pub(crate) paths: Vec<String>,
    pub(crate) micros: u64,
    /// It left a layer, under its own key.
    pub(crate) layer: bool,
    /// The layer is on the disk for sure; else only if the machine runs since.
    pub(crate) boot: String,
}

/// A layer and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) key: String,
    /// Layers of one group become one layer of the image.
    pub(crate) group: String,
}

/// How far a bake has come.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    pub(crate) key: String,
    pub(crate) links: Vec<Link>,
    pub(crate) steps: Vec<Step>,
    pub cached: usize,
    pub run: usize,
    pub(crate) failed: Vec<String>,
    pub(crate) seconds_saved: f64,
    /// Something is running in the background: its steps are not remembered.
    pub(crate) pinned: bool,
}

impl Chain {
    pub(crate) fn begin(base: &str, plan: &str) -> Self {
        Self { key: key(&[base, plan]), ..Self::default() }
    }

    pub(crate) fn next(&self, user: &str, call: &Call) -> String {
        #[derive(Serialize)]
        struct Asked<'a> {
            module: &'a str,
            args: &'a Map,
            check: bool,
            diff: bool,
            environment: &'a BTreeMap<String, String>,
            in_background: u64,
        }
        let asked = Asked {
            module: &call.module,
            args: &call.args,
            check: call.check,
            diff: call.diff,
            environment: &call.environment,
            in_background: call.async_seconds,
        };
        let text = serde_json::to_string(&asked).unwrap_or_default();
        key(&[&self.key, user, &text])
    }

    pub(crate) fn advance(&mut self, key: String, entry: &Entry, call: &Call) {
        let cause = &call.cause;
        if entry.layer {
            self.links.push(Link { key: key.clone(), group: group(&call.module, cause) });
        }
        self.key = key;
        self.steps.push(Step {
            play: cause.play.clone(),
            role: cause.role.clone(),
            task: cause.task.clone(),
            item: if call.no_log { String::new() } else { cause.item.clone() },
            module: call.module.clone(),
            changed: entry.result.get("changed").is_some_and(|changed| changed == true),
        });
    }

    /// How long the remembered steps took when they were done, in seconds.
    #[must_use]
    pub fn saved(&self) -> f64 {
        self.seconds_saved
    }
}

/// Steps that bring much which others made: a changed line beside them is not to pack and push it again.
const MUCH: &[&str] = &["apt", "get_url", "git", "package", "pip", "unarchive"];

/// In words: the role, else the play; what it brings from elsewhere is a group of its own.
fn group(module: &str, cause: &Cause) -> String {
    let whose =
        if cause.role.is_empty() { format!("play {}", cause.play) } else { format!("role {}", cause.role) };
    if MUCH.contains(&module) { format!("{whose}: {module}") } else { whose }
}

pub(crate) fn key(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Changes with every start of the machine.
pub(crate) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Another user's agent, as it greeted once.
pub(crate) type Greetings = HashMap<String, Hello>;

impl Store {
    fn step_file(&self, key: &str) -> PathBuf {
        self.path("steps").join(format!("{key}.json"))
    }

    pub(crate) fn layer(&self, key: &str) -> PathBuf {
        self.path("layers").join(key)
    }

    /// Gives what a step changed in its sandbox its place, that of an older one, too.
    pub(crate) fn put_layer(&self, key: &str, room: &Path) -> Result<()> {
        let place = self.layer(key);
        if place.exists() {
            self.discard(&place)?;
        }
        fs::rename(room.join("upper"), &place).at(&place)?;
        fs::remove_dir_all(room).at(room)
    }

    /// Which of the layers that were ever made of a step it is: another one when the step was done again.
    pub(crate) fn mark(&self, layer: &Path) -> String {
        let meta = fs::metadata(layer);
        let of = |meta: fs::Metadata| format!("{} {} {}", meta.ino(), meta.ctime(), meta.ctime_nsec());
        format!("{} {}", layer.display(), meta.map_or_else(|_| String::new(), of))
    }

    pub(crate) fn entry(&self, key: &str) -> Option<Entry> {
        let entry: Entry = self.read_json(&self.step_file(key))?;
        let whole =
            (entry.boot.is_empty() || entry.boot == boot()) && (!entry.layer || self.layer(key).is_dir());
        whole.then_some(entry)
    }

    pub(crate) fn remember(&self, key: &str, entry: &Entry) -> Result<()> {
        // The result may be what nobody else is to read; the store is its owner's alone.
        let place = self.step_file(key);
        self.note(&place, &serde_json::to_vec(entry).unwrap_or_default())
    }

    pub(crate) fn forget(&self, key: &str) {
        let _ = fs::remove_file(self.step_file(key));
    }

    /// From now on these are trusted after a loss of power, too.
    pub(crate) fn settle(&self, chain: &Chain) -> Result<()> {
        let unsettled: Vec<(&str, Entry)> = chain
            .links
            .iter()
            .filter_map(|link| Some((link.key.as_str(), self.entry(&link.key)?)))
            .filter(|(_, entry)| !entry.boot.is_empty())
            .collect();
        if unsettled.is_empty() {
            return Ok(());
        }
        let mut files = Vec::new();
        for (key, _) in &unsettled {
            collect(&self.layer(key), &mut files)?;
        }
        if files.len() > MANY {
            let here = fs::File::open(self.root()).at(self.root())?;
            rustix::fs::syncfs(&here).at(self.root())?;
        } else {
            secure(&files)?;
        }
        for (key, entry) in unsettled {
            self.remember(key, &Entry { boot: String::new(), ..entry })?;
        }
        Ok(())
    }
}

/// Of more files than these it is quicker to bring everything to the disk that waits for it.
const MANY: usize = 100;

/// Directories and files below, as far as they can be opened without an effect.
fn collect(dir: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    into.push(dir.to_owned());
    for entry in fs::read_dir(dir).at(dir)? {
        let entry = entry.at(dir)?;
        let kind = entry.file_type().at(dir)?;
        if kind.is_dir() {
            collect(&entry.path(), into)?;
        } else if kind.is_file() {
            into.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_role_brings_is_apart_from_what_it_sets() {
        let role = Cause { play: "all".to_owned(), role: "web".to_owned(), ..Cause::default() };
        let play = Cause { role: String::new(), ..role.clone() };
        let groups = [("apt", &role), ("copy", &role), ("git", &play), ("service", &play)];
        let groups = groups.map(|(module, cause)| group(module, cause));
        assert_eq!(groups, ["role web: apt", "role web", "play all: git", "play all"]);
    }
}
