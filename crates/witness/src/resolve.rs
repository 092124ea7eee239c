//! The path that a stopped process means, as we see it: absolute, without links in its directories; below a chroot;
//! or in a mount namespace of its own, where it may be no path of ours at all.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::places::Ground;
use crate::target::{Target, Trouble, same_file};

/// A place that is about to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) path: PathBuf,
    pub(crate) ground: Ground,
}

/// Which root a process has.
enum View {
    Ours,
    /// Another root (as /proc names it), perhaps in another mount namespace.
    Other {
        handle: OwnedFd,
        root: PathBuf,
        same_namespace: bool,
    },
}

struct Directory {
    path: PathBuf,
    ground: Ground,
    /// Where our own path would not lead to it.
    handle: Option<OwnedFd>,
}

/// Directories that were looked up before, by what was written for them: as long as everybody has our root.
pub(crate) struct Resolver {
    plain: bool,
    known: HashMap<PathBuf, Rc<Directory>>,
    namespace: Option<PathBuf>,
}

/// As the kernel.
const MOST_LINKS: usize = 40;
const MOST_KNOWN: usize = 8192;

impl Resolver {
    pub(crate) fn new() -> Self {
        Self { plain: true, known: HashMap::new(), namespace: std::fs::read_link("/proc/self/ns/mnt").ok() }
    }

    /// Somebody took another root or mount namespace: from now on each process is asked.
    pub(crate) fn views_differ(&mut self) {
        self.plain = false;
    }

    /// Whether what /proc says of a path is true for us.
    pub(crate) fn sure(&self) -> bool {
        self.plain
    }

    /// Directories may have got other names.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    /// A directory goes away; what comes in its place may be a link.
    pub(crate) fn forget_one(&mut self, path: &Path) {
        if self.known.remove(path).is_none() {
            self.known.retain(|_, directory| directory.path != path);
        }
    }

    /// Whether a process has a mount namespace of its own.
    pub(crate) fn apart(&self, target: Target) -> bool {
        !self.plain && target.link("ns/mnt").ok() != self.namespace
    }

    /// `path` relative to `directory` (a descriptor or `AT_FDCWD`).
    pub(crate) fn find(
        &mut self,
        target: Target,
        directory: i32,
        path: &[u8],
        follow: bool,
    ) -> Result<Spot, Trouble> {
        let view = self.view(target)?;
        let start = if path.starts_with(b"/") {
            PathBuf::from("/")
        } else {
            let start = target.directory(directory)?;
            match &view {
                View::Other { root, .. } => {
                    start.strip_prefix(root).map(|rest| Path::new("/").join(rest)).unwrap_or(start)
                }
                View::Ours => start,
            }
        };
        self.walk(target, &view, start.join(OsStr::from_bytes(path)), follow)
    }

    /// A path that /proc gave: it has no links in it.
    pub(crate) fn given(&mut self, path: PathBuf) -> Result<Spot, Trouble> {
        let Some(parent) = path.parent() else { return Ok(Spot { path, ground: Ground::Usual }) };
        let ground = self.directory(&View::Ours, parent)?.ground;
        Ok(Spot { path, ground })
    }

    fn walk(
        &mut self,
        target: Target,
        view: &View,
        mut path: PathBuf,
        follow: bool,
    ) -> Result<Spot, Trouble> {
        for _ in 0..MOST_LINKS {
            if path.as_os_str().len() > 3 * libc::PATH_MAX as usize {
                return Err(Trouble::Nothing);
            }
            let text = own_places(target, path.as_os_str().as_bytes());
            let trimmed = trim_slashes(&text);
            let directory_meant = trimmed.len() < text.len();
            let (parent, name) = split(trimmed);
            if matches!(name, b"" | b"." | b"..") {
                let directory = self.directory(view, Path::new(OsStr::from_bytes(&text)))?;
                return Ok(Spot { path: directory.path.clone(), ground: directory.ground });
            }
            let directory = self.directory(view, Path::new(OsStr::from_bytes(parent)))?;
            let name = OsStr::from_bytes(name);
            let spot = Spot { path: directory.path.join(name), ground: directory.ground };
            if !(follow || directory_meant) {
                return Ok(spot);
            }
            let Some(link) = directory.link(name) else { return Ok(spot) };
            if is_descriptors(&directory.path) {
                return self.given(real_file(link)?);
            }
            path = match view {
                _ if link.is_absolute() => link,
                View::Ours => directory.path.join(link),
                View::Other { root, .. } => Path::new("/")
                    .join(directory.path.strip_prefix(root).unwrap_or(&directory.path))
                    .join(link),
            };
        }
        Err(Trouble::Nothing)
    }

    fn view(&self, target: Target) -> Result<View, Trouble> {
        if self.plain {
            return Ok(View::Ours);
        }
        let same_namespace = target.link("ns/mnt").ok() == self.namespace;
        let root = target.link("root")?;
        if same_namespace && root == Path::new("/") {
            return Ok(View::Ours);
        }
        let handle = rustix::fs::open(
            target.proc("root"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|_| Trouble::Nothing)?;
        Ok(View::Other { handle, root, same_namespace })
    }

    fn directory(&mut self, view: &View, path: &Path) -> Result<Rc<Directory>, Trouble> {
        let View::Other { handle, same_namespace, .. } = view else {
            if let Some(known) = self.known.get(path) {
                return Ok(known.clone());
            }
            let directory = Rc::new(look_up(path)?);
            if self.known.len() >= MOST_KNOWN {
                self.known.clear();
            }
            self.known.insert(path.to_owned(), directory.clone());
            return Ok(directory);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let found = rustix::fs::openat2(handle, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
            .map_err(|_| Trouble::Nothing)?;
        let mut directory = described(&found)?;
        let real = rustix::fs::fstat(&found).map_err(|_| Trouble::Nothing)?;
        if !same_namespace && !same_file(&directory.path, &real) {
            directory.ground = Ground::Elsewhere;
        }
        directory.handle = Some(found);
        Ok(Rc::new(directory))
    }
}

impl Directory {
    fn link(&self, name: &OsStr) -> Option<PathBuf> {
        let text = match &self.handle {
            Some(handle) => rustix::fs::readlinkat(handle, name, Vec::new()),
            None => rustix::fs::readlinkat(CWD, self.path.join(name), Vec::new()),
        };
        Some(OsString::from_vec(text.ok()?.into_bytes()).into())
    }
}

fn look_up(path: &Path) -> Result<Directory, Trouble> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let found = rustix::fs::open(path, flags, Mode::empty()).map_err(|_| Trouble::Nothing)?;
    described(&found)
}

fn described(found: &OwnedFd) -> Result<Directory, Trouble> {
    let name = format!("/proc/self/fd/{}", found.as_raw_fd());
    let path = rustix::fs::readlink(name, Vec::new()).map_err(|_| Trouble::Nothing)?;
    let path = PathBuf::from(OsString::from_vec(path.into_bytes()));
    let ground = Ground::of(found.as_fd(), &path);
    Ok(Directory { path, ground, handle: None })
}

/// /proc/self and its kin mean the process that says them, which is not us.
fn own_places(target: Target, path: &[u8]) -> Vec<u8> {
    let whole =
        |name: &[u8], fd: u8| (path == name).then(|| format!("/proc/{}/fd/{fd}", target.0).into_bytes());
    let below = |start: &[u8], place: &str| {
        let rest = path.strip_prefix(start)?;
        let inside = rest.is_empty() || rest.starts_with(b"/");
        inside.then(|| [format!("/proc/{}{place}", target.0).as_bytes(), rest].concat())
    };
    whole(b"/dev/stdin", 0)
        .or_else(|| whole(b"/dev/stdout", 1))
        .or_else(|| whole(b"/dev/stderr", 2))
        .or_else(|| below(b"/dev/fd", "/fd"))
        .or_else(|| below(b"/proc/self", ""))
        .or_else(|| below(b"/proc/thread-self", ""))
        .unwrap_or_else(|| path.to_vec())
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|b| *b != b'/').map_or(1, |last| last + 1);
    &path[..end.min(path.len())]
}

/// The directory part (never empty: paths are absolute here) and the last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(0) | None => (b"/", path.strip_prefix(b"/").unwrap_or(path)),
        Some(at) => (&path[..at], &path[at + 1..]),
    }
}

/// /proc/PID/fd: its links lead to what is open, not to what they say.
fn is_descriptors(directory: &Path) -> bool {
    directory.starts_with("/proc") && directory.file_name().is_some_and(|name| name == "fd")
}

fn real_file(link: PathBuf) -> Result<PathBuf, Trouble> {
    let there = link.is_absolute() && std::fs::symlink_metadata(&link).is_ok();
    if there { Ok(link) } else { Err(Trouble::Nothing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(split(b"/a/b"), (&b"/a"[..], &b"b"[..]));
        assert_eq!(split(b"/a"), (&b"/"[..], &b"a"[..]));
        assert_eq!(split(b"/"), (&b"/"[..], &b""[..]));
        assert_eq!(trim_slashes(b"/a//"), b"/a");
        assert_eq!(trim_slashes(b"///"), b"/");
        assert_eq!(own_places(Target(7), b"/dev/stderr"), b"/proc/7/fd/2");
        assert_eq!(own_places(Target(7), b"/dev/fd/3"), b"/proc/7/fd/3");
        assert_eq!(own_places(Target(7), b"/proc/self/oom_adj"), b"/proc/7/oom_adj");
        assert_eq!(own_places(Target(7), b"/proc/selfish"), b"/proc/selfish");
    }

    #[test]
    fn links_are_followed_as_the_kernel_does() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("real")).unwrap();
        std::os::unix::fs::symlink("real", base.join("way")).unwrap();
        std::os::unix::fs::symlink("../way/end", base.join("real/link")).unwrap();
        let mut resolver = Resolver::new();
        let me = Target(std::process::id());
        let mut find = |path: &str, follow| {
            resolver
                .find(me, libc::AT_FDCWD, base.join(path).as_os_str().as_bytes(), follow)
                .map(|spot| spot.path)
                .ok()
        };
        assert_eq!(find("way/link", false), Some(base.join("real/link")));
        assert_eq!(find("way/link", true), Some(base.join("real/end")));
        assert_eq!(find("way", false), Some(base.join("way")));
        assert_eq!(find("way/", false), Some(base.join("real")));
        assert_eq!(find("way/.", false), Some(base.join("real")));
        assert_eq!(find("way/..", false), Some(base.clone()));
        assert_eq!(find("real/../real/new", true), Some(base.join("real/new")));
        assert_eq!(find("none/new", true), None);
    }
}
