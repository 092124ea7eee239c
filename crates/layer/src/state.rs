//! What is at a path: everything that an exact undo must put back.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags, StatxAttributes, StatxFlags};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, hex, unhex};
use crate::error::{At, Result};
use crate::place::Place;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathState {
    #[serde(flatten)]
    pub kind: Kind,
    /// The twelve permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atime: Option<Time>,
    /// Values in hexadecimal; ACLs, capabilities and SELinux labels are among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
    /// `chattr` flags: immutable, append-only and no-dump where set; all where a change touched them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<u32>,
    /// Names of one inode form a hard-link group: `[device, inode]`, where there is more than one name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<(u64, u64)>,
    /// The content is encrypted in the store and the digest is a keyed one: nobody shows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    File {
        /// `None`: not read, because the change did not touch the content.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        size: u64,
    },
    Dir,
    Symlink {
        #[serde(with = "crate::record::path")]
        target: PathBuf,
    },
    Fifo,
    Char {
        device: u64,
    },
    Block {
        device: u64,
    },
    Socket,
}

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time(pub i64, pub u32);

impl Time {
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// By more than the clock of a file system ticks.
    fn is_well_before(self, other: Self) -> bool {
        const TICK: i64 = 20_000_000;
        let nanos = |time: Self| time.0.saturating_mul(1_000_000_000).saturating_add(time.1.into());
        nanos(other).saturating_sub(nanos(self)) > TICK
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self(since.as_secs() as i64, since.subsec_nanos()),
            Err(before) => {
                let d = before.duration();
                let nanos = d.subsec_nanos();
                if nanos == 0 {
                    Self(-(d.as_secs() as i64), 0)
                } else {
                    Self(-(d.as_secs() as i64) - 1, 1_000_000_000 - nanos)
                }
            }
        }
    }
}

/// What a write or [`crate::Recorder::set`] shall make of a path's metadata; `None`: leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime: Option<Time>,
    pub atime: Option<Time>,
    /// Set (`Some`) or removed (`None`).
    pub xattrs: Vec<(String, Option<Vec<u8>>)>,
}

impl Attributes {
    pub fn mode(mode: u32) -> Self {
        Self { mode: Some(mode), ..Self::default() }
    }
}

impl PathState {
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File { .. })
    }
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }
    pub fn is_symlink(&self) -> bool {
        matches!(self.kind, Kind::Symlink { .. })
    }
    pub fn digest(&self) -> Option<Digest> {
        match self.kind {
            Kind::File { digest, .. } => digest,
            _ => None,
        }
    }
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        }
    }
    pub(crate) fn set_digest(&mut self, new: Option<Digest>) {
        if let Kind::File { digest, .. } = &mut self.kind {
            *digest = new;
        }
    }
}

/// Everything about a path (never through a link at its end), content digest included. `None`: nothing there.
pub fn observe(path: &Path) -> Result<Option<PathState>> {
    let Some(place) = Place::find(path)? else { return Ok(None) };
    let Some(mut state) = look(&place)? else { return Ok(None) };
    if state.is_file() {
        state.set_digest(Some(Digest::of_reader(open_file(&place)?).at("read", path)?));
    }
    Ok(Some(state))
}

/// When names in this directory changed last.
pub(crate) fn dir_time(path: &Path) -> Option<Time> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
    Some(Time(metadata.mtime(), metadata.mtime_nsec() as u32))
}

/// The inode that is at a path itself.
pub(crate) fn inode(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::lstat(path).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// As [`observe`], without reading the content.
pub(crate) fn look(place: &Place) -> Result<Option<PathState>> {
    Ok(look_closely(place)?.map(|(state, _)| state))
}

/// Which inode it is, and when it last changed in any way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ident {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) links: u32,
    pub(crate) changed: Time,
    pub(crate) born: Option<Time>,
}

impl Ident {
    pub(crate) fn inode(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    pub(crate) fn id(&self) -> crate::Inode {
        let born = self.born.unwrap_or_default();
        crate::Inode(self.dev, self.ino, born.0, born.1)
    }

    /// Its last change is longer ago than the clock of a file system ticks.
    pub(crate) fn is_settled(&self) -> bool {
        self.changed.is_well_before(Time::now())
    }

    /// It was made before then; not where the file system does not say.
    pub(crate) fn is_older(&self, than: Time) -> bool {
        self.born.is_some_and(|born| born.is_well_before(than))
    }
}

pub(crate) fn look_closely(place: &Place) -> Result<Option<(PathState, Ident)>> {
    let path = place.path();
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = match rustix::fs::statx(place.dir(), place.name(), AtFlags::SYMLINK_NOFOLLOW, wanted) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        other => other.at("look at", path)?,
    };
    let device = rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
    let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => Kind::File { digest: None, size: stat.stx_size },
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink {
            target: {
                use std::os::unix::ffi::OsStringExt;
                let target = rustix::fs::readlinkat(place.dir(), place.name(), Vec::new())
                    .at("read the link", path)?;
                std::ffi::OsString::from_vec(target.into_bytes()).into()
            },
        },
        FileType::Fifo => Kind::Fifo,
        FileType::CharacterDevice => Kind::Char { device },
        FileType::BlockDevice => Kind::Block { device },
        _ => Kind::Socket,
    };
    let ident = Ident {
        dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        ino: stat.stx_ino,
        links: stat.stx_nlink,
        changed: Time(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        born: (stat.stx_mask & StatxFlags::BTIME.bits() != 0)
            .then_some(Time(stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec)),
    };
    let mut state = PathState {
        group: (ident.links > 1 && kind != Kind::Dir).then_some(ident.inode()),
        kind,
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        mtime: Time(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        atime: None,
        xattrs: read_xattrs(&place.by_descriptor()),
        flags: None,
        secret: false,
    };
    // Pipes and the like may inherit flags, but nobody could set them again.
    if state.is_file() || state.is_dir() {
        state.flags = locks(stat.stx_attributes);
    }
    Ok(Some((state, ident)))
}

/// The flags that keep others from changing a file, which `statx` tells without opening it.
fn locks(attributes: StatxAttributes) -> Option<u32> {
    let pairs = [
        (StatxAttributes::IMMUTABLE, IFlags::IMMUTABLE),
        (StatxAttributes::APPEND, IFlags::APPEND),
        (StatxAttributes::NODUMP, IFlags::NODUMP),
    ];
    let set = pairs.iter().filter(|(seen, _)| attributes.contains(*seen));
    let bits = set.fold(0, |bits, (_, flag)| bits | flag.bits());
    (bits != 0).then_some(bits)
}

/// The flags of `chattr` that are looked at without being asked for.
pub(crate) fn lock_flags() -> IFlags {
    IFlags::IMMUTABLE | IFlags::APPEND | IFlags::NODUMP
}

/// The file itself, never what a link points to; never blocks on a pipe.
pub(crate) fn open_file(place: &Place) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file =
        rustix::fs::openat(place.dir(), place.name(), flags, Mode::empty()).at("open", place.path())?;
    Ok(file.into())
}

/// Extended attributes; none where the file system has none.
fn read_xattrs(path: &Path) -> BTreeMap<String, String> {
    let mut names = [0_u8; 16 * 1024];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names) else { return BTreeMap::new() };
    let mut value = Vec::new();
    names[..length]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|name| {
            let name = std::str::from_utf8(name).ok()?;
            value.resize(64 * 1024, 0);
            let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).ok()?;
            Some((name.to_owned(), hex(&value[..length])))
        })
        .collect()
}

/// Give a new file the extended attributes of the one it replaces, as far as the file system and our rights go.
pub(crate) fn copy_xattrs(to: &File, xattrs: &BTreeMap<String, String>) -> rustix::io::Result<()> {
    use rustix::io::Errno;
    // These two sign the old content.
    for (name, value) in
        xattrs.iter().filter(|(name, _)| !matches!(name.as_str(), "security.ima" | "security.evm"))
    {
        let Some(value) = unhex(value) else { continue };
        let roots = name.starts_with("security.") || name.starts_with("trusted.");
        match rustix::fs::fsetxattr(to, name.as_str(), &value, rustix::fs::XattrFlags::empty()) {
            Err(Errno::NOTSUP) => {}
            Err(Errno::PERM | Errno::ACCESS) if roots && !rustix::process::geteuid().is_root() => {}
            other => other?,
        }
    }
    Ok(())
}

/// Where a descriptor can be used as a path.
pub(crate) fn descriptor_path(fd: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// Change mode, owner, times and attributes of what `fd` (an `O_PATH` descriptor) is. Returns whether anything was different.
pub(crate) fn apply(fd: BorrowedFd<'_>, state: &PathState, wanted: &Attributes, path: &Path) -> Result<bool> {
    let mut changed = false;
    let by_fd = descriptor_path(fd);
    let uid = wanted.uid.filter(|uid| *uid != state.uid);
    let gid = wanted.gid.filter(|gid| *gid != state.gid);
    if uid.is_some() || gid.is_some() {
        let (uid, gid) = (uid.map(rustix::fs::Uid::from_raw), gid.map(rustix::fs::Gid::from_raw));
        rustix::fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH).at("change the owner of", path)?;
        changed = true;
    }
    // A change of owner clears the set-user-id bits: the mode comes after it.
    let mode = wanted.mode.unwrap_or(state.mode);
    if !state.is_symlink() && (mode != state.mode || (changed && mode & 0o6000 != 0)) {
        rustix::fs::chmod(&by_fd, Mode::from_raw_mode(mode)).at("change the mode of", path)?;
        changed = true;
    }
    for (name, value) in &wanted.xattrs {
        if value.as_ref().map(|v| hex(v)).as_ref() == state.xattrs.get(name) {
            continue;
        }
        match value {
            Some(value) => {
                rustix::fs::setxattr(&by_fd, name.as_str(), value, rustix::fs::XattrFlags::empty())
            }
            None => rustix::fs::removexattr(&by_fd, name.as_str()),
        }
        .at("change an extended attribute of", path)?;
        changed = true;
    }
    if wanted.mtime.is_some() || wanted.atime.is_some() {
        set_times(fd, wanted, path)?;
        changed = true;
    }
    Ok(changed)
}

fn set_times(fd: BorrowedFd<'_>, wanted: &Attributes, path: &Path) -> Result<()> {
    let spec = |time: Option<Time>| rustix::fs::Timespec {
        tv_sec: time.map_or(0, |t| t.0),
        tv_nsec: time.map_or(rustix::fs::UTIME_OMIT, |t| t.1.into()),
    };
    let times =
        rustix::fs::Timestamps { last_access: spec(wanted.atime), last_modification: spec(wanted.mtime) };
    rustix::fs::utimensat(fd, "", &times, AtFlags::EMPTY_PATH)
        .or_else(|_| rustix::fs::utimensat(rustix::fs::CWD, descriptor_path(fd), &times, AtFlags::empty()))
        .at("change the times of", path)
}

/// An `O_PATH` descriptor of the path itself.
pub(crate) fn handle(place: &Place) -> Result<std::os::fd::OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(place.dir().as_fd(), place.name(), flags, Mode::empty()).at("open", place.path())
}
