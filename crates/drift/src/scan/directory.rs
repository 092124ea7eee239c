//! One directory: its names, what the kernel knows of each, and what else hangs on them.

use std::ffi::CStr;
use std::iter::Peekable;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use layer::Time;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};

use crate::manifest::{self, Entry, Raw};

/// An entry of a directory before anything but its inode's number is known.
pub(super) struct Listed {
    pub(super) ino: u64,
    at: usize,
    length: usize,
}

impl Listed {
    pub(super) fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        &names[self.at..self.at + self.length]
    }

    /// With the zero at its end, as the kernel wants it.
    pub(super) fn for_kernel<'a>(&self, names: &'a [u8]) -> &'a CStr {
        CStr::from_bytes_with_nul(&names[self.at..=self.at + self.length]).unwrap_or_default()
    }
}

pub(super) fn open_dir(root: &Path, dir: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::open(below(root, dir), flags, Mode::empty());
    open(flags | OFlags::NOATIME).or_else(|_| open(flags))
}

fn below(root: &Path, path: &[u8]) -> std::path::PathBuf {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    root.join(std::ffi::OsStr::from_bytes(relative))
}

/// `itself`: also the directory.
pub(super) fn list(
    dir: &OwnedFd,
    itself: bool,
    names: &mut Vec<u8>,
    listed: &mut Vec<Listed>,
) -> rustix::io::Result<()> {
    names.clear();
    listed.clear();
    let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 32 * 1024];
    let mut entries = rustix::fs::RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b".." && (itself || name != b".") {
            listed.push(Listed { ino: entry.ino(), at: names.len(), length: name.len() });
            names.extend_from_slice(entry.file_name().to_bytes_with_nul());
        }
    }
    Ok(())
}

/// The entry of that name; those before it are passed.
pub(super) fn of_name<'a>(old: &mut Peekable<impl Iterator<Item = Raw<'a>>>, name: &[u8]) -> Option<Raw<'a>> {
    loop {
        match old.peek()?.name().cmp(name) {
            std::cmp::Ordering::Less => _ = old.next(),
            std::cmp::Ordering::Equal => return old.next(),
            std::cmp::Ordering::Greater => return None,
        }
    }
}

/// Metadata only, without the name. False: it is gone meanwhile.
pub(super) fn look(dir: BorrowedFd<'_>, name: &CStr, entry: &mut Entry) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let Ok(stat) = rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS) else { return false };
    let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => b'f',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        FileType::Fifo => b'p',
        FileType::CharacterDevice => b'c',
        FileType::BlockDevice => b'b',
        _ => b's',
    };
    entry.name.clear();
    entry.extra.clear();
    entry.digest = [0; 32];
    entry.kind = kind;
    entry.flags = if stat.stx_nlink > 1 && kind != b'd' { manifest::LINKED } else { 0 };
    entry.mode = u32::from(stat.stx_mode) & 0o7777;
    (entry.uid, entry.gid, entry.size) = (stat.stx_uid, stat.stx_gid, stat.stx_size);
    entry.mtime = Time(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec);
    entry.ctime = Time(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec);
    entry.dev = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
    entry.ino = stat.stx_ino;
    if matches!(kind, b'c' | b'b') {
        let device = rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
        entry.extra.extend(device.to_le_bytes());
    }
    true
}

/// Packed; empty where there are none, as nearly everywhere.
pub(super) fn xattrs(root: &Path, path: &[u8]) -> Vec<u8> {
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
