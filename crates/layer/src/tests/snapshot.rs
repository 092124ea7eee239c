//! A tree as others see it: made without the code under test.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) what: String,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    xattrs: BTreeMap<String, Vec<u8>>,
    flags: u32,
    /// The first name of its inode.
    group: PathBuf,
}

pub(super) type Snapshot = BTreeMap<PathBuf, Seen>;

pub(super) fn take(root: &Path) -> Snapshot {
    let (mut all, mut inodes) = (Snapshot::new(), BTreeMap::new());
    look(root, Path::new("."), &mut all, &mut inodes);
    all
}

fn look(root: &Path, path: &Path, all: &mut Snapshot, inodes: &mut BTreeMap<u64, PathBuf>) {
    let full = root.join(path);
    let m = std::fs::symlink_metadata(&full).unwrap();
    let kind = m.file_type();
    let what = if kind.is_file() {
        format!("file {}", blake3::hash(&std::fs::read(&full).unwrap()))
    } else if kind.is_symlink() {
        format!("link {:?}", std::fs::read_link(&full).unwrap())
    } else if kind.is_dir() {
        "dir".to_owned()
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else {
        format!("special {:o} {}", m.mode() & 0o170_000, m.rdev())
    };
    let group = inodes.entry(m.ino()).or_insert_with(|| path.to_owned()).clone();
    let seen = Seen {
        what,
        mode: m.mode() & 0o7777,
        owner: (m.uid(), m.gid()),
        mtime: (m.mtime(), m.mtime_nsec()),
        xattrs: xattrs(&full),
        flags: flags(&full, &m),
        group,
    };
    all.insert(path.to_owned(), seen);
    if kind.is_dir() {
        let mut names: Vec<_> = std::fs::read_dir(&full).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        for name in names {
            look(root, &path.join(name), all, inodes);
        }
    }
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = [0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    let names = names[..length].split(|b| *b == 0).filter(|n| !n.is_empty());
    names
        .map(|name| {
            let name = std::str::from_utf8(name).unwrap();
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap();
            value.truncate(length);
            (name.to_owned(), value)
        })
        .collect()
}

fn flags(path: &Path, m: &std::fs::Metadata) -> u32 {
    if !m.is_file() && !m.is_dir() {
        return 0;
    }
    let Ok(file) = std::fs::File::open(path) else { return 0 };
    rustix::fs::ioctl_getflags(&file).map_or(0, |f| f.bits() & 0x70)
}

/// In what two snapshots differ, for people.
pub(super) fn compare(now: &Snapshot, then: &Snapshot, but: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let mut all = Vec::new();
    for path in now.keys().chain(then.keys().filter(|p| !now.contains_key(*p))) {
        match (now.get(path), then.get(path)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => {
                let mut masked = a.clone();
                if but(path, "time") {
                    masked.mtime = b.mtime;
                }
                if but(&b.group, "names") {
                    masked.group.clone_from(&b.group);
                }
                if masked != *b && !but(path, "all") {
                    all.push(format!("{path:?}: is {a:?}, was {b:?}"));
                }
            }
            (a, b) if !but(path, "all") => all.push(format!("{path:?}: is {a:?}, was {b:?}")),
            _ => {}
        }
    }
    all
}
