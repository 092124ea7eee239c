//! Making changes safe against power cuts, cheaply: all at once instead of one by one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

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

    /// This object came into the store, and perhaps its directory.
    pub(crate) fn object(&mut self, path: &Path) {
        path.ancestors().skip(1).take(2).for_each(|dir| self.dir(dir));
    }

    #[cfg(test)]
    pub(crate) fn has_dir(&self, path: &Path) -> bool {
        self.dirs.contains(path)
    }

    /// Everything noted until now reaches the disk. A failure is final: what could not be written is lost, and a
    /// second attempt would succeed without having written it.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let all: Vec<PathBuf> =
            std::mem::take(&mut self.files).into_iter().chain(std::mem::take(&mut self.dirs)).collect();
        if all.len() <= FEW {
            return all.iter().try_for_each(|path| sync_one(path));
        }
        // File systems are told by a directory of each: the files themselves may be pipes, or gone.
        let mut done = BTreeSet::new();
        let dirs: BTreeSet<&Path> = all.iter().filter_map(|path| path.parent()).collect();
        for path in dirs {
            let Some(file) = open(path)? else { continue };
            if done.insert(file.metadata().at("look at", path)?.dev()) {
                rustix::fs::syncfs(&file).at("write to disk", path)?;
            }
        }
        Ok(())
    }
}

/// The names in a directory reach the disk.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    sync_one(path)
}

fn sync_one(path: &Path) -> Result<()> {
    match open(path)? {
        Some(file) => match rustix::fs::fsync(&file) {
            // Files of /proc and /sys, and some network file systems, know no fsync.
            Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            other => other.at("write to disk", path),
        },
        None => Ok(()),
    }
}

/// `None`: gone since, or no regular file or directory, or not ours to read.
fn open(path: &Path) -> Result<Option<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if is_no_file(&e) => return Ok(None),
        Err(e) => return Err(e).at("look at", path),
    };
    if !metadata.is_file() && !metadata.is_dir() {
        return Ok(None);
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    match std::fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if is_no_file(&e) => Ok(None),
        Err(e) => Err(e).at("open", path),
    }
}

fn is_no_file(error: &io::Error) -> bool {
    let none =
        [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::ACCESS, Errno::PERM, Errno::NXIO, Errno::NODEV];
    error.raw_os_error().is_some_and(|code| none.iter().any(|e| e.raw_os_error() == code))
}
