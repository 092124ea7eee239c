//! Is there room? Asked before a change begins, not found out in its middle.

use std::path::Path;

use crate::error::{At, Error, Result};

/// What is left for directories, records and others.
const MARGIN: u64 = 1024 * 1024;

/// Refuse when the file system of this (existing) path has not so many bytes left, and some more.
pub(crate) fn need(path: &Path, bytes: u64) -> Result<()> {
    need_exactly(path, bytes.saturating_add(MARGIN))
}

pub(crate) fn need_exactly(path: &Path, needed: u64) -> Result<()> {
    let stat = rustix::fs::statvfs(path).at("ask for the free space of", path)?;
    let own = rustix::process::geteuid().is_root();
    let blocks = if own { stat.f_bfree } else { stat.f_bavail };
    let free = blocks.saturating_mul(stat.f_frsize);
    if needed > free {
        return Err(Error::Full { path: path.to_owned(), needed, free });
    }
    Ok(())
}
