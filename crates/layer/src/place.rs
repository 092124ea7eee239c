//! A path as a directory descriptor and a name: what is done to it cannot be redirected by someone who swaps
//! directories for links meanwhile.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{At, Error, Result};
use crate::state::descriptor_path;

/// As many links in one path as the kernel follows.
const MAX_LINKS: usize = 40;

#[derive(Debug)]
pub(crate) struct Place {
    dir: OwnedFd,
    name: OsString,
    /// Absolute, no links in the directory part.
    path: PathBuf,
}

impl Place {
    /// The directory part must exist.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path).at("find", path)?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return root_or_dots(&absolute, path);
        };
        let dir = open_dir(parent).map_err(|e| name_it(e, path))?;
        let real = real_path(&dir, parent);
        Ok(Self { path: real.join(name), name: name.to_owned(), dir })
    }

    /// As [`Place::open`]; `None` when the directory part does not exist.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>> {
        match Self::open(path) {
            Err(Error::Io { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// A path as a record gives it: without links in its directory part. `None` when that is not there, or when there
    /// is a link now, which leads elsewhere.
    pub(crate) fn recorded(path: &Path) -> Result<Option<Self>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Self::find(path) };
        match rustix::fs::openat2(CWD, parent, DIRECTORY, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(dir) => Ok(Some(Self { path: path.to_owned(), name: name.to_owned(), dir })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {
                let there = Self::find(path)?;
                Ok(there.filter(|place| place.path == path))
            }
            Err(error) => Err(error).at("open the directory of", path),
        }
    }

    /// As [`Place::recorded`]; it must be there.
    pub(crate) fn open_recorded(path: &Path) -> Result<Self> {
        Self::recorded(path)?.ok_or(Errno::NOTDIR).at("open the directory of", path)
    }

    /// A name inside a directory that is open already.
    pub(crate) fn inside(dir: OwnedFd, parent: &Path, name: &OsStr) -> Self {
        Self { dir, name: name.to_owned(), path: parent.join(name) }
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    pub(crate) fn dir_path(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
    /// For calls that want a path and do not follow a link at its end.
    pub(crate) fn by_descriptor(&self) -> PathBuf {
        descriptor_path(self.dir.as_fd()).join(&self.name)
    }
}

/// `/`, or a path that ends in `..`.
fn root_or_dots(absolute: &Path, given: &Path) -> Result<Place> {
    let dir = open_dir(absolute).map_err(|e| name_it(e, given))?;
    let real = real_path(&dir, absolute);
    if let (Some(parent), Some(name)) = (real.parent(), real.file_name()) {
        let dir = open_dir(parent).map_err(|e| name_it(e, given))?;
        return Ok(Place { dir, name: name.to_owned(), path: real.clone() });
    }
    Ok(Place { dir, name: ".".into(), path: "/".into() })
}

fn name_it(error: Error, path: &Path) -> Error {
    match error {
        Error::Io { doing, source, .. } => Error::Io { doing, path: path.to_owned(), source },
        other => other,
    }
}

fn real_path(dir: &OwnedFd, fallback: &Path) -> PathBuf {
    std::fs::read_link(descriptor_path(dir.as_fd()))
        .ok()
        .filter(|p| p.is_absolute())
        .unwrap_or_else(|| fallback.to_owned())
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Open a directory. Links that root or we ourselves made are followed; a link of another user is followed only to
/// a directory of that same user (so nobody can lead a run as root to where he could not write himself).
fn open_dir(path: &Path) -> Result<OwnedFd> {
    match rustix::fs::openat2(CWD, path, DIRECTORY, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(dir) => Ok(dir),
        Err(Errno::LOOP | Errno::NOSYS | Errno::PERM | Errno::AGAIN) => walk(path),
        Err(error) => Err(error).at("open the directory of", path),
    }
}

fn walk(path: &Path) -> Result<OwnedFd> {
    let mut todo: Vec<OsString> = parts(path);
    let mut dir = rustix::fs::openat(CWD, "/", DIRECTORY, Mode::empty()).at("open", path)?;
    let own = rustix::process::geteuid().as_raw();
    let mut strangers = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = rustix::fs::openat(&dir, &part, flags, Mode::empty()).at("open", path)?;
        let stat = rustix::fs::fstat(&next).at("look at", path)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            dir = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::LOOP).at("open", path);
        }
        if stat.st_uid != 0 && stat.st_uid != own {
            strangers.push(stat.st_uid);
        }
        let target = rustix::fs::readlinkat(&dir, &part, Vec::new()).at("read the link", path)?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            dir = rustix::fs::openat(CWD, "/", DIRECTORY, Mode::empty()).at("open", path)?;
        }
        todo.extend(parts(&target));
    }
    let stat = rustix::fs::statat(&dir, "", AtFlags::EMPTY_PATH).at("look at", path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Errno::NOTDIR).at("open the directory of", path);
    }
    match strangers.into_iter().find(|owner| *owner != stat.st_uid) {
        Some(owner) => Err(Error::UnsafeLink { path: path.to_owned(), owner }),
        None => Ok(dir),
    }
}

/// Components, last first; `.` and `/` left out.
fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter(|c| !matches!(c, Component::RootDir | Component::CurDir | Component::Prefix(_)))
        .map(|c| c.as_os_str().to_owned())
        .collect()
}

/// The name of the file that a run makes to be renamed to this place. It follows from the journal's id, so that a
/// recovery knows it even if nobody could write it down.
pub(crate) fn temporary_of(id: &str, place: &Path) -> OsString {
    let digest = crate::Digest::of(&[id.as_bytes(), b"\0", place.as_os_str().as_bytes()].concat());
    hidden(place.file_name().unwrap_or_default(), digest)
}

/// A name that nothing has, for a file that will be renamed.
pub(crate) fn temporary_name(name: &OsStr) -> OsString {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let time = crate::state::Time::now();
    let salt = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed), time.0, time.1);
    hidden(name, crate::Digest::of(format!("{salt:?}").as_bytes()))
}

fn hidden(name: &OsStr, digest: crate::Digest) -> OsString {
    let mut temporary = OsString::from(".");
    // The whole must stay under 255 bytes.
    temporary.push(OsStr::from_bytes(&name.as_bytes()[..name.len().min(200)]));
    temporary.push(".theseus-");
    temporary.push(&digest.to_string()[..16]);
    temporary
}
