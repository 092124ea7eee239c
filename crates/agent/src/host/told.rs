//! What the host's own record tells: its generations, one layer with the contents before and after, and the state of
//! touched paths at a generation.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use catalog::{Json, Map};
use layer::store::Store;
use layer::{Digest, Layer, PathState, history};
use serde_json::json;

use crate::module::Failure;

/// Contents longer than this are not sent for a diff.
const CONTENT: u64 = 256 * 1024;
/// All contents of one answer together.
const CONTENTS: usize = 8 * 1024 * 1024;

/// Every generation in few words, newest first.
pub(crate) fn generations(state_dir: &Path) -> Result<Map, Failure> {
    let mut all = Vec::new();
    for generation in history::generations(state_dir)?.into_iter().rev() {
        let history::Summary { layer, paths, uncovered, tasks } = history::summary(state_dir, generation)?;
        all.push(json!({
            "generation": layer.generation,
            "sealed": layer.sealed,
            "run": layer.run,
            "failed": layer.failed,
            "interrupted": layer.interrupted,
            "paths": paths,
            "tasks": tasks.unwrap_or_default(),
            "irreversible": uncovered,
        }));
    }
    let mut result = Map::new();
    result.insert("head".to_owned(), json!(history::head(state_dir)?));
    result.insert("generations".to_owned(), Json::Array(all));
    Ok(result)
}

/// One layer, and the contents that a person may see.
pub(crate) fn show(state_dir: &Path, generation: u64) -> Result<Map, Failure> {
    let mut layer = read(state_dir, generation)?;
    layer.steps.retain(layer::Step::changes);
    let mut contents = Contents::new(state_dir);
    for step in &layer.steps {
        if layer.causes.get(step.cause).is_some_and(|cause| cause.no_log) {
            continue;
        }
        for state in [&step.before, &step.after].into_iter().flatten() {
            contents.add(state, &step.path);
        }
    }
    let mut result = Map::new();
    result.insert("layer".to_owned(), serde_json::to_value(&layer).map_err(|e| e.to_string())?);
    result.insert("contents".to_owned(), json!(contents.known));
    Ok(result)
}

/// What every touched path was like at a generation (`None`: is like now), with contents if wished.
pub(crate) fn states(
    state_dir: &Path,
    at: Option<u64>,
    also: &[String],
    with_contents: bool,
) -> Result<Map, Failure> {
    let head = history::head(state_dir)?;
    if at.is_some_and(|at| at > head) {
        return Err(no_such(at.unwrap_or_default(), head));
    }
    let mut states: BTreeMap<PathBuf, Option<PathState>> = BTreeMap::new();
    let mut secret: BTreeSet<PathBuf> = BTreeSet::new();
    for generation in history::generations(state_dir)? {
        let later = at.is_some_and(|at| generation > at);
        history::each_step(state_dir, generation, |step, cause| {
            if !step.changes() {
                return;
            }
            if !later {
                states.insert(step.path.clone(), step.after.clone());
            } else if !states.contains_key(&step.path) {
                states.insert(step.path.clone(), step.before.clone());
            }
            if cause.no_log {
                secret.insert(step.path.clone());
            }
        })?;
    }
    for path in also {
        states.entry(PathBuf::from(path)).or_insert(None);
    }
    let mut contents = Contents::new(state_dir);
    let mut shown = Map::new();
    for (path, mut state) in states {
        if at.is_none() || also.iter().any(|a| Path::new(a) == path) {
            let secret = state.as_ref().is_some_and(|state| state.secret);
            state = if secret { layer::observe_secret(state_dir, &path)? } else { layer::observe(&path)? };
        }
        if let Some(state) = state.as_ref().filter(|_| with_contents && !secret.contains(&path)) {
            contents.add(state, &path);
        }
        let state = serde_json::to_value(&state).map_err(|e| e.to_string())?;
        shown.insert(path.to_string_lossy().into_owned(), state);
    }
    let mut result = Map::new();
    result.insert("head".to_owned(), json!(head));
    result.insert("states".to_owned(), Json::Object(shown));
    result.insert("contents".to_owned(), json!(contents.known));
    Ok(result)
}

fn read(state_dir: &Path, generation: u64) -> Result<Layer, Failure> {
    let known = history::generations(state_dir)?;
    if !known.contains(&generation) {
        return Err(no_such(generation, history::head(state_dir)?));
    }
    Ok(history::read(state_dir, generation)?)
}

fn no_such(generation: u64, head: u64) -> Failure {
    Failure::new(match head {
        0 => format!("there is no generation {generation}: this host was never changed by this user"),
        head => format!("there is no generation {generation} (the newest is {head})"),
    })
}

/// Texts by digest: from the store, or from the file itself while it still is what was recorded.
struct Contents {
    store: Store,
    known: BTreeMap<String, String>,
    size: usize,
}

impl Contents {
    fn new(state_dir: &Path) -> Self {
        Self { store: Store::new(state_dir), known: BTreeMap::new(), size: 0 }
    }

    fn add(&mut self, state: &PathState, path: &Path) {
        let layer::Kind::File { digest: Some(digest), size } = state.kind else { return };
        if state.secret
            || is_private(path)
            || size > CONTENT
            || self.size > CONTENTS
            || self.known.contains_key(&digest.to_string())
        {
            return;
        }
        let Some(text) = self.find(digest, path).and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return;
        };
        if !text.contains('\0') && !text.contains("PRIVATE KEY-----") {
            self.size += text.len();
            self.known.insert(digest.to_string(), text);
        }
    }

    fn find(&self, digest: Digest, path: &Path) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.store.has(digest) {
            self.store.get(digest).ok()?.take(CONTENT).read_to_end(&mut bytes).ok()?;
            return Some(bytes);
        }
        std::fs::File::open(path).ok()?.take(CONTENT + 1).read_to_end(&mut bytes).ok()?;
        (Digest::of(&bytes) == digest).then_some(bytes)
    }
}

/// Files whose whole content is a secret.
fn is_private(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let starts = |all: &[&str]| all.iter().any(|start| name.starts_with(start));
    (path.starts_with("/etc") && starts(&["shadow", "gshadow", "opasswd"]))
        || path.starts_with("/etc/ssl/private")
        || starts(&[".pgpass", ".netrc", ".vault_pass"])
}
