//! The scanner: looks at every entry of a tree, and reads only the contents that it must. Several threads take
//! directories from one list; they are nice to everything else on the machine.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use layer::{Digest, Hasher, Time};
use md5::{Digest as _, Md5};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};

use crate::manifest::{self, Entry, Manifest};
use crate::records::{Owned, Records};

/// A content changed within this time before a scan could change again without its time telling.
const YOUNG: i64 = 2;
/// The parts in which contents are read again, a part a day.
pub const PARTS: u64 = 7;
/// Larger files that no package knows are told by size and times alone, unless all is read.
const LARGE: u64 = 64 << 20;

/// What is scanned, and how.
pub struct Options<'a> {
    pub root: &'a Path,
    /// Which directories are entered (paths as seen from the root).
    pub enter: &'a (dyn Fn(&[u8]) -> bool + Sync),
    /// Whose contents are read at all; the rest is known by its metadata.
    pub reads: &'a (dyn Fn(&[u8]) -> bool + Sync),
    /// Other file systems are entered if they are one of these devices.
    pub devices: HashSet<u64>,
    /// The last scan.
    pub known: Option<&'a Manifest>,
    pub records: Option<&'a Records>,
    /// Read every content, whatever was known.
    pub full: bool,
    /// These parts ([`PARTS`]) are read again.
    pub again: HashSet<u64>,
    pub threads: usize,
    /// At most so many bytes a second.
    pub limit: Option<u64>,
    pub cancelled: &'a AtomicBool,
}

/// What a scan did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    pub entries: u64,
    pub directories: u64,
    pub files_read: u64,
    pub bytes_read: u64,
    pub seconds: f64,
}

/// How many threads wait for a disk at best; more than there are processors.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(4, |n| n.get() * 3).clamp(4, 16)
}

/// What is done with the block of a directory: its path and the block.
pub type Act<'a> = dyn FnMut(&[u8], &[u8]) -> io::Result<()> + Send + 'a;

/// Walks the tree; `found` gets each directory's block, from one thread at a time.
pub fn scan(options: &Options<'_>, found: &mut Act) -> io::Result<Stats> {
    let began = Instant::now();
    let work = Work {
        options,
        queue: Mutex::new(Queue { dirs: vec![b"/".to_vec()], busy: 0 }),
        changed: Condvar::new(),
        found: Mutex::new(Found { act: found, failed: None }),
        inodes: Mutex::default(),
        entries: AtomicU64::new(0),
        directories: AtomicU64::new(0),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        began,
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| work.run());
        }
    });
    if options.cancelled.load(Ordering::Relaxed) {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "the scan was interrupted"));
    }
    let found = work.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = found.failed {
        return Err(error);
    }
    let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
    Ok(Stats {
        entries: count(&work.entries),
        directories: count(&work.directories),
        files_read: count(&work.files),
        bytes_read: count(&work.bytes),
        seconds: began.elapsed().as_secs_f64(),
    })
}

struct Queue {
    dirs: Vec<Vec<u8>>,
    busy: usize,
}

struct Found<'a> {
    act: &'a mut Act<'a>,
    failed: Option<io::Error>,
}

struct Work<'a> {
    options: &'a Options<'a>,
    queue: Mutex<Queue>,
    changed: Condvar,
    found: Mutex<Found<'a>>,
    /// Inodes with several names that were read.
    inodes: Mutex<HashMap<(u64, u64), Content>>,
    entries: AtomicU64,
    directories: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    began: Instant,
}

/// What reading gave.
#[derive(Clone, Copy)]
struct Content {
    digest: Digest,
    md5: Option<[u8; 16]>,
}

/// What a thread uses again and again.
#[derive(Default)]
struct Buffers {
    old: Vec<u8>,
    block: Vec<u8>,
    path: Vec<u8>,
    content: Vec<u8>,
    names: Vec<(u64, Vec<u8>)>,
}

/// Every change under these locks is one assignment: a thread that panicked left them whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work<'_> {
    fn run(&self) {
        // Of this thread alone; the kernel derives the priority of its reads from it.
        _ = rustix::process::nice(10);
        let mut buffers = Buffers { content: vec![0; 256 * 1024], ..Buffers::default() };
        while let Some(dir) = self.next() {
            let below = self.directory(&dir, &mut buffers);
            let mut queue = lock(&self.queue);
            queue.busy -= 1;
            queue.dirs.extend(below);
            drop(queue);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut queue = lock(&self.queue);
        loop {
            if self.options.cancelled.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(dir) = queue.dirs.pop() {
                queue.busy += 1;
                return Some(dir);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One directory; returns those below it. One that is gone meanwhile has nothing.
    fn directory(&self, dir: &[u8], buffers: &mut Buffers) -> Vec<Vec<u8>> {
        let mut below = Vec::new();
        let Ok(fd) = open_dir(self.options.root, dir) else { return below };
        let Buffers { old, block, path, content, names } = buffers;
        block.clear();
        if list(&fd, names).is_err() {
            return below;
        }
        // Inodes lie on a disk in the order of their numbers.
        names.sort_unstable();
        let mut entries: Vec<Entry> = Vec::with_capacity(names.len() + 1);
        if dir == b"/" {
            entries.extend(look(fd.as_fd(), b"."));
        }
        entries.extend(names.drain(..).filter_map(|(_, name)| look(fd.as_fd(), &name)));
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let known =
            self.options.known.filter(|known| known.find(dir).is_some_and(|i| known.block(i, old).is_ok()));
        let mut known = known.map(|_| manifest::entries(old).peekable());
        for entry in &mut entries {
            manifest::join(dir, &entry.name, path);
            let before = known.as_mut().and_then(|known| {
                while known.next_if(|old| old.name < entry.name).is_some() {}
                known.next_if(|old| old.name == entry.name)
            });
            self.complete(fd.as_fd(), path, entry, before, content);
            let enter = entry.kind == b'd' && entry.name != b"." && (self.options.enter)(path);
            if enter && self.options.devices.contains(&entry.dev) {
                below.push(path.clone());
            }
            entry.encode(block);
        }
        self.entries.fetch_add(entries.len() as u64, Ordering::Relaxed);
        self.directories.fetch_add(1, Ordering::Relaxed);
        let mut found = lock(&self.found);
        if found.failed.is_none()
            && let Err(error) = (found.act)(dir, block)
        {
            found.failed = Some(error);
            self.options.cancelled.store(true, Ordering::Relaxed);
        }
        below
    }

    /// Content, attributes and owner: as they were known, or looked up.
    fn complete(
        &self,
        dir: BorrowedFd<'_>,
        path: &[u8],
        entry: &mut Entry,
        known: Option<Entry>,
        buffer: &mut [u8],
    ) {
        let owned = self.options.records.and_then(|records| records.seen(path));
        if let Some(owned) = owned {
            entry.flags |= manifest::OWNED | if owned.conffile { manifest::CONFFILE } else { 0 };
        }
        let fresh = known.is_none();
        if let Some(known) = known.filter(|known| self.still_holds(known, entry)) {
            let kept = manifest::READ | manifest::PRISTINE | manifest::DIFFERS;
            entry.flags |= known.flags & kept;
            (entry.digest, entry.extra) = (known.digest, known.extra);
            return;
        }
        match entry.kind {
            b'f' => {
                self.read((dir, path), entry, owned, fresh, buffer);
                entry.extra = xattrs(self.options.root, path);
            }
            b'd' => entry.extra = xattrs(self.options.root, path),
            b'l' => {
                let target = rustix::fs::readlinkat(dir, entry.name.as_slice(), Vec::new());
                entry.extra = target.map(std::ffi::CString::into_bytes).unwrap_or_default();
            }
            _ => {}
        }
    }

    fn still_holds(&self, known: &Entry, now: &Entry) -> bool {
        let Some(last) = self.options.known.map(|known| known.started) else { return false };
        let settled = now.ctime.0 < last.0 - YOUNG;
        let again = self.options.full || self.options.again.contains(&(now.ino % PARTS));
        known.is_untouched(now) && settled && !(again && now.kind == b'f')
    }

    /// `fresh`: no earlier scan knows of it, so its times may be trusted as far as its package's go.
    fn read(
        &self,
        (dir, path): (BorrowedFd<'_>, &[u8]),
        entry: &mut Entry,
        owned: Option<&Owned>,
        fresh: bool,
        buffer: &mut [u8],
    ) {
        let all = self.options.full || self.options.again.contains(&(entry.ino % PARTS));
        let sum = owned.and_then(|owned| owned.md5);
        let trusted = self.options.records.zip(owned).is_some_and(|(records, owned)| {
            sum.is_some() && records.is_older_than_unpacking(owned, entry.ctime)
        });
        if !all && fresh && trusted {
            entry.flags |= manifest::PRISTINE;
            return;
        }
        if !(self.options.reads)(path) || (!all && owned.is_none() && entry.size > LARGE) {
            return;
        }
        let inode = (entry.dev, entry.ino);
        let shared = entry.has(manifest::LINKED);
        let before = shared.then(|| lock(&self.inodes).get(&inode).copied()).flatten();
        let content = match before.filter(|content| sum.is_none() || content.md5.is_some()) {
            Some(content) => Some(content),
            None => self.content(dir, &entry.name, sum.is_some(), buffer).ok(),
        };
        // Gone or not ours to read: known by its metadata alone.
        let Some(content) = content else { return };
        if shared {
            lock(&self.inodes).insert(inode, content);
        }
        entry.digest = content.digest.0;
        entry.flags |= manifest::READ;
        if let (Some(wanted), Some(found)) = (sum, content.md5) {
            entry.flags |= if wanted == found { manifest::PRISTINE } else { manifest::DIFFERS };
        }
    }

    fn content(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        with_md5: bool,
        buffer: &mut [u8],
    ) -> io::Result<Content> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let open = |flags| rustix::fs::openat(dir, name, flags, Mode::empty());
        // Only the owner may read without leaving a time behind.
        let mut file = File::from(open(flags | OFlags::NOATIME).or_else(|_| open(flags))?);
        let (mut hasher, mut md5) = (Hasher::new(), Md5::new());
        loop {
            let count = match file.read(buffer) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            hasher.update(&buffer[..count]);
            if with_md5 {
                md5.update(&buffer[..count]);
            }
            self.pace(count as u64);
            if self.options.cancelled.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        self.files.fetch_add(1, Ordering::Relaxed);
        Ok(Content { digest: Digest::finish(&hasher), md5: with_md5.then(|| md5.finalize().into()) })
    }

    /// Waits where more was read than may be.
    fn pace(&self, count: u64) {
        let read = self.bytes.fetch_add(count, Ordering::Relaxed) + count;
        let Some(limit) = self.options.limit.filter(|limit| *limit > 0) else { return };
        let due = Duration::from_secs_f64(read as f64 / limit as f64);
        if let Some(early) = due.checked_sub(self.began.elapsed()) {
            std::thread::sleep(early.min(Duration::from_secs(1)));
        }
    }
}

fn open_dir(root: &Path, dir: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::open(below(root, dir), flags, Mode::empty());
    open(flags | OFlags::NOATIME).or_else(|_| open(flags))
}

fn below(root: &Path, path: &[u8]) -> std::path::PathBuf {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    root.join(std::ffi::OsStr::from_bytes(relative))
}

fn list(dir: &OwnedFd, names: &mut Vec<(u64, Vec<u8>)>) -> rustix::io::Result<()> {
    names.clear();
    let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 32 * 1024];
    let mut entries = rustix::fs::RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((entry.ino(), name.to_vec()));
        }
    }
    Ok(())
}

/// Metadata only; nothing where it is gone meanwhile.
fn look(dir: BorrowedFd<'_>, name: &[u8]) -> Option<Entry> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS).ok()?;
    let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => b'f',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        FileType::Fifo => b'p',
        FileType::CharacterDevice => b'c',
        FileType::BlockDevice => b'b',
        _ => b's',
    };
    let device = rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
    Some(Entry {
        name: name.to_vec(),
        kind,
        flags: if stat.stx_nlink > 1 && kind != b'd' { manifest::LINKED } else { 0 },
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: stat.stx_size,
        mtime: Time(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        ctime: Time(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        ino: stat.stx_ino,
        digest: [0; 32],
        extra: if matches!(kind, b'c' | b'b') { device.to_le_bytes().to_vec() } else { Vec::new() },
    })
}

/// Packed; empty where there are none, as nearly everywhere.
fn xattrs(root: &Path, path: &[u8]) -> Vec<u8> {
    use std::fmt::Write;
    let path = below(root, path);
    let mut names = [0_u8; 4096];
    let length = match rustix::fs::llistxattr(&path, &mut names) {
        Ok(length) if length > 0 => length,
        _ => return Vec::new(),
    };
    let mut value = vec![0; 64 * 1024];
    let names = names[..length].split(|b| *b == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let mut all: Vec<(String, String)> = names
        .filter(|name| !name.is_empty())
        .filter_map(|name| {
            let length = rustix::fs::lgetxattr(&path, name, value.as_mut_slice()).ok()?;
            let hex = value[..length].iter().fold(String::new(), |mut text, byte| {
                _ = write!(text, "{byte:02x}");
                text
            });
            Some((name.to_owned(), hex))
        })
        .collect();
    all.sort();
    manifest::pack_xattrs(&all)
}

/// The devices of the root, and of local file systems that hold a part of the system.
pub fn devices(root: &Path) -> HashSet<u64> {
    const LOCAL: &[&str] =
        &["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "overlay", "reiserfs", "jfs", "vfat"];
    const PARTS: &[&str] = &[
        "/usr",
        "/var",
        "/var/lib",
        "/var/spool",
        "/boot",
        "/opt",
        "/srv",
        "/home",
        "/root",
        "/etc",
        "/usr/local",
    ];
    let device = |path: &Path| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    let mut all: HashSet<u64> = device(root).into_iter().collect();
    if root != Path::new("/") {
        return all;
    }
    for line in std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let kind = words.iter().position(|word| *word == "-").and_then(|at| words.get(at + 1));
        let Some(at) = words.get(4).filter(|at| PARTS.contains(at)) else { continue };
        if kind.is_some_and(|kind| LOCAL.contains(kind)) {
            all.extend(device(Path::new(at)));
        }
    }
    all
}

#[cfg(test)]
mod tests;
