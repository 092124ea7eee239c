//! Housekeeping: generations that the policy no longer wants, and objects that no layer needs.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use super::{Store, size};
use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::record::{Cause, Run, Step};
use crate::{history, lock};

/// How much history is kept; `None`: no limit of this kind. The newest generation always stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// So many generations.
    pub generations: Option<u64>,
    pub days: Option<u32>,
    /// So much on the disk.
    pub bytes: Option<u64>,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub generations: u64,
    pub objects: u64,
    pub bytes: u64,
    /// A run goes on: objects were left for another time.
    pub busy: bool,
}

/// Forget the oldest generations beyond the policy, never what a way back to a pinned one needs.
pub fn prune(state_dir: &Path, policy: Policy) -> Result<Pruned> {
    if history::head(state_dir)? == 0 {
        return Ok(Pruned::default());
    }
    let run = Run { command: "housekeeping".to_owned(), ..Run::default() };
    let _lock = lock::take(&state_dir.join("lock"), &run, Duration::from_secs(10))?;
    let _sealing = lock::sealing(state_dir)?;
    crate::recover::recover_locked(state_dir)?;
    let mut pruned = Pruned::default();
    for generation in too_old(state_dir, policy)? {
        forget(state_dir, generation)?;
        pruned.generations += 1;
    }
    sweep(state_dir, &mut pruned)?;
    let Some(limit) = policy.bytes else { return Ok(pruned) };
    while size(state_dir)?.bytes > limit {
        let generations = history::generations(state_dir)?;
        // Half of what may go at a time: every sweep reads the whole history.
        let may_go = prunable(state_dir, &generations)?;
        if may_go.is_empty() || pruned.busy {
            break;
        }
        for generation in &may_go[..may_go.len().div_ceil(8)] {
            forget(state_dir, *generation)?;
            pruned.generations += 1;
        }
        sweep(state_dir, &mut pruned)?;
    }
    Ok(pruned)
}

fn forget(state_dir: &Path, generation: u64) -> Result<()> {
    let path = history::layer_path(state_dir, generation);
    std::fs::remove_file(&path).at("remove", &path)
}

/// The oldest ones, up to a pinned one, without the newest.
fn prunable(state_dir: &Path, generations: &[u64]) -> Result<Vec<u64>> {
    let head = history::head(state_dir)?;
    // A layer leads back to the generation before it: that of a pinned generation itself may go.
    let last = pinned(state_dir)?.first().copied().unwrap_or(u64::MAX).min(head.saturating_sub(1));
    Ok(generations.iter().copied().filter(|g| *g <= last).collect())
}

fn too_old(state_dir: &Path, policy: Policy) -> Result<Vec<u64>> {
    let generations = history::generations(state_dir)?;
    let may_go = prunable(state_dir, &generations)?;
    let beyond = policy.generations.map_or(0, |keep| generations.len().saturating_sub(keep as usize));
    let mut gone = beyond.min(may_go.len());
    if let Some(days) = policy.days {
        let now = crate::state::Time::now().0;
        let since = crate::time::rfc3339(crate::state::Time(now - i64::from(days) * 86_400, 0));
        while let Some(generation) = may_go.get(gone) {
            if history::summary(state_dir, *generation)?.layer.sealed >= since {
                break;
            }
            gone += 1;
        }
    }
    Ok(may_go[..gone].to_vec())
}

/// Remove the objects that nothing refers to. With a run going on, none: what it kept is not in a layer yet.
fn sweep(state_dir: &Path, pruned: &mut Pruned) -> Result<()> {
    if crate::recover::journals(state_dir)?.next().is_some() {
        pruned.busy = true;
        return Ok(());
    }
    let mut needed: HashSet<Digest> = HashSet::new();
    let mut groups = HashSet::new();
    // What the first look of drift kept.
    let kept = history::read_small(&state_dir.join("drift/kept"))?;
    needed.extend(String::from_utf8_lossy(&kept).lines().filter_map(|line| line.parse::<Digest>().ok()));
    let mut note = |step: &Step, _: &Cause| {
        let states = || [&step.before, &step.after].into_iter().flatten();
        needed.extend(states().filter_map(crate::PathState::digest));
        groups.extend(states().filter_map(|state| state.group));
    };
    let generations = history::generations(state_dir)?;
    for generation in &generations {
        history::each_step(state_dir, *generation, &mut note)?;
    }
    let oldest = generations.first().copied().unwrap_or(u64::MAX);
    for path in history::interrupted_paths(state_dir)? {
        // Gone with the generation that it stood on.
        if history::read_file(&path)?.generation + 1 < oldest {
            std::fs::remove_file(&path).at("remove", &path)?;
        } else {
            history::each_step_of(&path, &mut note)?;
        }
    }
    let store = Store::new(state_dir);
    store.remove_leftovers()?;
    store.release_all_but(&groups)?;
    store.each(|digest, _, path| {
        use std::os::unix::fs::MetadataExt;
        if !needed.contains(&digest) {
            pruned.bytes += path.metadata().at("look at", path)?.blocks() * 512;
            pruned.objects += 1;
            std::fs::remove_file(path).at("remove", path)?;
        }
        Ok(())
    })
}

/// The generations that must stay reachable.
pub fn pinned(state_dir: &Path) -> Result<BTreeSet<u64>> {
    let path = state_dir.join("pins");
    let bytes = history::read_small(&path)?;
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    serde_json::from_slice(&bytes).map_err(|e| Error::Damaged { path, reason: e.to_string() })
}

/// Keep the way back to this generation (or no longer).
pub fn pin(state_dir: &Path, generation: u64, pin: bool) -> Result<()> {
    let known = generation <= history::head(state_dir)?;
    if !known {
        return Err(Error::NoGeneration { generation });
    }
    let mut pins = pinned(state_dir)?;
    if pin {
        _ = pins.insert(generation)
    } else {
        _ = pins.remove(&generation)
    }
    let path = state_dir.join("pins");
    let bytes = serde_json::to_vec(&pins).map_err(std::io::Error::from).at("write", &path)?;
    history::replace(&path, &bytes)
}
