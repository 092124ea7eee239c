//! Walking a tree without following links.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::error::{At, Result};
use crate::place::Place;

/// The place itself (an empty path) and everything below it, relative to it; a directory comes before what is in it.
pub(crate) fn list(place: &Place) -> Result<Vec<PathBuf>> {
    let mut all = vec![PathBuf::new()];
    if let Some(dir) = open_dir(place)? {
        walk(&dir, Path::new(""), place.path(), &mut all)?;
    }
    Ok(all)
}

/// The names in the directory of this place.
pub(crate) fn names(place: &Place) -> Result<Vec<std::ffi::OsString>> {
    let shown = place.dir_path();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(place.dir(), ".", flags, Mode::empty()).at("list", shown)?;
    let mut names = Vec::new();
    for entry in Dir::new(dir).at("list", shown)? {
        let entry = entry.at("list", shown)?;
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn open_dir(place: &Place) -> Result<Option<OwnedFd>> {
    open_below(place.dir(), place.name().as_bytes(), place.path())
}

fn open_below(dir: impl std::os::fd::AsFd, name: &[u8], shown: &Path) -> Result<Option<OwnedFd>> {
    let stat = match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        other => other.at("look at", shown)?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&dir, name, flags, Mode::empty()).at("open the directory", shown).map(Some)
}

fn walk(dir: &OwnedFd, relative: &Path, top: &Path, all: &mut Vec<PathBuf>) -> Result<()> {
    let shown = top.join(relative);
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).at("list", &shown)? {
        let entry = entry.at("list", &shown)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    for name in names {
        let path = relative.join(std::ffi::OsStr::from_bytes(&name));
        all.push(path.clone());
        if let Some(below) = open_below(dir, &name, &top.join(&path))? {
            walk(&below, &path, top, all)?;
        }
    }
    Ok(())
}

/// Names of an inode below a directory, on its file system; `but`: a part that was searched before.
pub(crate) fn names_of(top: &Path, (device, number): (u64, u64), but: Option<&Path>) -> Vec<PathBuf> {
    use std::os::unix::fs::{DirEntryExt, MetadataExt};
    let mut found = Vec::new();
    let mut todo = vec![top.to_owned()];
    while let Some(dir) = todo.pop() {
        if but == Some(dir.as_path()) || !std::fs::symlink_metadata(&dir).is_ok_and(|m| m.dev() == device) {
            continue;
        }
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.ino() == number {
                found.push(entry.path());
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(entry.path());
            }
        }
    }
    found
}
