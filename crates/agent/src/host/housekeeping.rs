//! What the store keeps: its size, whether it is sound, and less of it.

use std::path::Path;

use catalog::Map;
use catalog::protocol::Keep;
use layer::store::{self, Policy};
use serde_json::json;

use crate::module::Failure;

pub(crate) fn policy(generations: Option<u64>, days: Option<u64>, bytes: Option<u64>) -> Policy {
    Policy { generations, days: days.map(|days| u32::try_from(days).unwrap_or(u32::MAX)), bytes }
}

/// After a run.
pub(crate) fn tidy(state_dir: &Path, keep: Keep) -> layer::Result<()> {
    store::prune(state_dir, policy(keep.generations, keep.days, keep.bytes)).map(drop)
}

/// Its size; `check`: every object is read and compared with its digest.
pub(crate) fn store(state_dir: &Path, check: bool) -> Result<Map, Failure> {
    let mut told = size(state_dir)?;
    if check {
        let found = store::check(state_dir)?;
        let mut damaged: Vec<String> = found.damaged.iter().map(|path| path.display().to_string()).collect();
        damaged.extend(found.missing.iter().map(|(digest, (generation, path))| {
            format!("{digest} is missing ({} in generation {generation})", path.display())
        }));
        damaged.extend(found.unreadable.iter().map(|layer| format!("{layer:?}")));
        told.insert("damaged".to_owned(), json!(damaged));
    }
    Ok(told)
}

fn size(state_dir: &Path) -> Result<Map, Failure> {
    let size = store::size(state_dir)?;
    let mut told = Map::new();
    for (key, value) in [
        ("generations", size.generations),
        ("objects", size.objects),
        ("bytes", size.bytes),
        ("records", size.layers),
    ] {
        told.insert(key.to_owned(), json!(value));
    }
    told.insert("pinned".to_owned(), json!(store::pinned(state_dir)?));
    Ok(told)
}

pub(crate) fn prune(state_dir: &Path, policy: &Policy, check: bool) -> Result<Map, Failure> {
    if check {
        return size(state_dir);
    }
    let pruned = store::prune(state_dir, *policy)?;
    store::compress(state_dir)?;
    let mut told = size(state_dir)?;
    told.insert("removed".to_owned(), json!(pruned.generations));
    told.insert("freed".to_owned(), json!(pruned.bytes));
    Ok(told)
}

pub(crate) fn pin(state_dir: &Path, generation: u64, on: bool) -> Result<Map, Failure> {
    store::pin(state_dir, generation, on)?;
    size(state_dir)
}
