//! The changes that a recorder can make.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::content::pour;
use crate::digest::Digest;
use crate::error::{At, Error, Result};
use crate::place::Place;
use crate::recorder::{Keep, Recorder};
use crate::state::{self, Attributes, PathState, Time};
use crate::watched::Touch;

impl Recorder {
    /// Give a path a new content, all or nothing. What `attributes` leave open stays as the old file had it, owner
    /// and extended attributes included. A link at the path is replaced, not followed.
    pub fn write(&mut self, path: &Path, mut content: impl Read, attributes: &Attributes) -> Result<Digest> {
        let place = Place::open(path)?;
        let old = state::look(&place)?;
        if old.as_ref().is_some_and(PathState::is_dir) {
            return Err(rustix::io::Errno::ISDIR).at("write", path);
        }
        refuse_append_only(&place)?;
        let temporary = self.temporary_beside(&place)?;
        let mut before = self.before(&place, Keep::Link)?;
        let time = state::dir_time(place.dir_path());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(place.dir(), &temporary, flags, Mode::RUSR | Mode::WUSR)
            .at("create a file beside", path)?;
        let mut file = File::from(fd);
        let mut fill = || -> Result<Digest> {
            let digest = pour(&mut content, &mut file).at("write", path)?.0;
            dress(&file, old.as_ref(), attributes, path)?;
            // Filling may have taken long.
            if !still(&before, &state::look(&place)?) {
                before = self.before(&place, Keep::Link)?;
            }
            rustix::fs::renameat(place.dir(), &temporary, place.dir(), place.name()).at("replace", path)?;
            self.dirty.file(place.path());
            self.dirty.dir(place.dir_path());
            self.after(&place, before.clone(), Some(digest))?;
            Ok(digest)
        };
        let result = fill();
        if result.is_err() {
            // After a successful rename the name is gone already; else nothing has happened here.
            if rustix::fs::unlinkat(place.dir(), &temporary, AtFlags::empty()).is_ok()
                && let Some(time) = time
            {
                _ = crate::exact::set_dir_mtime(place.dir_path(), time);
            }
        }
        result
    }

    /// Write over the same inode (`unsafe_writes`: bind-mounted files, /proc and /sys). Not atomic.
    pub fn write_in_place(&mut self, path: &Path, mut content: impl Read) -> Result<Digest> {
        let place = Place::open(path)?;
        let before = self.before_inode(&place, Touch::Content)?;
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(place.dir(), place.name(), flags, Mode::from_raw_mode(0o666))
            .at("write", path)?;
        let digest = pour(&mut content, &mut File::from(fd)).at("write", path)?.0;
        self.dirty.file(place.path());
        self.after(&place, before, Some(digest))?;
        Ok(digest)
    }

    /// Make one directory (its parent exists).
    pub fn create_dir(&mut self, path: &Path, attributes: &Attributes) -> Result<()> {
        self.make(path, attributes, |place| {
            rustix::fs::mkdirat(place.dir(), place.name(), Mode::from_raw_mode(0o777))
        })
    }

    /// `target` is kept as it is written.
    pub fn symlink(&mut self, target: &Path, path: &Path) -> Result<()> {
        let new = |place: &Place, name: &std::ffi::OsStr| rustix::fs::symlinkat(target, place.dir(), name);
        self.replace_with(path, "make the link", None, new)
    }

    pub fn hard_link(&mut self, source: &Path, path: &Path) -> Result<()> {
        let from = Place::open(source)?;
        let digest = state::observe(source)?.and_then(|s| s.digest());
        let peer = from.path().to_owned();
        // Whatever happens to it by the new name happens to this one.
        self.foresee(&peer, Touch::Metadata)?;
        if let Some((_, ident)) = state::look_closely(&from)? {
            self.names.entry(ident.inode()).or_default().push(peer.clone());
        }
        let new = |place: &Place, name: &std::ffi::OsStr| {
            rustix::fs::linkat(from.dir(), from.name(), place.dir(), name, AtFlags::empty())
        };
        self.replace_with(path, "make the hard link", digest, new)?;
        self.peer_of(path, peer)
    }

    /// Write a setting of the running kernel, a file of /proc/sys or /sys: it lasts until a reboot, and no undo takes it
    /// back, which `said` says in the layer. The inner result: what the kernel says of the value.
    pub fn set_in_kernel(&mut self, path: &Path, value: &str, said: &str) -> Result<std::io::Result<()>> {
        if !path.starts_with("/proc/sys") && !path.starts_with("/sys") {
            return Err(rustix::io::Errno::INVAL).at("take for a setting of the kernel", path);
        }
        self.opaque(said)?;
        Ok(std::fs::write(path, value))
    }

    /// A pipe (`mkfifo`).
    pub fn fifo(&mut self, path: &Path, attributes: &Attributes) -> Result<()> {
        let mode = Mode::from_raw_mode(0o666);
        self.make(path, attributes, |place| {
            rustix::fs::mknodat(place.dir(), place.name(), rustix::fs::FileType::Fifo, mode, 0)
        })
    }

    /// Move a file or a tree, replacing a file of that name.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let (source, target) = (Place::open(from)?, Place::open(to)?);
        if source.path() == target.path() {
            return Ok(());
        }
        let moved = crate::tree::list(&source)?;
        // A directory replaces an empty one only; nothing of this one may be taken for absent.
        if moved.len() > 1 && crate::tree::list(&target)?.len() > 1 {
            return Err(rustix::io::Errno::NOTEMPTY).at("rename", from);
        }
        let mut states = Vec::with_capacity(moved.len());
        for relative in &moved {
            self.settle_one(below(&source, relative)?.path())?;
            states.push(self.announce(&below(&source, relative)?, Keep::Link, &[])?.0);
        }
        self.settle_one(target.path())?;
        let replaced = self.announce(&target, Keep::Link, &[])?.0;
        for relative in moved.iter().skip(1) {
            self.note_absent(&joined(target.path(), relative))?;
        }
        self.secure()?;
        if state::inode(source.path()).is_some_and(|inode| state::inode(target.path()) == Some(inode)) {
            // Two names of one file: the kernel would leave both.
            rustix::fs::unlinkat(source.dir(), source.name(), AtFlags::empty()).at("rename", from)?;
        } else {
            rustix::fs::renameat(source.dir(), source.name(), target.dir(), target.name())
                .at("rename", from)?;
        }
        for (relative, state) in moved.iter().zip(states) {
            let digest = state.as_ref().and_then(PathState::digest);
            self.step(joined(source.path(), relative), state, None);
            let new = below(&target, relative)?;
            let before = if relative.as_os_str().is_empty() { replaced.clone() } else { None };
            self.dirty.file(new.path());
            self.after(&new, before, digest)?;
        }
        self.dirty.dir(source.dir_path());
        self.dirty.dir(target.dir_path());
        Ok(())
    }

    /// Remove a file or a whole tree. Nothing there: nothing to do.
    pub fn remove(&mut self, path: &Path) -> Result<()> {
        let Some(place) = Place::find(path)? else { return Ok(()) };
        let mut all = crate::tree::list(&place)?;
        // Deepest first.
        all.reverse();
        let mut kept = Vec::with_capacity(all.len());
        for relative in &all {
            let place = below(&place, relative)?;
            self.settle_one(place.path())?;
            if let Some(before) = self.announce(&place, Keep::Link, &[])?.0 {
                kept.push((relative, before));
            }
        }
        self.secure()?;
        for (relative, before) in kept {
            let place = below(&place, relative)?;
            let flags = if before.is_dir() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            match rustix::fs::unlinkat(place.dir(), place.name(), flags) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error).at("remove", place.path()),
            }
            self.dirty.dir(place.dir_path());
            self.after(&place, Some(before), None)?;
        }
        Ok(())
    }

    /// Make an empty file if there is nothing, and set its times.
    pub fn touch(&mut self, path: &Path, atime: Option<Time>, mtime: Option<Time>) -> Result<()> {
        if state::observe(path)?.is_none() {
            self.write(path, std::io::empty(), &Attributes::default())?;
        }
        let times = Attributes { atime, mtime, ..Attributes::default() };
        self.set(path, &times, true).map(drop)
    }

    /// Change owner, mode, times, extended attributes. `follow`: of what a link points to.
    pub fn set(&mut self, path: &Path, attributes: &Attributes, follow: bool) -> Result<bool> {
        let resolved;
        let path = if follow && path.is_symlink() {
            resolved = std::fs::canonicalize(path).at("follow the link", path)?;
            resolved.as_path()
        } else {
            path
        };
        let place = Place::open(path)?;
        let handle = state::handle(&place)?;
        let Some(now) = state::look(&place)? else {
            return Err(rustix::io::Errno::NOENT).at("find", path);
        };
        if fits(&now, attributes) {
            return Ok(false);
        }
        let before = self.before_inode(&place, Touch::Metadata)?;
        let result = state::apply(handle.as_fd(), &now, attributes, path);
        self.dirty.file(place.path());
        self.after(&place, before, None)?;
        result
    }

    /// `chattr` flags.
    pub fn set_flags(&mut self, path: &Path, flags: u32) -> Result<bool> {
        let place = Place::open(path)?;
        let file = state::open_file(&place)?;
        let old = rustix::fs::ioctl_getflags(&file).at("read the attributes of", path)?;
        if old.bits() == flags {
            return Ok(false);
        }
        let mut before = self.before_inode(&place, Touch::Metadata)?;
        if let Some(state) = &mut before {
            state.flags = Some((old & changeable()).bits());
        }
        self.announce_flags(&place, before.as_ref())?;
        let new = rustix::fs::IFlags::from_bits_retain(flags);
        rustix::fs::ioctl_setflags(&file, new).at("change the attributes of", path)?;
        let mut after = state::look(&place)?;
        if let Some(state) = &mut after {
            state.set_digest(before.as_ref().and_then(PathState::digest));
            state.flags = Some((new & changeable()).bits());
        }
        self.step(place.path().to_owned(), before, after);
        Ok(true)
    }

    /// The flags are known only now: the journal learns of them, too.
    fn announce_flags(&mut self, place: &Place, before: Option<&PathState>) -> Result<()> {
        self.change(place.path(), before.cloned(), &[])?;
        self.urgent = true;
        self.secure()
    }

    /// Before something else (a child process) writes this path: keep its state now. Call [`Recorder::settled`] after.
    pub fn adopt(&mut self, path: &Path) -> Result<Adopted> {
        let Some(place) = Place::find(path)? else { return Ok(Adopted(None)) };
        let before = self.before_inode(&place, Touch::Content)?;
        Ok(Adopted(Some((place, before))))
    }

    /// The other one has written: note what is there now.
    pub fn settled(&mut self, adopted: Adopted) -> Result<()> {
        let Some((place, before)) = adopted.0 else { return Ok(()) };
        let after = state::observe(place.path())?;
        if before == after {
            return Ok(());
        }
        self.dirty.file(place.path());
        self.after(&place, before, after.and_then(|s| s.digest()))
    }

    /// Its inode is about to be written or changed, and so is the file at its other names.
    fn before_inode(&mut self, place: &Place, touch: Touch) -> Result<Option<PathState>> {
        let before = self.before(place, if touch == Touch::Content { Keep::Copy } else { Keep::State })?;
        if let Some(group) = before.as_ref().and_then(|before| before.group) {
            self.foresee_peers(place, group, touch)?;
        }
        Ok(before)
    }

    /// This path is another name of that one.
    fn peer_of(&mut self, path: &Path, peer: std::path::PathBuf) -> Result<()> {
        let place = Place::open(path)?;
        if let Some(step) = self.latest.get(place.path()).map(|i| &mut self.steps[*i])
            && !step.peers.contains(&peer)
            && step.before.as_ref().is_none_or(|before| before.group.is_none())
        {
            step.peers.push(peer);
        }
        Ok(())
    }

    fn make<F>(&mut self, path: &Path, attributes: &Attributes, act: F) -> Result<()>
    where
        F: FnOnce(&Place) -> std::result::Result<(), rustix::io::Errno>,
    {
        let place = Place::open(path)?;
        let before = self.before(&place, Keep::State)?;
        act(&place).at("create", path)?;
        self.dirty.dir(place.dir_path());
        let dressed = (|| {
            let handle = state::handle(&place)?;
            let now = state::look(&place)?.ok_or(rustix::io::Errno::NOENT).at("find", path)?;
            state::apply(handle.as_fd(), &now, attributes, path)
        })();
        self.after(&place, before, None)?;
        dressed.map(drop)
    }

    /// Put something new (made under a temporary name) in the place of what is there.
    fn replace_with<F>(
        &mut self,
        path: &Path,
        doing: &'static str,
        digest: Option<Digest>,
        make: F,
    ) -> Result<()>
    where
        F: Fn(&Place, &std::ffi::OsStr) -> std::result::Result<(), rustix::io::Errno>,
    {
        let place = Place::open(path)?;
        let before = self.before(&place, Keep::Link)?;
        if before.is_none() {
            make(&place, place.name()).at(doing, path)?;
        } else {
            if before.as_ref().is_some_and(PathState::is_dir) {
                return Err(rustix::io::Errno::ISDIR).at("replace", path);
            }
            refuse_append_only(&place)?;
            let time = state::dir_time(place.dir_path());
            let temporary = self.temporary_beside(&place)?;
            make(&place, &temporary).at(doing, path)?;
            let renamed = rustix::fs::renameat(place.dir(), &temporary, place.dir(), place.name());
            // A rename between two names of one inode does nothing and leaves both.
            _ = rustix::fs::unlinkat(place.dir(), &temporary, AtFlags::empty());
            if renamed.is_err()
                && let Some(time) = time
            {
                _ = crate::exact::set_dir_mtime(place.dir_path(), time);
            }
            renamed.at("replace", path)?;
        }
        self.dirty.dir(place.dir_path());
        self.after(&place, before, digest)
    }
}

/// What [`Recorder::adopt`] kept.
#[must_use = "pass it to Recorder::settled when the path was written"]
pub struct Adopted(Option<(Place, Option<PathState>)>);

/// The flags that `chattr` can change, not those that the file system keeps for itself.
pub(crate) fn changeable() -> rustix::fs::IFlags {
    use rustix::fs::IFlags;
    state::lock_flags()
        | IFlags::NOATIME
        | IFlags::SYNC
        | IFlags::DIRSYNC
        | IFlags::NOCOW
        | IFlags::TOPDIR
        | IFlags::JOURNALING
        | IFlags::COMPRESSED
        | IFlags::UNRM
        | IFlags::SECURE_REMOVAL
}

/// In an append-only directory a temporary file could be neither renamed nor removed.
fn refuse_append_only(place: &Place) -> Result<()> {
    let stat = rustix::fs::statx(place.dir(), "", AtFlags::EMPTY_PATH, rustix::fs::StatxFlags::TYPE)
        .at("look at", place.dir_path())?;
    if stat.stx_attributes.contains(rustix::fs::StatxAttributes::APPEND) {
        return Err(rustix::io::Errno::PERM).at("replace", place.path());
    }
    Ok(())
}

/// The same file, not written to meanwhile.
fn still(before: &Option<PathState>, now: &Option<PathState>) -> bool {
    match (before, now) {
        (Some(a), Some(b)) => (a.mtime, a.size(), a.mode, a.uid) == (b.mtime, b.size(), b.mode, b.uid),
        (None, None) => true,
        _ => false,
    }
}

fn joined(top: &Path, relative: &Path) -> std::path::PathBuf {
    if relative.as_os_str().is_empty() { top.to_owned() } else { top.join(relative) }
}

fn below(place: &Place, relative: &Path) -> Result<Place> {
    if relative.as_os_str().is_empty() {
        return Ok(Place::inside(
            rustix::io::dup(place.dir()).at("open", place.path())?,
            place.dir_path(),
            place.name(),
        ));
    }
    Place::open(&place.path().join(relative))
}

/// Whether nothing would change.
fn fits(now: &PathState, wanted: &Attributes) -> bool {
    wanted.uid.is_none_or(|uid| uid == now.uid)
        && wanted.gid.is_none_or(|gid| gid == now.gid)
        && (now.is_symlink() || wanted.mode.is_none_or(|mode| mode == now.mode))
        && wanted.mtime.is_none()
        && wanted.atime.is_none()
        && wanted.xattrs.iter().all(|(name, value)| {
            now.xattrs.get(name) == value.as_ref().map(|v| crate::digest::hex(v)).as_ref()
        })
}

/// Owner, extended attributes and mode of a new file, before it gets its name.
fn dress(file: &File, old: Option<&PathState>, wanted: &Attributes, path: &Path) -> Result<()> {
    let old = old.filter(|s| s.is_file());
    let fresh = rustix::fs::fstat(file).at("look at", path)?;
    let uid = wanted.uid.or(old.map(|o| o.uid)).filter(|uid| *uid != fresh.st_uid);
    let gid = wanted.gid.or(old.map(|o| o.gid)).filter(|gid| *gid != fresh.st_gid);
    let (uid, gid) = (uid.map(rustix::fs::Uid::from_raw), gid.map(rustix::fs::Gid::from_raw));
    if uid.is_some() || gid.is_some() {
        let chowned = rustix::fs::fchown(file, uid, gid);
        // To keep the old owner is a courtesy that only root can afford; what was asked for must succeed.
        if wanted.uid.is_some() || wanted.gid.is_some() {
            chowned.at("change the owner of", path)?;
        }
    }
    if let Some(old) = old {
        state::copy_xattrs(file, &old.xattrs).at("keep the extended attributes of", path)?;
    }
    let mode = wanted.mode.or(old.map(|o| o.mode)).unwrap_or_else(|| 0o666 & !umask());
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).at("change the mode of", path)?;
    let rest = Attributes {
        mtime: wanted.mtime,
        atime: wanted.atime,
        xattrs: wanted.xattrs.clone(),
        ..Attributes::default()
    };
    if rest != Attributes::default() {
        let opened = PathState {
            kind: state::Kind::File { digest: None, size: 0 },
            mode,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            atime: None,
            xattrs: std::collections::BTreeMap::new(),
            flags: None,
            group: None,
            secret: false,
        };
        state::apply(file.as_fd(), &opened, &rest, path)?;
    }
    Ok(())
}

/// The process's file creation mask, without changing it where the kernel tells.
fn umask() -> u32 {
    static MASK: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *MASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let shown = status
            .lines()
            .find_map(|l| l.strip_prefix("Umask:"))
            .and_then(|t| u32::from_str_radix(t.trim(), 8).ok());
        shown.unwrap_or(0o022)
    })
}

impl Error {
    /// The file cannot be replaced because something is mounted on it, or it is running: `unsafe_writes` may help.
    pub fn wants_in_place(&self) -> bool {
        use rustix::io::Errno;
        let unable = [Errno::BUSY, Errno::XDEV, Errno::PERM, Errno::ACCESS, Errno::TXTBSY, Errno::ROFS];
        self.raw_os_error().is_some_and(|code| unable.iter().any(|e| e.raw_os_error() == code))
    }
}
