//! What a root file system holds, path by path, put together from a base and the overlay's upper directories.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Doing, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    File,
    Link,
    Char,
    Block,
    Fifo,
    /// Sockets belong to running programs.
    Socket,
}

/// One path. Where its content is: `dir` joined with its path, unless `content` replaces it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) dir: Arc<Path>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: i64,
    pub(crate) size: u64,
    /// Device and inode, for files with several names.
    pub(crate) inode: Option<(u64, u64)>,
    pub(crate) rdev: u64,
    pub(crate) target: Vec<u8>,
    pub(crate) xattrs: Vec<(String, Vec<u8>)>,
    pub(crate) content: Option<Arc<[u8]>>,
}

impl Node {
    /// The same thing, as far as an archive can tell, without reading contents.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let same_dir = || Arc::ptr_eq(&self.dir, &other.dir) || self.dir == other.dir;
        let same_place = || same_dir() && self.content == other.content;
        self.kind == other.kind
            && (self.mode, self.uid, self.gid, self.mtime, self.rdev)
                == (other.mode, other.uid, other.gid, other.mtime, other.rdev)
            && self.target == other.target
            && self.xattrs == other.xattrs
            && (self.kind != Kind::File || (self.size == other.size && same_place()))
    }

    pub(crate) fn read(&self, path: &[u8]) -> Result<Vec<u8>> {
        if let Some(content) = &self.content {
            return Ok(content.to_vec());
        }
        let place = self.place(path);
        fs::read(&place).at(&place)
    }

    pub(crate) fn place(&self, path: &[u8]) -> PathBuf {
        self.dir.join(OsStr::from_bytes(path))
    }

    pub(crate) fn dir(dir: &Arc<Path>, mode: u32) -> Self {
        Self { kind: Kind::Dir, mode, ..Self::empty(dir) }
    }

    pub(crate) fn file(dir: &Arc<Path>, mode: u32, content: &[u8]) -> Self {
        Self { mode, size: content.len() as u64, content: Some(content.into()), ..Self::empty(dir) }
    }

    pub(crate) fn link(dir: &Arc<Path>, target: &[u8]) -> Self {
        Self { kind: Kind::Link, mode: 0o777, target: target.to_vec(), ..Self::empty(dir) }
    }

    fn empty(dir: &Arc<Path>) -> Self {
        Self {
            dir: Arc::clone(dir),
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            size: 0,
            inode: None,
            rdev: 0,
            target: Vec::new(),
            xattrs: Vec::new(),
            content: None,
        }
    }
}

/// Paths without a leading slash; a directory comes before what is in it. The root itself is not in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(pub(crate) BTreeMap<Vec<u8>, Node>);

impl Tree {
    /// Everything below a directory.
    pub(crate) fn scan(dir: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.apply(dir)?;
        Ok(tree)
    }

    /// One path below a directory.
    pub(crate) fn look(dir: &Arc<Path>, path: &str) -> Result<Node> {
        let place = dir.join(path);
        let meta = fs::symlink_metadata(&place).at(&place)?;
        Ok(node(dir, &place, &meta)?.0)
    }

    /// Lays an overlay's upper directory over it. Which paths were put there or taken away.
    pub(crate) fn apply(&mut self, upper: &Path) -> Result<Vec<Vec<u8>>> {
        let dir: Arc<Path> = Arc::from(upper);
        let mut touched = Vec::new();
        let mut waiting = vec![(Vec::new(), upper.to_owned())];
        while let Some((path, place)) = waiting.pop() {
            for entry in fs::read_dir(&place).at(&place)? {
                let entry = entry.at(&place)?;
                let name = join(&path, entry.file_name().as_bytes());
                let place = entry.path();
                let meta = fs::symlink_metadata(&place).at(&place)?;
                if is_whiteout(&meta) {
                    touched.extend(self.remove(&name));
                    continue;
                }
                let (node, opaque) = node(&dir, &place, &meta)?;
                let was_dir = self.0.get(&name).is_some_and(|old| old.kind == Kind::Dir);
                if opaque || node.kind != Kind::Dir || !was_dir {
                    touched.extend(self.remove(&name));
                }
                if node.kind == Kind::Dir {
                    waiting.push((name.clone(), place));
                }
                touched.push(name.clone());
                self.0.insert(name, node);
            }
        }
        Ok(touched)
    }

    /// A path and everything below it: what it took away.
    pub(crate) fn remove(&mut self, path: &[u8]) -> Vec<Vec<u8>> {
        let mut removed = self.below(path);
        removed.push(path.to_vec());
        removed.retain(|path| self.0.remove(path).is_some());
        removed
    }

    pub(crate) fn below(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let start = [path, b"/"].concat();
        self.0
            .range(start.clone()..)
            .take_while(|(name, _)| name.starts_with(&start))
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path.as_bytes())
    }

    /// The text of a file, if it is there, following the one symlink it may be.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let node = self.get(path)?;
        if node.kind == Kind::Link {
            let target = String::from_utf8(node.target.clone()).ok()?;
            let target = match target.strip_prefix('/') {
                Some(absolute) => absolute.to_owned(),
                None => resolve(path, &target),
            };
            let node = self.get(&target).filter(|node| node.kind == Kind::File)?;
            return node
                .read(target.as_bytes())
                .ok()
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        }
        node.read(path.as_bytes()).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The newest time of all.
    pub(crate) fn newest(&self) -> i64 {
        self.0.values().map(|node| node.mtime).max().unwrap_or(0)
    }
}

/// A relative link's target, as a path of the tree.
fn resolve(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

fn is_whiteout(meta: &fs::Metadata) -> bool {
    meta.mode() & 0o170_000 == 0o020_000 && meta.rdev() == 0
}

/// And whether an overlay hides what is below it.
fn node(dir: &Arc<Path>, place: &Path, meta: &fs::Metadata) -> Result<(Node, bool)> {
    let kind = match meta.mode() & 0o170_000 {
        0o040_000 => Kind::Dir,
        0o120_000 => Kind::Link,
        0o020_000 => Kind::Char,
        0o060_000 => Kind::Block,
        0o010_000 => Kind::Fifo,
        0o140_000 => Kind::Socket,
        _ => Kind::File,
    };
    let target = if kind == Kind::Link {
        fs::read_link(place).at(place)?.into_os_string().into_vec()
    } else {
        Vec::new()
    };
    let (xattrs, opaque) =
        if kind == Kind::Link { (Vec::new(), false) } else { attributes(place).at(place)? };
    let node = Node {
        dir: Arc::clone(dir),
        kind,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: meta.mtime(),
        size: if kind == Kind::File { meta.size() } else { 0 },
        inode: (kind == Kind::File && meta.nlink() > 1).then(|| (meta.dev(), meta.ino())),
        rdev: if matches!(kind, Kind::Char | Kind::Block) { meta.rdev() } else { 0 },
        target,
        xattrs,
        content: None,
    };
    Ok((node, opaque))
}

type Attributes = Vec<(String, Vec<u8>)>;

/// The overlay's own attributes are none of the image's.
fn attributes(place: &Path) -> io::Result<(Attributes, bool)> {
    let mut names = vec![0_u8; 4096];
    let length = match rustix::fs::llistxattr(place, &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut all = Vec::new();
    let mut opaque = false;
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; 65_536];
        let size = rustix::fs::lgetxattr(place, OsString::from_vec(name.to_vec()), &mut value)?;
        value.truncate(size);
        let name = String::from_utf8_lossy(name).into_owned();
        if let Some(own) = name.strip_prefix("trusted.overlay.") {
            opaque |= own == "opaque" && value == b"y";
        } else {
            all.push((name, value));
        }
    }
    all.sort();
    Ok((all, opaque))
}
