//! Looking into a stopped process: its memory, its descriptors, its directories.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Stat};
use rustix::io::Errno;

use crate::sys;

/// Why something of a process cannot be seen.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A wrong pointer, a closed descriptor, a process that is gone: the kernel will say so to the program itself.
    Nothing,
    /// We may not look.
    Closed,
    Layer(layer::Error),
}

impl From<layer::Error> for Trouble {
    fn from(error: layer::Error) -> Self {
        Self::Layer(error)
    }
}

/// A thread that waits in a system call.
#[derive(Clone, Copy)]
pub(crate) struct Target(pub(crate) u32);

/// What a descriptor of a process is.
pub(crate) enum Descriptor {
    At(PathBuf),
    /// A file whose name is gone, or that never had one.
    Nameless(Stat),
    /// A pipe, a socket, memory.
    NoFile,
}

const PAGE: u64 = 4096;
const DELETED: &[u8] = b" (deleted)";

impl Target {
    /// Bytes at an address, all or nothing.
    pub(crate) fn bytes<const N: usize>(self, address: u64) -> Result<[u8; N], Trouble> {
        let mut bytes = [0; N];
        let got = self.read(address, &mut bytes)?;
        if got == N { Ok(bytes) } else { Err(Trouble::Nothing) }
    }

    pub(crate) fn memory(self, address: u64, length: usize) -> Result<Vec<u8>, Trouble> {
        let mut bytes = vec![0; length];
        let got = self.read(address, &mut bytes)?;
        if got == length { Ok(bytes) } else { Err(Trouble::Nothing) }
    }

    /// A text that ends with a zero byte. Read page by page: the one after its end may not be there.
    pub(crate) fn text(self, address: u64) -> Result<Vec<u8>, Trouble> {
        let mut text = Vec::with_capacity(256);
        let mut at = address;
        while text.len() < libc::PATH_MAX as usize {
            let rest = (PAGE - at % PAGE).min(if text.is_empty() { 256 } else { PAGE });
            let start = text.len();
            text.resize(start + rest as usize, 0);
            let got = self.read(at, &mut text[start..])?;
            text.truncate(start + got);
            if let Some(end) = text[start..].iter().position(|b| *b == 0) {
                text.truncate(start + end);
                return Ok(text);
            }
            if got == 0 {
                return Err(Trouble::Nothing);
            }
            at = at.checked_add(got as u64).ok_or(Trouble::Nothing)?;
        }
        // Too long for the kernel, too.
        Err(Trouble::Nothing)
    }

    fn read(self, address: u64, into: &mut [u8]) -> Result<usize, Trouble> {
        if self.0 == 0 {
            return Err(Trouble::Closed);
        }
        sys::read_memory(self.0, address, into).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::ENOSYS) => Trouble::Closed,
            _ => Trouble::Nothing,
        })
    }

    /// `/proc/PID/…`
    pub(crate) fn proc(self, rest: &str) -> PathBuf {
        format!("/proc/{}/{rest}", self.0).into()
    }

    pub(crate) fn link(self, rest: &str) -> Result<PathBuf, Trouble> {
        match rustix::fs::readlink(self.proc(rest), Vec::new()) {
            Ok(text) => Ok(std::ffi::OsString::from_vec(text.into_bytes()).into()),
            Err(Errno::ACCESS | Errno::PERM) => Err(Trouble::Closed),
            Err(_) => Err(Trouble::Nothing),
        }
    }

    /// The directory that relative paths start from: the working directory (`AT_FDCWD`) or a descriptor.
    pub(crate) fn directory(self, fd: i32) -> Result<PathBuf, Trouble> {
        let path = if fd == libc::AT_FDCWD { self.link("cwd")? } else { self.link(&format!("fd/{fd}"))? };
        // A directory that was removed has no entries and gets none.
        if path.as_os_str().as_bytes().ends_with(DELETED) && !path.exists() {
            return Err(Trouble::Nothing);
        }
        if path.is_absolute() { Ok(path) } else { Err(Trouble::Nothing) }
    }

    /// What a descriptor means. `sure`: paths in /proc are as we see them.
    pub(crate) fn descriptor(self, fd: i32, sure: bool) -> Result<Descriptor, Trouble> {
        if fd == libc::AT_FDCWD {
            return self.directory(fd).map(Descriptor::At);
        }
        let rest = format!("fd/{fd}");
        let path = self.link(&rest)?;
        if !path.is_absolute() || path.as_os_str().as_bytes().starts_with(b"/memfd:") {
            return Ok(Descriptor::NoFile);
        }
        let deleted = path.as_os_str().as_bytes().ends_with(DELETED);
        if sure && !deleted {
            return Ok(Descriptor::At(path));
        }
        let file = rustix::fs::stat(self.proc(&rest)).map_err(|_| Trouble::Nothing)?;
        match same_file(&path, &file) {
            true => Ok(Descriptor::At(path)),
            false => Ok(Descriptor::Nameless(file)),
        }
    }

    /// The name of a process that still runs, with its number.
    pub(crate) fn name(self) -> Option<(u32, String)> {
        let status = std::fs::read_to_string(self.proc("status")).ok()?;
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim().to_owned())
        };
        let dead = value("State:")?.starts_with(['Z', 'X']);
        let number = value("Tgid:")?.parse().ok()?;
        (!dead).then_some((number, value("Name:")?))
    }
}

/// Whether the name leads to this inode.
pub(crate) fn same_file(path: &Path, file: &Stat) -> bool {
    rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|seen| seen.st_dev == file.st_dev && seen.st_ino == file.st_ino)
}
