//! What the run that goes on now has done so far: written before each change, removed when the layer is sealed.
//!
//! One entry a line: its JSON, a tab, 16 hexadecimal digits of BLAKE3 over the line before's digest and this JSON.
//! The file is longer than what is written in it (zeros follow), so that making an entry durable moves no metadata,
//! and so that a full disk does not keep us from writing down what we do.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::error::{At, Error, Result};
use crate::record::{Cause, Opaque, Run};
use crate::state::{PathState, Time};

const FORMAT: u32 = 3;
/// The oldest that is read: its directories were listed without inodes.
const OLDEST: u32 = 2;
/// How much is reserved at a time.
pub(crate) const ROOM: u64 = 256 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(crate) enum Entry {
    Begin(Begin),
    Cause(Cause),
    /// This path is about to change; its content is in the store.
    Change {
        #[serde(with = "crate::record::path")]
        path: PathBuf,
        cause: usize,
        before: Option<PathState>,
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::record::paths")]
        peers: Vec<PathBuf>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inode: Option<crate::Inode>,
    },
    /// This object shares its inode with the file that was kept: it can go back as it is.
    Linked {
        digest: Digest,
    },
    /// A file that is made under this name to be renamed: not part of any state.
    Temporary {
        #[serde(with = "crate::record::path")]
        path: PathBuf,
    },
    /// Names in this directory are about to change. `names`: those that are there; after a power cut, what is not
    /// among them came after. `inodes`: theirs, in the same order; a name that has another one now, or is gone, had that
    /// one, which the store still has if the run took it away.
    Guard {
        #[serde(with = "crate::record::path")]
        path: PathBuf,
        mtime: Time,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::record::some_paths")]
        names: Option<Vec<PathBuf>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inodes: Vec<u64>,
    },
    Opaque(Opaque),
}

/// The first entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    format: u32,
    /// Of this journal, and of the layer that it becomes.
    pub(crate) id: String,
    pub(crate) run: Run,
    /// The generation that it began on.
    pub(crate) base: u64,
    /// Of this start of the kernel: another one means that what was not durable is lost.
    pub(crate) boot: String,
    pub(crate) at: Time,
}

/// Open for writing, and locked for as long as its writer lives.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    id: String,
    begun: Time,
    chain: Digest,
    end: u64,
    reserved: u64,
    durable: u64,
}

impl Journal {
    pub(crate) fn create(path: &Path, run: &Run, base: u64) -> Result<Self> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .at("create", path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).at("lock", path)?;
        let at = Time::now();
        let id = Digest::of(format!("{} {} {at:?}", run.run, std::process::id()).as_bytes()).to_string();
        let mut journal = Self {
            file,
            path: path.to_owned(),
            id: id[..24].to_owned(),
            begun: at,
            chain: start(),
            end: 0,
            reserved: 0,
            durable: 0,
        };
        let id = journal.id.clone();
        journal.note(&Entry::Begin(Begin {
            format: FORMAT,
            id,
            run: run.clone(),
            base,
            boot: boot_id(),
            at,
        }))?;
        journal.sync()?;
        crate::durable::sync_dir(path.parent().unwrap_or(Path::new("/")))?;
        Ok(journal)
    }

    pub(crate) fn begun(&self) -> Time {
        self.begun
    }

    pub(crate) fn note(&mut self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry).map_err(std::io::Error::from).at("write", &self.path)?;
        let chain = link(self.chain, &line);
        line.extend_from_slice(format!("\t{}\n", &chain.to_string()[..16]).as_bytes());
        let end = self.end + line.len() as u64;
        if end > self.reserved {
            self.reserve(end)?;
        }
        self.file.write_all_at(&line, self.end).at("write", &self.path)?;
        (self.end, self.chain) = (end, chain);
        Ok(())
    }

    /// Zeros for at least so much, on the disk.
    fn reserve(&mut self, least: u64) -> Result<()> {
        let room = (least - self.reserved).next_multiple_of(ROOM);
        let zeros = vec![0; ROOM as usize];
        for at in (self.reserved..self.reserved + room).step_by(zeros.len()) {
            self.file.write_all_at(&zeros, at).at("reserve space for", &self.path)?;
        }
        self.file.sync_all().at("reserve space for", &self.path)?;
        self.reserved += room;
        Ok(())
    }

    /// What was noted until now reaches the disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if self.durable < self.end {
            self.file.sync_data().at("write", &self.path)?;
            self.durable = self.end;
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What it says is in a layer now, or undone.
    pub(crate) fn remove(self) -> Result<()> {
        remove(&self.path)
    }
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).at("remove", path)?;
    crate::durable::sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// What a run left that never ended.
pub(crate) struct Left {
    /// Held so that nobody else takes it up.
    _lock: File,
    pub(crate) begin: Begin,
    pub(crate) entries: Vec<Entry>,
    /// What follows the last good entry is no end that a crash leaves.
    pub(crate) damaged: Option<String>,
}

/// `None`: its writer lives, or it died before it had noted anything (the file is removed then).
pub(crate) fn read(path: &Path) -> Result<Option<Left>> {
    let file = match std::fs::OpenOptions::new().read(true).write(true).open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.at("read", path)?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        other => other.at("lock", path)?,
    }
    let bytes = std::fs::read(path).at("read", path)?;
    let (mut entries, damaged) = decode(&bytes);
    if entries.is_empty() {
        if damaged.is_some() {
            let reason =
                "its beginning cannot be read: nobody knows what that run changed; look at it, then move \
                          it away to go on"
                    .to_owned();
            return Err(Error::Damaged { path: path.to_owned(), reason });
        }
        remove(path)?;
        return Ok(None);
    }
    let Entry::Begin(begin) = entries.remove(0) else {
        return Err(Error::Damaged {
            path: path.to_owned(),
            reason: "it does not begin with a run".to_owned(),
        });
    };
    if !(OLDEST..=FORMAT).contains(&begin.format) {
        let reason = format!("it was written by another program (format {}, not {FORMAT})", begin.format);
        return Err(Error::Damaged { path: path.to_owned(), reason });
    }
    Ok(Some(Left { _lock: file, begin, entries, damaged }))
}

/// Entries up to the first that is not whole.
fn decode(bytes: &[u8]) -> (Vec<Entry>, Option<String>) {
    let (mut chain, mut entries, mut rest) = (start(), Vec::new(), bytes);
    while let Some((entry, next, after)) = next_entry(rest, chain) {
        entries.push(entry);
        (chain, rest) = (next, after);
    }
    let more = rest.split(|b| *b == b'\n').skip(1).any(|line| line.first() == Some(&b'{'));
    let damaged = more.then(|| format!("after entry {}, more follows that cannot be trusted", entries.len()));
    (entries, damaged)
}

fn next_entry(rest: &[u8], chain: Digest) -> Option<(Entry, Digest, &[u8])> {
    let end = rest.iter().position(|b| *b == b'\n')?;
    let (line, after) = (&rest[..end], &rest[end + 1..]);
    let tab = line.len().checked_sub(17)?;
    let json = &line[..tab];
    let next = link(chain, json);
    if line[tab] != b'\t' || line[tab + 1..] != next.to_string().as_bytes()[..16] {
        return None;
    }
    Some((serde_json::from_slice(json).ok()?, next, after))
}

fn start() -> Digest {
    Digest::of(b"theseus journal")
}

fn link(chain: Digest, json: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&chain.0).update(json);
    Digest::finish(&hasher)
}

pub(crate) fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// As if what is not durable were lost.
#[cfg(test)]
pub(crate) fn lose_the_rest(journal: &Journal) {
    let zeros = vec![0; (journal.end - journal.durable) as usize];
    journal.file.write_all_at(&zeros, journal.durable).expect("our own file");
}

#[cfg(test)]
pub(crate) fn durable(journal: &Journal) -> u64 {
    journal.durable
}

/// As if the kernel had been started anew since.
#[cfg(test)]
pub(crate) fn pretend_power_cut(path: &Path) {
    let (entries, _) = decode(&std::fs::read(path).expect("a journal"));
    let (mut bytes, mut chain) = (Vec::new(), start());
    for mut entry in entries {
        if let Entry::Begin(begin) = &mut entry {
            begin.boot = "before".to_owned();
        }
        let json = serde_json::to_vec(&entry).expect("as it was read");
        chain = link(chain, &json);
        bytes.extend(json);
        bytes.extend_from_slice(format!("\t{}\n", &chain.to_string()[..16]).as_bytes());
    }
    std::fs::write(path, bytes).expect("our own file");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> (tempfile::TempDir, PathBuf, u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::create(&path, &Run::default(), 3).unwrap();
        for i in 0..count {
            journal.note(&Entry::Temporary { path: format!("/{i}").into() }).unwrap();
        }
        let end = journal.end;
        (dir, path, end)
    }

    #[test]
    fn a_torn_end_counts_as_not_written() {
        let (_dir, path, end) = lines(5);
        for cut in 1..60 {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[(end - cut) as usize..].fill(0);
            let (entries, damaged) = decode(&bytes);
            assert!(entries.len() <= 5 && damaged.is_none(), "{cut}");
        }
        let left = read(&path).unwrap().unwrap();
        assert_eq!((left.entries.len(), left.begin.base), (5, 3));
    }

    #[test]
    fn damage_in_the_middle_is_seen() {
        let (_dir, path, end) = lines(5);
        let bytes = std::fs::read(&path).unwrap();
        let last = bytes[..end as usize - 1].iter().rposition(|b| *b == b'\n').unwrap();
        for at in 0..last {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let (entries, damaged) = decode(&bytes);
            assert!(entries.len() < 6 && damaged.is_some(), "byte {at}");
        }
    }

    #[test]
    fn it_grows() {
        let (_dir, path, end) = lines(9000);
        assert!(end > ROOM);
        assert_eq!(read(&path).unwrap().unwrap().entries.len(), 9000);
    }
}
