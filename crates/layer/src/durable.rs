//! Making changes safe against power cuts, cheaply: all at once instead of one by one.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};

/// Up to so many paths are synced one by one: `syncfs` would also wait for other programs' data.
const FEW: usize = 64;

/// What was written and not yet synced.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    files: BTreeSet<PathBuf>,
    dirs: BTreeSet<PathBuf>,
}

impl Dirty {
    /// The content of this file changed.
    pub(crate) fn file(&mut self, path: &Path) {
        self.files.insert(path.to_owned());
    }
    /// A name in this directory changed.
    pub(crate) fn dir(&mut self, path: &Path) {
        self.dirs.insert(path.to_owned());
    }

    /// Everything noted until now reaches the disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let all: Vec<PathBuf> =
            std::mem::take(&mut self.files).into_iter().chain(std::mem::take(&mut self.dirs)).collect();
        if all.len() <= FEW {
            return all.iter().try_for_each(|path| sync_one(path));
        }
        let mut done = BTreeSet::new();
        for path in &all {
            let Some(file) = open(path)? else { continue };
            if done.insert(file.metadata().at("look at", path)?.dev()) {
                rustix::fs::syncfs(&file).at("write to disk", path)?;
            }
        }
        Ok(())
    }
}

fn sync_one(path: &Path) -> Result<()> {
    match open(path)? {
        Some(file) => match rustix::fs::fsync(&file) {
            // Files of /proc and /sys, and some network file systems, know no fsync.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOTSUP) => Ok(()),
            other => other.at("write to disk", path),
        },
        None => Ok(()),
    }
}

/// `None`: gone since, or no regular file or directory, or not ours to read.
fn open(path: &Path) -> Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    match std::fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(_) => Ok(None),
    }
}
