//! An image saved as an archive, unless the one that is there holds the same.

use std::fs::File;
use std::path::Path;

use catalog::Json;
use layer::Attributes;
use tar::Archive;

use super::Image;
use crate::files;
use crate::module::{Failure, Task};

impl Image<'_> {
    pub(super) fn archive(&mut self, task: &mut Task<'_>, path: &Path) -> Result<(), Failure> {
        let id = self.is.as_ref().and_then(|image| image["Id"].as_str()).map(str::to_owned);
        let Some(reason) = self.archive_reason(path, id.as_deref()) else { return Ok(()) };
        self.actions.push(format!("Archived image {} to {}, {reason}", self.full, path.display()));
        self.changed = true;
        if task.check {
            return Ok(());
        }
        let answer = self.engine.save(task, &self.full)?;
        let place = files::resolved(path, true);
        task.recorder.write(&place, answer.body, &Attributes::default())?;
        Ok(())
    }

    /// Why the archive must be written; `None`: it need not be.
    fn archive_reason(&self, path: &Path, id: Option<&str>) -> Option<String> {
        if !path.exists() {
            return Some("since none present".to_owned());
        }
        let Some(manifest) = manifest(path) else {
            return Some("overwriting an unreadable archive file".to_owned());
        };
        let [one] = manifest.as_array()?.as_slice() else {
            return Some("overwriting an archive with other images".to_owned());
        };
        let config = one["Config"].as_str().unwrap_or_default();
        let found = config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
        let names: Vec<&str> =
            one["RepoTags"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let same = id.is_some_and(|id| id.trim_start_matches("sha256:") == found) && names == [self.full.as_str()];
        (!same).then(|| format!("overwriting archive with image {found} named {}", names.join(", ")))
    }
}

/// What an archive says that it holds.
fn manifest(path: &Path) -> Option<Json> {
    let mut archive = Archive::new(File::open(path).ok()?);
    let mut entries = archive.entries().ok()?.flatten();
    let entry = entries.find(|entry| entry.path().is_ok_and(|path| path.as_ref() == Path::new("manifest.json")))?;
    serde_json::from_reader(entry).ok().filter(Json::is_array)
}
