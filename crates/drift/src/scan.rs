//! The scanner: looks at every entry of a tree, and reads only the contents that it must. Several threads take
//! directories from one list; they are nice to everything else on the machine.

mod directory;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use layer::{Digest, Hasher};
use md5::{Digest as _, Md5};
use rustix::fs::{Mode, OFlags};

use crate::manifest::{self, Entry, Manifest, Raw};
use crate::records::{Owned, Records};
use directory::{Listed, list, look, of_name, open_dir, xattrs};

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
    /// At most so much of one processor, in percent.
    pub cpu: Option<u64>,
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
        idle: AtomicUsize::new(0),
        found: Mutex::new(Found { act: found, failed: None }),
        inodes: Mutex::default(),
        entries: AtomicU64::new(0),
        directories: AtomicU64::new(0),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        began,
        cpu_before: cpu_used(),
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
    /// Threads that have directories.
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
    /// Threads that wait for a directory.
    idle: AtomicUsize,
    found: Mutex<Found<'a>>,
    /// Inodes with several names that were read.
    inodes: Mutex<HashMap<(u64, u64), Content>>,
    entries: AtomicU64,
    directories: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    began: Instant,
    /// What this process had used of the processor until then.
    cpu_before: Duration,
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
    block: Vec<u8>,
    path: Vec<u8>,
    content: Vec<u8>,
    /// The names of a directory, one after the other, each with a zero at its end.
    names: Vec<u8>,
    listed: Vec<Listed>,
    /// What is known of each, where the name is not.
    entries: Vec<Entry>,
    /// In the order of the names.
    order: Vec<usize>,
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
        let (mut mine, mut busy) = (Vec::new(), false);
        while let Some(dir) = mine.pop().or_else(|| self.next(&mut busy)) {
            mine.extend(self.directory(&dir, &mut buffers));
            if self.options.cancelled.load(Ordering::Relaxed) {
                mine.clear();
            }
            self.share(&mut mine);
            self.rest();
        }
    }

    /// A directory of the common list; `busy`: this thread had some of its own until now.
    fn next(&self, busy: &mut bool) -> Option<Vec<u8>> {
        let mut queue = lock(&self.queue);
        queue.busy -= usize::from(std::mem::take(busy));
        loop {
            let ended = queue.busy == 0 && queue.dirs.is_empty();
            if ended || self.options.cancelled.load(Ordering::Relaxed) {
                self.changed.notify_all();
                return None;
            }
            if let Some(dir) = queue.dirs.pop() {
                queue.busy += 1;
                *busy = true;
                return Some(dir);
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Half of what a thread has found is for those that have nothing to do, from the top: there is most below it.
    fn share(&self, mine: &mut Vec<Vec<u8>>) {
        if mine.len() > 1 && self.idle.load(Ordering::Relaxed) > 0 {
            let half = mine.len() / 2;
            lock(&self.queue).dirs.extend(mine.drain(..half));
            self.changed.notify_all();
        }
    }

    /// One directory; returns those below it. One that is gone meanwhile has nothing.
    fn directory(&self, dir: &[u8], buffers: &mut Buffers) -> Vec<Vec<u8>> {
        let mut below = Vec::new();
        let Ok(fd) = open_dir(self.options.root, dir) else { return below };
        let Buffers { block, path, content, names, listed, entries, order } = buffers;
        block.clear();
        if list(&fd, dir == b"/", names, listed).is_err() {
            return below;
        }
        // Inodes lie on a disk in the order of their numbers.
        listed.sort_unstable_by_key(|listed| listed.ino);
        if entries.len() < listed.len() {
            entries.resize_with(listed.len(), Entry::default);
        }
        let mut there = 0;
        listed.retain(|listed| {
            let seen = look(fd.as_fd(), listed.for_kernel(names), &mut entries[there]);
            there += usize::from(seen);
            seen
        });
        order.clear();
        order.extend(0..there);
        order.sort_unstable_by_key(|i| listed[*i].name(names));
        let known = self.options.known.and_then(|known| Some(known.block(known.find(dir)?)));
        let mut old = manifest::raw_entries(known.unwrap_or_default()).peekable();
        for &i in &*order {
            let (name, entry) = (listed[i].name(names), &mut entries[i]);
            manifest::join(dir, name, path);
            let before = of_name(&mut old, name);
            let owned = self.options.records.and_then(|records| records.seen(path));
            if let Some(owned) = owned {
                entry.flags |= manifest::OWNED | if owned.conffile { manifest::CONFFILE } else { 0 };
            }
            if let Some(before) = before.filter(|before| self.still_holds(*before, entry)) {
                let kept = manifest::READ | manifest::PRISTINE | manifest::DIFFERS;
                before.copy(entry.flags | (before.flags() & kept), block);
            } else {
                name.clone_into(&mut entry.name);
                self.complete((fd.as_fd(), path), entry, owned, before.is_none(), content);
                entry.encode(block);
            }
            let enter = entry.kind == b'd' && name != b"." && (self.options.enter)(path);
            if enter && self.options.devices.contains(&entry.dev) {
                below.push(path.clone());
            }
        }
        self.entries.fetch_add(there as u64, Ordering::Relaxed);
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

    /// Content and attributes, looked up.
    fn complete(
        &self,
        (dir, path): (BorrowedFd<'_>, &[u8]),
        entry: &mut Entry,
        owned: Option<&Owned>,
        fresh: bool,
        buffer: &mut [u8],
    ) {
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

    fn still_holds(&self, known: Raw<'_>, now: &Entry) -> bool {
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
            self.rest();
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
        self.wait_until(Duration::from_secs_f64(read as f64 / limit as f64));
    }

    /// Waits where more was computed than may be.
    fn rest(&self) {
        let Some(percent) = self.options.cpu.filter(|percent| *percent > 0) else { return };
        let used = cpu_used().saturating_sub(self.cpu_before);
        self.wait_until(used.mul_f64(100.0 / percent as f64));
    }

    /// `due`: since the scan began.
    fn wait_until(&self, due: Duration) {
        if let Some(early) = due.checked_sub(self.began.elapsed()) {
            std::thread::sleep(early.min(Duration::from_secs(1)));
        }
    }
}

fn cpu_used() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default()
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
