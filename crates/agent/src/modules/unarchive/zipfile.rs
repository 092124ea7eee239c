//! zip archives.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::entries::{Entry, Unpacking, What};
use crate::files;
use crate::module::{Failure, Task};

const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;

pub(super) fn unpack(archive: &Path, to: &mut Unpacking<'_>, task: &mut Task<'_>) -> Result<(), Failure> {
    let broken = |e: zip::result::ZipError| Failure::new(format!("the zip archive cannot be read: {e}"));
    let mut zip = zip::ZipArchive::new(files::open(archive)?).map_err(broken)?;
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).map_err(broken)?;
        let mode = file.unix_mode();
        let what = if file.is_dir() {
            What::Dir
        } else if mode.is_some_and(|m| m & KIND == LINK) {
            let mut target = String::new();
            file.read_to_string(&mut target)?;
            What::Symlink(PathBuf::from(target))
        } else {
            What::File { size: file.size() }
        };
        let entry = Entry {
            name: PathBuf::from(file.name().map_err(broken)?.into_owned()),
            what,
            mode: mode.map(|m| m & 0o7777).filter(|m| *m != 0),
            owner: None,
            mtime: file.last_modified().and_then(seconds),
        };
        to.entry(&entry, &mut file, task)?;
    }
    Ok(())
}

/// Zip files have local times.
fn seconds(time: zip::DateTime) -> Option<i64> {
    let number = |n: u8| i8::try_from(n).ok();
    let date = jiff::civil::DateTime::new(
        i16::try_from(time.year()).ok()?,
        number(time.month())?,
        number(time.day())?,
        number(time.hour())?,
        number(time.minute())?,
        number(time.second())?,
        0,
    );
    let zoned = date.ok()?.to_zoned(jiff::tz::TimeZone::system()).ok()?;
    Some(zoned.timestamp().as_second())
}
