//! Giving a path exactly the owner, mode, attributes, flags and time that a record says.

use rustix::fs::{AtFlags, IFlags, Mode, XattrFlags};

use crate::digest::unhex;
use crate::error::{At, Result};
use crate::place::Place;
use crate::state::{self, PathState, Time};

/// All but the flags: those come last, when nothing else is to be done.
pub(crate) fn dress(place: &Place, want: &PathState) -> Result<()> {
    let path = place.path();
    let Some(mut now) = state::look(place)? else { return Ok(()) };
    let uid = (now.uid != want.uid).then(|| rustix::fs::Uid::from_raw(want.uid));
    let gid = (now.gid != want.gid).then(|| rustix::fs::Gid::from_raw(want.gid));
    if uid.is_some() || gid.is_some() {
        rustix::fs::chownat(place.dir(), place.name(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            .at("change the owner of", path)?;
        // That clears capabilities and set-user-id bits.
        now = state::look(place)?.unwrap_or(now);
    }
    if now.xattrs != want.xattrs {
        dress_xattrs(place, &now, want)?;
        // An access control list changes the mode of the group.
        now = state::look(place)?.unwrap_or(now);
    }
    if !want.is_symlink() && now.mode != want.mode {
        let handle = state::handle(place)?;
        let by_handle = state::descriptor_path(std::os::fd::AsFd::as_fd(&handle));
        rustix::fs::chmod(&by_handle, Mode::from_raw_mode(want.mode)).at("change the mode of", path)?;
    }
    if now.mtime != want.mtime {
        set_mtime(place, want.mtime)?;
    }
    Ok(())
}

fn dress_xattrs(place: &Place, now: &PathState, want: &PathState) -> Result<()> {
    let (by_name, path) = (place.by_descriptor(), place.path());
    for name in now.xattrs.keys().filter(|name| !want.xattrs.contains_key(*name)) {
        rustix::fs::lremovexattr(&by_name, name.as_str()).at("remove an extended attribute of", path)?;
    }
    for (name, value) in want.xattrs.iter().filter(|(name, value)| now.xattrs.get(*name) != Some(value)) {
        let value = unhex(value).unwrap_or_default();
        rustix::fs::lsetxattr(&by_name, name.as_str(), &value, XattrFlags::empty())
            .at("set an extended attribute of", path)?;
    }
    Ok(())
}

pub(crate) fn set_mtime(place: &Place, time: Time) -> Result<()> {
    let omit = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let times = rustix::fs::Timestamps {
        last_access: omit,
        last_modification: rustix::fs::Timespec { tv_sec: time.0, tv_nsec: time.1.into() },
    };
    rustix::fs::utimensat(place.dir(), place.name(), &times, AtFlags::SYMLINK_NOFOLLOW)
        .at("change the times of", place.path())
}

/// Give a directory its time, whatever its flags forbid.
pub(crate) fn set_dir_mtime(path: &std::path::Path, time: Time) -> Result<()> {
    let Some(place) = Place::recorded(path)? else { return Ok(()) };
    let Some(now) = state::look(&place)?.filter(|now| now.is_dir() && now.mtime != time) else {
        return Ok(());
    };
    let unlocked = unlock(&place, &now)?;
    set_mtime(&place, time)?;
    if unlocked { set_flags(&place, &now) } else { Ok(()) }
}

/// Flags that forbid changes.
fn locks(state: &PathState) -> IFlags {
    let flags = IFlags::from_bits_retain(state.flags.unwrap_or(0));
    flags & (IFlags::IMMUTABLE | IFlags::APPEND)
}

pub(crate) fn is_locked(state: &PathState) -> bool {
    !locks(state).is_empty()
}

/// What [`unlock`] took away from an inode that has other names.
pub(crate) fn lock_again(file: &std::fs::File, flags: u32) -> Result<()> {
    let shown = state::descriptor_path(std::os::fd::AsFd::as_fd(file));
    let old = rustix::fs::ioctl_getflags(file).at("read the attributes of", &shown)?;
    let locks = IFlags::from_bits_retain(flags) & (IFlags::IMMUTABLE | IFlags::APPEND);
    rustix::fs::ioctl_setflags(file, old | locks).at("change the attributes of", &shown)
}

/// Take away the flags that forbid changes. True: there were some.
pub(crate) fn unlock(place: &Place, now: &PathState) -> Result<bool> {
    if !is_locked(now) || !(now.is_file() || now.is_dir()) {
        return Ok(false);
    }
    let file = state::open_file(place)?;
    let flags = rustix::fs::ioctl_getflags(&file).at("read the attributes of", place.path())?;
    rustix::fs::ioctl_setflags(&file, flags - (IFlags::IMMUTABLE | IFlags::APPEND))
        .at("change the attributes of", place.path())?;
    Ok(true)
}

/// The flags of the record: all that it knows, else those that are always looked at.
pub(crate) fn set_flags(place: &Place, want: &PathState) -> Result<()> {
    if !(want.is_file() || want.is_dir()) {
        return Ok(());
    }
    // Something else may be there by now.
    let Some(now) = state::look(place)?.filter(|now| now.is_file() || now.is_dir()) else { return Ok(()) };
    if now.flags.is_none() && want.flags.is_none() {
        return Ok(());
    }
    let file = state::open_file(place)?;
    let old = rustix::fs::ioctl_getflags(&file).at("read the attributes of", place.path())?;
    let wanted = IFlags::from_bits_retain(want.flags.unwrap_or(0));
    let known =
        if want.flags.is_some_and(|f| IFlags::from_bits_retain(f) - state::lock_flags() != IFlags::empty()) {
            crate::operations::changeable()
        } else {
            state::lock_flags()
        };
    let new = (old - known) | (wanted & known);
    if new != old {
        rustix::fs::ioctl_setflags(&file, new).at("change the attributes of", place.path())?;
    }
    Ok(())
}
