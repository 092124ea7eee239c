//! What a scan saw, on disk: a block of entries for each directory, and an index of the directories in order. The file is
//! mapped, so a manifest needs little memory however long it is.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use layer::{Digest, Kind, PathState, Time};

use crate::map::Map;

const MAGIC: &[u8; 8] = b"drift\0\0\x01";
/// Bytes of an entry before its name.
const FIXED: usize = 104;
/// Bytes at the end of the file.
const FOOTER: usize = 8 + 8 + 8 + 12 + 8 + 32;

/// The content was read, the digest is known.
pub const READ: u8 = 1;
/// A package lists it.
pub const OWNED: u8 = 2;
/// Its content is what its package says, or was not touched since the package was unpacked.
pub const PRISTINE: u8 = 4;
/// Its content is not what its package says.
pub const DIFFERS: u8 = 8;
/// It has more than one name.
pub const LINKED: u8 = 16;
/// The package lets its administrator change it.
pub const CONFFILE: u8 = 32;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub name: Vec<u8>,
    /// As `find -type`: `f d l p c b s`.
    pub kind: u8,
    pub flags: u8,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub mtime: Time,
    pub ctime: Time,
    pub dev: u64,
    pub ino: u64,
    pub digest: [u8; 32],
    /// A link's target, a device's number, else extended attributes ([`pack_xattrs`]).
    pub extra: Vec<u8>,
}

impl Entry {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn digest(&self) -> Option<Digest> {
        self.has(READ).then_some(Digest(self.digest))
    }

    /// What a layer would say of it.
    pub fn state(&self) -> PathState {
        let device = || self.extra.as_slice().try_into().map(u64::from_le_bytes).unwrap_or_default();
        let kind = match self.kind {
            b'd' => Kind::Dir,
            b'l' => Kind::Symlink { target: std::ffi::OsStr::from_bytes(&self.extra).into() },
            b'p' => Kind::Fifo,
            b'c' => Kind::Char { device: device() },
            b'b' => Kind::Block { device: device() },
            b's' => Kind::Socket,
            _ => Kind::File { digest: self.digest(), size: self.size },
        };
        let xattrs = if matches!(self.kind, b'f' | b'd') { unpack_xattrs(&self.extra) } else { Vec::new() };
        PathState {
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            atime: None,
            xattrs: xattrs.into_iter().collect(),
            flags: None,
            group: (self.has(LINKED) && self.kind != b'd').then_some((self.dev, self.ino)),
            secret: false,
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        out.push(self.flags);
        out.extend((self.name.len() as u16).to_le_bytes());
        for value in [self.mode, self.uid, self.gid, self.mtime.1, self.ctime.1, self.extra.len() as u32] {
            out.extend(value.to_le_bytes());
        }
        out.extend(self.size.to_le_bytes());
        out.extend(self.mtime.0.to_le_bytes());
        out.extend(self.ctime.0.to_le_bytes());
        out.extend(self.dev.to_le_bytes());
        out.extend(self.ino.to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.digest);
        out.extend(&self.name);
        out.extend(&self.extra);
    }
}

/// An entry as it stands in a block: enough to see whether it still holds, without taking it apart.
#[derive(Clone, Copy)]
pub struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    /// The entry at the beginning of these bytes, and what comes after it.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let fixed = Self(bytes.get(..FIXED)?);
        let (entry, rest) = bytes.split_at_checked(FIXED + fixed.name_length() + fixed.small(24) as usize)?;
        Some((Self(entry), rest))
    }

    fn small(self, at: usize) -> u32 {
        u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    fn large(self, at: usize) -> u64 {
        u64::from(self.small(at)) | (u64::from(self.small(at + 4)) << 32)
    }

    fn name_length(self) -> usize {
        usize::from(u16::from_le_bytes([self.0[2], self.0[3]]))
    }

    pub fn name(self) -> &'a [u8] {
        &self.0[FIXED..FIXED + self.name_length()]
    }

    pub fn flags(self) -> u8 {
        self.0[1]
    }

    fn mtime(self) -> Time {
        Time(self.large(36).cast_signed(), self.small(16))
    }

    fn ctime(self) -> Time {
        Time(self.large(44).cast_signed(), self.small(20))
    }

    /// The same inode, untouched since.
    pub fn is_untouched(self, now: &Entry) -> bool {
        (self.large(60), self.large(52), self.large(28), self.mtime(), self.ctime(), self.0[0])
            == (now.ino, now.dev, now.size, now.mtime, now.ctime, now.kind)
    }

    /// Into another block, with these flags.
    pub fn copy(self, flags: u8, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(self.0);
        out[at + 1] = flags;
    }

    fn entry(self) -> Entry {
        let mut digest = [0; 32];
        digest.copy_from_slice(&self.0[72..FIXED]);
        Entry {
            name: self.name().to_vec(),
            kind: self.0[0],
            flags: self.flags(),
            mode: self.small(4),
            uid: self.small(8),
            gid: self.small(12),
            mtime: self.mtime(),
            ctime: self.ctime(),
            size: self.large(28),
            dev: self.large(52),
            ino: self.large(60),
            digest,
            extra: self.0[FIXED + self.name_length()..].to_vec(),
        }
    }
}

/// The entries of a block; ends early where it is damaged.
pub fn raw_entries(block: &[u8]) -> impl Iterator<Item = Raw<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (entry, after) = Raw::split(rest)?;
        rest = after;
        Some(entry)
    })
}

/// As [`raw_entries`], taken apart.
pub fn entries(block: &[u8]) -> impl Iterator<Item = Entry> {
    raw_entries(block).map(Raw::entry)
}

/// Names and values (in hexadecimal, as layers have them), length by length.
pub fn pack_xattrs(all: &[(String, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in all.iter().flat_map(|(name, value)| [name, value]) {
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }
    out
}

fn unpack_xattrs(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut next = || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    };
    let mut all = Vec::new();
    while let (Some(name), Some(value)) = (next(), next()) {
        all.push((name, value));
    }
    all
}

/// Where a directory's block is.
#[derive(Clone, Debug)]
struct Place {
    dir: Box<[u8]>,
    at: u64,
    length: u32,
}

/// Writes a manifest: blocks in any order.
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    at: u64,
    index: Vec<Place>,
    started: Time,
    rolled: u64,
}

impl Writer {
    /// `rolled`: which part of the content was read again last, counted in days.
    pub fn create(path: &Path, started: Time, rolled: u64) -> io::Result<Self> {
        let new = path.with_extension("new");
        let file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let mut file = BufWriter::with_capacity(256 * 1024, file);
        file.write_all(MAGIC)?;
        Ok(Self { path: path.to_owned(), file, at: 8, index: Vec::new(), started, rolled })
    }

    pub fn add(&mut self, dir: &[u8], block: &[u8]) -> io::Result<()> {
        self.file.write_all(block)?;
        self.index.push(Place { dir: dir.into(), at: self.at, length: block.len() as u32 });
        self.at += block.len() as u64;
        Ok(())
    }

    /// The file has its name only when it is whole.
    pub fn finish(mut self) -> io::Result<()> {
        self.index.sort_unstable_by(|a, b| a.dir.cmp(&b.dir));
        let mut index = Vec::new();
        for place in &self.index {
            index.extend((place.dir.len() as u32).to_le_bytes());
            index.extend(place.length.to_le_bytes());
            index.extend(place.at.to_le_bytes());
            index.extend(&*place.dir);
        }
        self.file.write_all(&index)?;
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend(self.at.to_le_bytes());
        footer.extend((self.index.len() as u64).to_le_bytes());
        footer.extend(self.rolled.to_le_bytes());
        footer.extend(self.started.0.to_le_bytes());
        footer.extend(self.started.1.to_le_bytes());
        footer.extend(MAGIC);
        footer.extend(Digest::of(&index).0);
        self.file.write_all(&footer)?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(self.path.with_extension("new"), &self.path)
    }
}

/// A manifest that is read.
pub struct Manifest {
    map: Map,
    index: Vec<Place>,
    /// When the scan began that wrote it.
    pub started: Time,
    pub rolled: u64,
}

impl Manifest {
    /// `None`: there is none.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()));
        let map = Map::of(&file)?;
        let start = map.len().checked_sub(FOOTER).ok_or_else(damaged)?;
        let footer = &map[start..];
        let number = |at: usize| footer[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
        let bytes = usize::try_from(number(0)).ok().and_then(|at| map.get(at..start)).ok_or_else(damaged)?;
        if footer[36..44] != MAGIC[..] || Digest::of(bytes).0 != footer[44..] {
            return Err(damaged());
        }
        let index = read_index(bytes, number(8)).ok_or_else(damaged)?;
        let nanos = u32::from_le_bytes([footer[32], footer[33], footer[34], footer[35]]);
        let (started, rolled) = (Time(number(24).cast_signed(), nanos), number(16));
        Ok(Some(Self { map, index, started, rolled }))
    }

    pub fn dirs(&self) -> usize {
        self.index.len()
    }

    pub fn dir(&self, i: usize) -> &[u8] {
        &self.index[i].dir
    }

    pub fn find(&self, dir: &[u8]) -> Option<usize> {
        self.index.binary_search_by(|place| (*place.dir).cmp(dir)).ok()
    }

    /// The block of a directory; nothing where the file is damaged.
    pub fn block(&self, i: usize) -> &[u8] {
        let place = &self.index[i];
        let at = usize::try_from(place.at).unwrap_or(usize::MAX);
        self.map.get(at..at.saturating_add(place.length as usize)).unwrap_or_default()
    }

    /// One path.
    pub fn entry(&self, path: &[u8]) -> Option<Entry> {
        let (dir, name) = split(path);
        let block = self.block(self.find(dir)?);
        raw_entries(block).find(|entry| entry.name() == name).map(Raw::entry)
    }

    /// Every entry with its path, in order.
    pub fn each(&self, mut act: impl FnMut(&[u8], Entry)) {
        let mut path = Vec::new();
        for i in 0..self.dirs() {
            for entry in entries(self.block(i)) {
                join(self.dir(i), &entry.name, &mut path);
                act(&path, entry);
            }
        }
    }
}

fn read_index(mut bytes: &[u8], count: u64) -> Option<Vec<Place>> {
    let mut index = Vec::new();
    for _ in 0..count {
        let (head, rest) = bytes.split_at_checked(16)?;
        let number = |at: usize| Some(u32::from_le_bytes(head[at..at + 4].try_into().ok()?));
        let (dir, rest) = rest.split_at_checked(number(0)? as usize)?;
        let at = u64::from_le_bytes(head[8..].try_into().ok()?);
        index.push(Place { dir: dir.into(), at, length: number(4)? });
        bytes = rest;
    }
    Some(index)
}

/// Directory and name.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

pub fn join(dir: &[u8], name: &[u8], path: &mut Vec<u8>) {
    path.clear();
    path.extend(dir);
    if dir.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest");
        let entry = |name: &str| Entry {
            name: name.into(),
            kind: b'f',
            flags: READ,
            size: 7,
            mtime: Time(-3, 5),
            digest: [9; 32],
            extra: pack_xattrs(&[("user.a".into(), "00ff".into())]),
            ..Entry::default()
        };
        let mut writer = Writer::create(&path, Time(100, 7), 3).unwrap();
        for (dir, names) in [("/usr", vec!["a", "b"]), ("/", vec!["usr"]), ("/etc", vec![])] {
            let mut block = Vec::new();
            names.iter().for_each(|name| entry(name).encode(&mut block));
            writer.add(dir.as_bytes(), &block).unwrap();
        }
        writer.finish().unwrap();
        let manifest = Manifest::open(&path).unwrap().unwrap();
        assert_eq!((manifest.started, manifest.rolled), (Time(100, 7), 3));
        let mut seen = Vec::new();
        manifest.each(|path, entry| seen.push((path.to_vec(), entry)));
        let names: Vec<_> = seen.iter().map(|(path, _)| String::from_utf8_lossy(path)).collect();
        assert_eq!(names, ["/usr", "/usr/a", "/usr/b"]);
        assert_eq!(seen[1].1, entry("a"));
        assert_eq!(seen[1].1.state().xattrs["user.a"], "00ff");
        assert_eq!(manifest.entry(b"/usr/b"), Some(entry("b")));
        assert_eq!(manifest.entry(b"/usr/c"), None);
        // A damaged one says so.
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() - FOOTER - 3;
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(Manifest::open(&path).is_err());
    }
}
