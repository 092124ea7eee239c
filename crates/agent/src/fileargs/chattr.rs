//! `attributes`: the flags of `chattr` and `lsattr`.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::module::{Failure, Task};

const LETTERS: &[(char, u32)] = &[
    ('s', 0x1),
    ('u', 0x2),
    ('S', 0x8),
    ('D', 0x10000),
    ('i', 0x10),
    ('a', 0x20),
    ('d', 0x40),
    ('A', 0x80),
    ('c', 0x4),
    ('E', 0x800),
    ('j', 0x4000),
    ('I', 0x1000),
    ('t', 0x8000),
    ('T', 0x20000),
    ('e', 0x80000),
    ('C', 0x80_0000),
    ('x', 0x0200_0000),
    ('F', 0x4000_0000),
    ('N', 0x1000_0000),
    ('P', 0x2000_0000),
    ('V', 0x10_0000),
];

/// Flags that the file system sets by itself.
const FIXED: u32 = 0x80000 | 0x1000 | 0x1000_0000 | 0x10_0000 | 0x800;

/// The flags as `lsattr` shows them, without dashes.
pub fn flag_letters(flags: u32) -> String {
    LETTERS.iter().filter(|(_, bit)| flags & bit != 0).map(|(c, _)| *c).collect()
}

/// The inode's flags; `None` where the file system has none.
pub fn inode_flags(path: &Path) -> Option<u32> {
    rustix::fs::ioctl_getflags(open(path)?).ok().map(|f| f.bits())
}

/// The inode's version (generation), as `lsattr -v` shows it.
pub fn inode_version(path: &Path) -> Option<u32> {
    crate::fileargs::version::of(&open(path)?)
}

fn open(path: &Path) -> Option<std::fs::File> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    if !metadata.is_file() && !metadata.is_dir() {
        return None;
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    std::fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).ok()
}

/// `+i`, `-a`, `=id` or `id`.
pub(super) fn apply(task: &mut Task<'_>, path: &Path, text: &str) -> Result<bool, Failure> {
    let (operator, letters) = match text.chars().next() {
        Some(c @ ('+' | '-' | '=')) => (c, &text[1..]),
        _ => ('=', text),
    };
    let mut bits = 0;
    for letter in letters.chars() {
        let known = LETTERS.iter().find(|(c, _)| *c == letter);
        bits |= known
            .ok_or_else(|| Failure::new(format!("attributes: `{letter}` is no attribute that chattr knows")))?
            .1;
    }
    let Some(old) = inode_flags(path) else {
        return Err(Failure::new(format!(
            "chattr failed: the file system of {} has no attributes",
            path.display()
        )));
    };
    let new = match operator {
        '+' => old | bits,
        '-' => old & !bits,
        _ => (old & FIXED) | bits,
    };
    if new != old && !task.check {
        task.recorder.set_flags(path, new)?;
    }
    Ok(new != old)
}
