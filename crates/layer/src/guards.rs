//! Directories in which names change: what a recovery must know of them, so that not every name waits for the disk.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FsWord, Mode, OFlags};

use crate::error::{At, Result};
use crate::journal::Entry;
use crate::place::Place;
use crate::recorder::Recorder;
use crate::state::{Ident, Time};

/// Larger directories are not listed: each change of a name in them is made durable by itself.
pub(crate) const MANY: usize = 20_000;
/// So many names that go are made durable one by one, before a listing of their directory is worth its room.
const FEW: usize = 8;

/// A directory in which names change.
pub(crate) struct Guard {
    pub(crate) mtime: Time,
    listed: Listed,
    /// Names that were there and go, or get another inode.
    gone: usize,
}

enum Listed {
    No,
    /// The names that were there then, with their inodes.
    Yes(HashMap<OsString, u64>),
    /// Too many names, or not ours to read.
    Never,
}

impl Guard {
    fn new(mtime: Time, listed: Listed) -> Self {
        Self { mtime, listed, gone: 0 }
    }
}

impl Recorder {
    /// The time of this directory is about to change.
    pub(crate) fn guard_dir(&mut self, dir: &Path) -> Result<()> {
        if !self.witnessed
            && let Some(place) = Place::find(&dir.join("_"))?
        {
            self.guard(&place)?;
            self.urgent = true;
        }
        Ok(())
    }

    /// A directory came here by a rename and had this time.
    pub(crate) fn guard_moved(&mut self, dir: &Path, mtime: Time) {
        self.guards.entry(dir.to_owned()).or_insert(Guard::new(mtime, Listed::Never));
    }

    /// Names in the directory of this place change: its time is noted. `None`: the run made the directory.
    fn guard(&mut self, place: &Place) -> Result<Option<&mut Guard>> {
        let dir = place.dir_path();
        if self.known.get(dir).is_some_and(|known| known.absent) {
            return Ok(None);
        }
        if !self.guards.contains_key(dir) {
            let mtime = match self.known.get(dir) {
                Some(known) => known.mtime,
                None => {
                    let stat = rustix::fs::fstat(place.dir()).at("look at", dir)?;
                    Time(stat.st_mtime, stat.st_mtime_nsec as u32)
                }
            };
            self.guards.insert(dir.to_owned(), Guard::new(mtime, Listed::No));
            self.note(&Entry::Guard { path: dir.to_owned(), mtime, names: None, inodes: Vec::new() })?;
        }
        Ok(self.guards.get_mut(dir))
    }

    /// A name appears. True: it needs not be made durable by itself, since a recovery knows all that was there before.
    pub(crate) fn guard_new(&mut self, place: &Place) -> Result<bool> {
        match self.guard(place)? {
            None => return Ok(true),
            Some(guard) if matches!(guard.listed, Listed::No) => self.list(place)?,
            Some(_) => {}
        }
        Ok(self.guard(place)?.is_some_and(|guard| matches!(guard.listed, Listed::Yes(_))))
    }

    /// A name goes or gets another inode. True: it needs not be made durable by itself if its inode stays in the store,
    /// since a recovery knows by the listing whose it was. The link into the store was made first, and the file system
    /// keeps that order. Not what is as new as this run: the number of an inode that others removed meanwhile could be
    /// the one of a copy in the store.
    pub(crate) fn guard_old(&mut self, place: &Place, ident: Ident) -> Result<bool> {
        let Some(guard) = self.guard(place)? else { return Ok(false) };
        guard.gone += 1;
        if guard.gone >= FEW && matches!(guard.listed, Listed::No) && self.is_found_by_inode(place)? {
            self.list(place)?;
        }
        let is_older = ident.is_older(self.open()?.journal.begun());
        Ok(self.guard(place)?.is_some_and(|guard| match &guard.listed {
            Listed::Yes(names) => is_older && names.get(place.name()) == Some(&ident.ino),
            _ => false,
        }))
    }

    /// Whether what was in this directory can be linked into the store, in an order that a power cut keeps.
    fn is_found_by_inode(&mut self, place: &Place) -> Result<bool> {
        let device = rustix::fs::fstat(place.dir()).at("look at", place.dir_path())?.st_dev;
        Ok(keeps_order(place) && self.open()?.store.can_hold(device))
    }

    /// Write down what is in the directory of this place.
    fn list(&mut self, place: &Place) -> Result<()> {
        let (found, with_inodes) = (names_in(place)?, self.is_found_by_inode(place)?);
        let Some(guard) = self.guards.get_mut(place.dir_path()) else { return Ok(()) };
        let Some(mut found) = found else {
            guard.listed = Listed::Never;
            return Ok(());
        };
        if !with_inodes {
            found.iter_mut().for_each(|(_, ino)| *ino = 0);
        }
        let mtime = guard.mtime;
        let (names, mut inodes): (Vec<_>, Vec<_>) =
            found.iter().map(|(name, ino)| (PathBuf::from(name), *ino)).unzip();
        inodes.retain(|_| with_inodes);
        guard.listed = Listed::Yes(found.into_iter().collect());
        self.urgent = true;
        self.note(&Entry::Guard { path: place.dir_path().to_owned(), mtime, names: Some(names), inodes })
    }
}

pub(crate) fn open_dir(place: &Place) -> Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(place.dir(), ".", flags, Mode::empty()).at("list", place.dir_path())?;
    Dir::new(dir).at("list", place.dir_path())
}

/// Names and inodes; `None`: too many, or not ours to read.
fn names_in(place: &Place) -> Result<Option<Vec<(OsString, u64)>>> {
    let Ok(dir) = open_dir(place) else { return Ok(None) };
    let mut names = Vec::new();
    for entry in dir {
        let entry = entry.at("list", place.dir_path())?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() == MANY {
            return Ok(None);
        }
        names.push((std::ffi::OsStr::from_bytes(name).to_owned(), entry.ino()));
    }
    Ok(Some(names))
}

/// Whether names change on the disk in the order in which they were changed: file systems with one journal for all. (Of
/// one in memory nothing is left after a power cut.)
fn keeps_order(place: &Place) -> bool {
    const EXT4: FsWord = 0xEF53;
    const XFS: FsWord = 0x5846_5342;
    const TMPFS: FsWord = 0x0102_1994;
    rustix::fs::fstatfs(place.dir()).is_ok_and(|stat| [EXT4, XFS, TMPFS].contains(&stat.f_type))
}
