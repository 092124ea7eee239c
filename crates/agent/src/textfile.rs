//! Small configuration files that modules read whole, edit as text and write back when something changed.

use std::io::ErrorKind;
use std::path::PathBuf;

use catalog::Json;
use layer::Attributes;

use crate::files;
use crate::module::{At, Failure, Task};

/// A file as text; what is no UTF-8 in it survives the way there and back.
pub struct TextFile {
    pub path: PathBuf,
    /// `None`: there is no such file.
    pub before: Option<String>,
}

impl TextFile {
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, Failure> {
        let path = path.into();
        let before = match std::fs::metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(e).at("look at", &path),
            Ok(_) => Some(files::escape(&files::read(&path)?)),
        };
        Ok(Self { path, before })
    }

    /// The content; nothing when there is no file.
    pub fn text(&self) -> &str {
        self.before.as_deref().unwrap_or_default()
    }

    pub fn differs(&self, after: &str) -> bool {
        self.before.as_deref().unwrap_or_default() != after
    }

    /// Writes where links lead. A file that is new gets `mode`, or what the umask leaves.
    pub fn write(&self, task: &mut Task<'_>, after: &str, mode: Option<u32>) -> Result<(), Failure> {
        let path = files::resolved(&self.path, true);
        let mode = mode.filter(|_| self.before.is_none());
        let attributes = Attributes { mode, ..Attributes::default() };
        task.recorder.write(&path, files::unescape(after).as_slice(), &attributes)?;
        Ok(())
    }

    pub fn diff(&self, after: &str) -> Json {
        let path = self.path.display().to_string();
        files::content_diff(&files::unescape(self.text()), &files::unescape(after), &path)
    }
}
