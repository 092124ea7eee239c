//! What a tree is, in everything that an exact undo must put back; and how two trees differ.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) what: What,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, i64),
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// The first path (in order) of the same inode.
    pub(crate) same_as: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    File { size: u64, digest: blake3::Hash },
    Dir,
    Link(PathBuf),
    Other { kind: &'static str, device: u64 },
}

pub(crate) type Snapshot = BTreeMap<PathBuf, Entry>;

/// The directory itself (an empty path) and everything below it.
pub(crate) fn take(top: &Path) -> Result<Snapshot> {
    let mut found = Snapshot::new();
    visit(top, Path::new(""), &mut found)?;
    let mut first: HashMap<(u64, u64), PathBuf> = HashMap::new();
    for (path, entry) in &mut found {
        let metadata = fs::symlink_metadata(top.join(path)).with_context(|| shown(path))?;
        let known = first.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.clone());
        entry.same_as.clone_from(known);
    }
    Ok(found)
}

fn visit(top: &Path, path: &Path, found: &mut Snapshot) -> Result<()> {
    let full = if path.as_os_str().is_empty() { top.to_owned() } else { top.join(path) };
    let metadata = fs::symlink_metadata(&full).with_context(|| shown(&full))?;
    let kind = metadata.file_type();
    let what = if kind.is_dir() {
        What::Dir
    } else if kind.is_symlink() {
        What::Link(fs::read_link(&full)?)
    } else if kind.is_file() {
        let bytes = fs::read(&full).with_context(|| shown(&full))?;
        What::File { size: bytes.len() as u64, digest: blake3::hash(&bytes) }
    } else {
        let kind = if kind.is_fifo() {
            "fifo"
        } else if kind.is_socket() {
            "socket"
        } else if kind.is_char_device() {
            "character device"
        } else {
            "block device"
        };
        What::Other { kind, device: metadata.rdev() }
    };
    let entry = Entry {
        what,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        xattrs: xattrs(&full),
        same_as: PathBuf::new(),
    };
    let is_dir = entry.what == What::Dir;
    found.insert(path.to_owned(), entry);
    if is_dir {
        for below in fs::read_dir(&full).with_context(|| shown(&full))? {
            visit(top, &path.join(below?.file_name()), found)?;
        }
    }
    Ok(())
}

/// ACLs and capabilities are among them.
fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0_u8; 8192];
    let Ok(length) = rustix::fs::llistxattr(path, names.as_mut_slice()) else { return BTreeMap::new() };
    let names = names[..length].split(|b| *b == 0).filter(|name| !name.is_empty());
    let pairs = names.filter_map(|name| {
        let name = std::str::from_utf8(name).ok()?;
        let mut value = vec![0; 8192];
        let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).ok()?;
        value.truncate(length);
        Some((name.to_owned(), value))
    });
    pairs.collect()
}

/// How exactly two trees have to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times<'a> {
    Exact,
    /// Times that the change made differ from run to run: those that differ from this earlier state do not count.
    SinceChange(&'a Snapshot),
}

/// Every difference, one line each.
pub(crate) fn differences(wanted: &Snapshot, found: &Snapshot, times: Times<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for (path, entry) in wanted {
        let Some(is) = found.get(path) else {
            all.push(format!("{} is missing", shown(path)));
            continue;
        };
        let mut is = is.clone();
        if let Times::SinceChange(before) = times
            && before.get(path).is_none_or(|before| before.mtime != entry.mtime)
        {
            is.mtime = entry.mtime;
        }
        compare(path, entry, &is, &mut all);
    }
    for path in found.keys().filter(|path| !wanted.contains_key(*path)) {
        all.push(format!("{} should not be there", shown(path)));
    }
    all
}

fn compare(path: &Path, wanted: &Entry, is: &Entry, all: &mut Vec<String>) {
    let mut say = |what: &str, wanted: String, is: String| {
        if wanted != is {
            all.push(format!("{}: {what} is {is} instead of {wanted}", shown(path)));
        }
    };
    say("it", format!("{:?}", wanted.what), format!("{:?}", is.what));
    say("mode", format!("{:o}", wanted.mode), format!("{:o}", is.mode));
    say("owner", format!("{:?}", wanted.owner), format!("{:?}", is.owner));
    say("mtime", format!("{:?}", wanted.mtime), format!("{:?}", is.mtime));
    say("attributes", format!("{:?}", wanted.xattrs), format!("{:?}", is.xattrs));
    say("its inode", wanted.same_as.display().to_string(), is.same_as.display().to_string());
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return "the top".to_owned();
    }
    String::from_utf8_lossy(path.as_os_str().as_bytes()).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Times, differences, take};

    #[test]
    fn every_kind_of_difference_is_seen() {
        let dir = std::env::temp_dir().join(format!("theseus-snapshot-{}", std::process::id()));
        fs::create_dir_all(dir.join("d")).unwrap();
        fs::write(dir.join("d/a"), "1").unwrap();
        fs::hard_link(dir.join("d/a"), dir.join("b")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.join("l")).unwrap();
        let before = take(&dir).unwrap();
        assert_eq!(before.len(), 5);
        assert_eq!(before[std::path::Path::new("d/a")].same_as, std::path::Path::new("b"));
        assert!(differences(&before, &take(&dir).unwrap(), Times::Exact).is_empty());
        fs::remove_file(dir.join("b")).unwrap();
        fs::write(dir.join("b"), "1").unwrap();
        fs::write(dir.join("new"), "").unwrap();
        let after = take(&dir).unwrap();
        let all = differences(&before, &after, Times::SinceChange(&before));
        assert!(all.iter().any(|line| line.contains("d/a: its inode")), "{all:?}");
        assert!(all.iter().any(|line| line.contains("new should not be there")), "{all:?}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
