//! Inodes that have names which we do not know: a link of our own keeps the way to them, so that a name that is
//! taken away can become a name of the same inode again. `holds/DEVICE-INODE`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD};

use super::{Store, list, make_private_dir};
use crate::error::{At, Result};
use crate::place::Place;

impl Store {
    fn holds(&self) -> PathBuf {
        self.state_dir.join("holds")
    }

    /// Whether links to what is on that device can be held here.
    pub(crate) fn can_hold(&self, device: u64) -> bool {
        crate::state::inode(&self.state_dir).is_some_and(|(own, _)| own == device)
    }

    pub(crate) fn held(&self, (dev, ino): (u64, u64)) -> PathBuf {
        self.holds().join(format!("{dev:x}-{ino:x}"))
    }

    /// Where it cannot be (another file system, say) the group is lost, its contents are not.
    pub(crate) fn hold(&self, place: &Place, inode: (u64, u64)) -> Result<()> {
        make_private_dir(&self.holds())?;
        let path = self.held(inode);
        if std::fs::symlink_metadata(&path).is_ok() {
            return Ok(());
        }
        _ = rustix::fs::linkat(place.dir(), place.name(), CWD, &path, AtFlags::empty());
        Ok(())
    }

    pub(crate) fn release(&self, inode: (u64, u64)) -> Result<()> {
        let path = self.held(inode);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at("remove", &path),
            _ => Ok(()),
        }
    }

    /// These devices have other numbers now.
    pub(crate) fn renumber_holds(&self, now: &HashMap<u64, u64>) -> Result<()> {
        for path in list(&self.holds())? {
            let Some((device, number)) = named(&path) else { continue };
            if let Some(device) = now.get(&device) {
                std::fs::rename(&path, self.held((*device, number))).at("rename", &path)?;
            }
        }
        Ok(())
    }

    /// Let go of what no layer speaks of, whatever number its device had then.
    pub(crate) fn release_all_but(&self, needed: &HashSet<(u64, u64)>) -> Result<()> {
        let needed: HashSet<u64> = needed.iter().map(|(_, number)| *number).collect();
        let is_needed = |path: &PathBuf| named(path).is_some_and(|(_, number)| needed.contains(&number));
        for path in list(&self.holds())?.into_iter().filter(|path| !is_needed(path)) {
            std::fs::remove_file(&path).at("remove", &path)?;
        }
        Ok(())
    }
}

/// Device and number of a held inode.
fn named(path: &Path) -> Option<(u64, u64)> {
    let (device, number) = path.file_name()?.to_str()?.split_once('-')?;
    Some((u64::from_str_radix(device, 16).ok()?, u64::from_str_radix(number, 16).ok()?))
}
