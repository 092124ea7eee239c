//! `access_time` and `modification_time`: `preserve`, `now` or a time in a format.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use catalog::{Args, Json};
use layer::{Attributes, Time};
use serde_json::json;

use super::{now, time_of};
use crate::module::{At, Failure, Task};

pub(super) struct Times<'a> {
    modification: Option<&'a str>,
    modification_format: &'a str,
    access: Option<&'a str>,
    access_format: &'a str,
}

impl<'a> Times<'a> {
    pub(super) fn read(args: &'a Args) -> Self {
        Self {
            modification: args.str("modification_time").filter(|s| !s.is_empty()),
            modification_format: args.str("modification_time_format").unwrap_or("%Y%m%d%H%M.%S"),
            access: args.str("access_time").filter(|s| !s.is_empty()),
            access_format: args.str("access_time_format").unwrap_or("%Y%m%d%H%M.%S"),
        }
    }

    /// `default`: what stands for an argument that is not given.
    pub(super) fn apply(
        &self,
        task: &mut Task<'_>,
        path: &Path,
        default: &str,
        diff: Option<&mut Json>,
    ) -> Result<bool, Failure> {
        let modification = read(self.modification.unwrap_or(default), self.modification_format)?;
        let access = read(self.access.unwrap_or(default), self.access_format)?;
        if modification.is_none() && access.is_none() {
            return Ok(false);
        }
        let metadata = std::fs::symlink_metadata(path).at("look at", path)?;
        let (old_m, old_a) = (
            time_of(metadata.mtime(), metadata.mtime_nsec()),
            time_of(metadata.atime(), metadata.atime_nsec()),
        );
        let differs = |new: Option<Time>, old: Time| new.filter(|new| seconds(*new) != seconds(old));
        let (new_m, new_a) = (differs(modification, old_m), differs(access, old_a));
        if new_m.is_none() && new_a.is_none() {
            return Ok(false);
        }
        if let Some(diff) = diff {
            for (key, new, old) in [("mtime", new_m, old_m), ("atime", new_a, old_a)] {
                if let Some(new) = new {
                    diff["before"][key] = json!(seconds(old));
                    diff["after"][key] = json!(seconds(new));
                }
            }
        }
        if !task.check {
            let times = Attributes { mtime: new_m, atime: new_a, ..Attributes::default() };
            task.recorder.set(path, &times, false)?;
        }
        Ok(true)
    }
}

fn seconds(time: Time) -> f64 {
    time.0 as f64 + f64::from(time.1) / 1e9
}

/// `None`: leave it.
fn read(text: &str, format: &str) -> Result<Option<Time>, Failure> {
    match text {
        "preserve" => Ok(None),
        "now" => Ok(Some(now())),
        text => {
            let wrong = |e: jiff::Error| {
                Failure::new(format!(
                    "Error while obtaining timestamp for time {text} using format {format}: {e}"
                ))
            };
            let time = jiff::civil::DateTime::strptime(format, text).map_err(wrong)?;
            let zoned = time.to_zoned(jiff::tz::TimeZone::system()).map_err(wrong)?;
            let stamp = zoned.timestamp();
            Ok(Some(Time(stamp.as_second(), stamp.subsec_nanosecond().unsigned_abs())))
        }
    }
}
