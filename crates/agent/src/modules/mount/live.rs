//! What is mounted now, from the kernel's own table.

use std::path::Path;

use super::fstab::decoded;
use crate::files;

pub(super) fn is_mounted(path: &Path) -> bool {
    source(path).is_some()
}

/// What is mounted there, if anything: the last one counts.
pub(super) fn source(path: &Path) -> Option<String> {
    let path = files::real_path(path);
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    table.lines().rev().find_map(|line| {
        let (place, about) = line.split_once(" - ")?;
        let point = decoded(place.split(' ').nth(4)?);
        (Path::new(&point) == path).then(|| about.split(' ').nth(1).map(decoded))?
    })
}
