//! After a power cut: what the run did, and whose entries were lost with the end of the journal.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::Undone;
use crate::digest::Digest;
use crate::error::{At, Result};
use crate::journal;
use crate::place::Place;
use crate::record::Inode;
use crate::restore::Target;
use crate::state;
use crate::store::Store;
use crate::tree;

/// What was in a directory when the run began to change names in it.
pub(super) struct Listing {
    pub(super) order: usize,
    /// With their inodes; 0: not known.
    pub(super) names: HashMap<PathBuf, u64>,
}

/// What lies in the store as it is, by its inode.
type Kept = HashMap<(u64, u64), Digest>;

impl Undone {
    /// Those that the changed paths had.
    fn inodes(&self) -> HashSet<(u64, i64, u32)> {
        self.paths.values().filter_map(|(_, target)| target.inode).map(Inode::of_any_device).collect()
    }

    /// After a power cut: names that appeared in a directory, and whose entries were lost: of new inodes, or of those that the
    /// run gave another name (those of paths that changed, and those that the store shares with what lives).
    pub(super) fn add_appeared(&mut self, begin: &journal::Begin, kept: &Kept) -> Result<()> {
        let booted = boot_time();
        let renamed = self.inodes();
        for (dir, listing) in &self.listings {
            let Some(place) = Place::recorded(&dir.join("_"))? else { continue };
            for name in tree::names(&place)? {
                let path = dir.join(&name);
                if listing.names.contains_key(Path::new(&name)) || self.paths.contains_key(&path) {
                    continue;
                }
                let Some(place) = Place::recorded(&path)? else { continue };
                let Some((_, ident)) = state::look_closely(&place)? else { continue };
                let is_new = !ident.is_older(begin.at) && ident.born.is_none_or(|born| born.0 < booted);
                if is_new
                    || renamed.contains(&ident.id().of_any_device())
                    || kept.contains_key(&ident.inode())
                {
                    let target = Target::gone(path.clone());
                    self.paths.insert(path, (0, target));
                }
            }
        }
        Ok(())
    }

    /// After a power cut: names that went or got another inode, and whose entries were lost. What they had came into the
    /// store by a link before: it is older than the run.
    pub(super) fn add_replaced(&mut self, begin: &journal::Begin, store: &Store, kept: &Kept) -> Result<()> {
        let missing = self.missing()?;
        if missing.is_empty() {
            return Ok(());
        }
        let noted = self.inodes();
        for (inode, digest) in kept {
            let Some(path) = missing.get(inode) else { continue };
            let object = Place::open(&store.path(*digest))?;
            let Some((mut was, ident)) = state::look_closely(&object)? else { continue };
            if !ident.is_older(begin.at) || noted.contains(&ident.id().of_any_device()) {
                continue;
            }
            // It had one name then, else it would have been copied.
            was.group = None;
            was.set_digest(Some(*digest));
            let target = Target {
                path: path.clone(),
                want: Some(was),
                peers: Vec::new(),
                order: self.paths.len(),
                inode: Some(ident.id()),
                kept: Some(self.entries),
            };
            self.paths.insert(path.clone(), (0, target));
            self.linked.insert(*digest);
        }
        Ok(())
    }

    /// The listed names that are not what they were, by the inode that they had. Numbers come again: the last listing counts.
    fn missing(&self) -> Result<HashMap<(u64, u64), PathBuf>> {
        let mut listings: Vec<_> = self.listings.iter().collect();
        listings.sort_unstable_by_key(|(_, listing)| listing.order);
        let mut missing = HashMap::new();
        for (dir, listing) in listings {
            let Some(place) = Place::recorded(&dir.join("_"))? else { continue };
            let device = rustix::fs::fstat(place.dir()).at("look at", dir)?.st_dev;
            for (name, ino) in listing.names.iter().filter(|(_, ino)| **ino != 0) {
                let path = dir.join(name);
                // Also where it is still there: its number is taken.
                missing.remove(&(device, *ino));
                if !self.paths.contains_key(&path) && state::inode(&path) != Some((device, *ino)) {
                    missing.insert((device, *ino), path);
                }
            }
        }
        Ok(missing)
    }
}

fn boot_time() -> i64 {
    // Where a power cut is only pretended, it was just now.
    if cfg!(test) {
        return i64::MAX;
    }
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|t| t.trim().parse().ok()).unwrap_or(i64::MAX)
}
