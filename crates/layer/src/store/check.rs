//! Is every object still what its name says? How much is there?

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Store;
use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::history;

/// What [`check`] found.
#[derive(Debug, Default)]
pub struct Check {
    pub objects: u64,
    /// Objects whose content is not what their name says.
    pub damaged: Vec<PathBuf>,
    /// Contents that layers need and that are not there, with the first path that needs each.
    pub missing: BTreeMap<Digest, (u64, PathBuf)>,
    /// Layers that cannot be read, with the reason.
    pub unreadable: Vec<(u64, String)>,
}

impl Check {
    pub fn is_good(&self) -> bool {
        self.damaged.is_empty() && self.missing.is_empty() && self.unreadable.is_empty()
    }
}

/// Read every object and every layer.
pub fn check(state_dir: &Path) -> Result<Check> {
    let store = Store::new(state_dir);
    let mut found = Check::default();
    store.each(|digest, _, path| {
        found.objects += 1;
        match store.verify(digest) {
            Ok(()) => {}
            Err(Error::Damaged { .. } | Error::Io { .. }) => found.damaged.push(path.to_owned()),
            Err(error) => return Err(error),
        }
        Ok(())
    })?;
    for generation in history::generations(state_dir)? {
        let seen = history::each_step(state_dir, generation, |step, _| {
            // What came after is in the store only when a later change took it away.
            if let Some(digest) = step.before.as_ref().and_then(crate::PathState::digest)
                && !store.has(digest)
                && step.needs_content()
            {
                found.missing.entry(digest).or_insert_with(|| (generation, step.path.clone()));
            }
        });
        match seen {
            Ok(()) => {}
            Err(error) => found.unreadable.push((generation, error.to_string())),
        }
    }
    Ok(found)
}

/// What the store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub generations: u64,
    pub objects: u64,
    /// On the disk.
    pub bytes: u64,
    /// Of these, the records.
    pub layers: u64,
}

pub fn size(state_dir: &Path) -> Result<Size> {
    let mut size = Size::default();
    Store::new(state_dir).each(|_, _, path| {
        size.objects += 1;
        size.bytes += path.metadata().at("look at", path)?.blocks() * 512;
        Ok(())
    })?;
    for generation in history::generations(state_dir)? {
        let path = history::layer_path(state_dir, generation);
        size.generations += 1;
        size.layers += path.metadata().at("look at", &path)?.blocks() * 512;
    }
    size.bytes += size.layers;
    Ok(size)
}
