//! Archives onto disk: layers of images (with the marks of removed paths) and root file systems. Nothing in an archive
//! leads out of the directory it is unpacked into.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, XattrFlags};

use crate::error::{Doing, Error, Result};

/// What an archive unpacks to, whatever it is compressed with.
pub(crate) fn reader(path: &Path) -> Result<Box<dyn Read + Send>> {
    let mut file = File::open(path).at(path)?;
    let mut magic = [0; 6];
    let length = file.read(&mut magic).at(path)?;
    let file = File::open(path).at(path)?;
    Ok(match &magic[..length] {
        [0x1f, 0x8b, ..] => {
            Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(Program::start("zstd", file)?),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(Program::start("xz", file)?),
        _ => Box::new(BufReader::with_capacity(1 << 16, file)),
    })
}

/// A program that decompresses; ended when it is no longer read.
struct Program(Child);

impl Program {
    fn start(name: &str, input: File) -> Result<Self> {
        let child = Command::new(name).arg("-dc").stdin(input).stdout(Stdio::piped()).spawn();
        child.map(Self).doing(format!("the program {name}, which unpacks this kind of archive"))
    }
}

impl Read for Program {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.stdout.as_mut().map_or(Ok(0), |output| output.read(buffer))?;
        if read == 0 && !self.0.wait()?.success() {
            return Err(io::Error::other("the archive is damaged"));
        }
        Ok(read)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Unpacks over what is there already, as a layer over those below it.
pub(crate) fn unpack(from: impl Read, root: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(from);
    let top =
        rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).at(root)?;
    let mut dirs: Vec<(PathBuf, i64)> = Vec::new();
    for entry in archive.entries().doing("the archive")? {
        let mut entry = entry.doing("the archive")?;
        let Some(path) = inner(&entry.path_bytes())? else { continue };
        let shown = path.display().to_string();
        one(&top, &path, &mut entry, &mut dirs).doing(shown)?;
    }
    // Deepest first: writing into a directory changes its time.
    dirs.sort();
    for (path, mtime) in dirs.iter().rev() {
        if let Some(parent) = open(&top, path) {
            let _ = set_time(&parent, *mtime);
        }
    }
    Ok(())
}

/// The path below the root; `None`: the root itself.
fn inner(bytes: &[u8]) -> Result<Option<PathBuf>> {
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(bytes)).components() {
        match part {
            std::path::Component::Normal(part) => path.push(part),
            std::path::Component::ParentDir => {
                return Err(Error::wrong(format!(
                    "the archive has a path with `..`: {}",
                    String::from_utf8_lossy(bytes)
                )));
            }
            _ => {}
        }
    }
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

/// A directory below the root; links in it lead nowhere else.
fn open(top: &OwnedFd, path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    rustix::fs::openat2(top, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
        .ok()
}

/// The same; made where the archive forgot it.
fn parent(top: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    if let Some(found) = open(top, path) {
        return Ok(found);
    }
    let above = parent(top, path.parent().ok_or(io::ErrorKind::NotFound)?)?;
    let name = path.file_name().ok_or(io::ErrorKind::NotFound)?;
    rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755))?;
    open(top, path).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn set_time(place: &OwnedFd, mtime: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: mtime, tv_nsec: 0 };
    Ok(rustix::fs::futimens(place, &Timestamps { last_access: time, last_modification: time })?)
}

fn remove(place: &Path) -> io::Result<()> {
    match fs::symlink_metadata(place) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(_) => Ok(()),
    }
}

fn one(
    top: &OwnedFd,
    path: &Path,
    entry: &mut tar::Entry<'_, impl Read>,
    dirs: &mut Vec<(PathBuf, i64)>,
) -> io::Result<()> {
    let above = parent(top, path.parent().unwrap_or(Path::new("")))?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let beside = PathBuf::from(format!("/proc/self/fd/{}", above.as_raw_fd()));
    if name == ".wh..wh..opq" {
        for old in fs::read_dir(&beside)? {
            remove(&old?.path())?;
        }
        return Ok(());
    }
    if let Some(gone) = name.as_bytes().strip_prefix(b".wh.") {
        return remove(&beside.join(OsStr::from_bytes(gone)));
    }
    let place = beside.join(name);
    let header = entry.header().clone();
    let kind = header.entry_type();
    let is_dir = fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_dir());
    if !(kind.is_dir() && is_dir) {
        remove(&place)?;
    }
    let xattrs = attributes(entry)?;
    match kind {
        tar::EntryType::Directory if is_dir => {}
        tar::EntryType::Directory => fs::create_dir(&place)?,
        tar::EntryType::Symlink => {
            let target = entry.link_name_bytes().ok_or(io::ErrorKind::InvalidData)?;
            symlink(OsStr::from_bytes(&target), &place)?;
        }
        tar::EntryType::Link => {
            let target = entry.link_name_bytes().ok_or(io::ErrorKind::InvalidData)?;
            let target = inner(&target).map_err(io::Error::other)?.ok_or(io::ErrorKind::InvalidData)?;
            let from = parent(top, target.parent().unwrap_or(Path::new("")))?;
            let old = target.file_name().ok_or(io::ErrorKind::InvalidData)?;
            rustix::fs::linkat(&from, old, &above, name, AtFlags::empty())?;
            return Ok(());
        }
        tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
            let (major, minor) = (header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0));
            let kind = match kind {
                tar::EntryType::Char => FileType::CharacterDevice,
                tar::EntryType::Block => FileType::BlockDevice,
                _ => FileType::Fifo,
            };
            rustix::fs::mknodat(
                &above,
                name,
                kind,
                Mode::from_raw_mode(0o600),
                rustix::fs::makedev(major, minor),
            )?;
        }
        _ => {
            let mut file = File::options().write(true).create_new(true).open(&place)?;
            io::copy(entry, &mut file)?;
        }
    }
    let (uid, gid) = (u32::try_from(header.uid()?).unwrap_or(0), u32::try_from(header.gid()?).unwrap_or(0));
    lchown(&place, Some(uid), Some(gid))?;
    if kind != tar::EntryType::Symlink {
        fs::set_permissions(&place, fs::Permissions::from_mode(header.mode()? & 0o7777))?;
        for (key, value) in &xattrs {
            rustix::fs::setxattr(&place, key.as_str(), value, XattrFlags::empty())?;
        }
    }
    let mtime = i64::try_from(header.mtime()?).unwrap_or(0);
    if kind == tar::EntryType::Directory {
        dirs.push((path.to_owned(), mtime));
        return Ok(());
    }
    let time = Timespec { tv_sec: mtime, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, &place, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn attributes(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    let Some(extensions) = entry.pax_extensions()? else { return Ok(all) };
    for extension in extensions {
        let extension = extension?;
        if let Some(key) = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) {
            all.push((key.to_owned(), extension.value_bytes().to_vec()));
        }
    }
    Ok(all)
}
