//! What the run that goes on now has done so far: written before each change, removed when the layer is sealed.
//! One JSON document a line; the last line may be torn and then counts as not written.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{At, Result};
use crate::record::{Cause, Opaque, Run};
use crate::state::PathState;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(crate) enum Entry {
    Run(Run),
    Cause(Cause),
    /// This path is about to change; its content is in the store.
    Change {
        #[serde(with = "crate::record::path")]
        path: PathBuf,
        cause: usize,
        before: Option<PathState>,
    },
    Opaque(Opaque),
}

pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    pub(crate) fn create(path: &Path, run: &Run) -> Result<Self> {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .at("create", path)?;
        let mut journal = Self { file, path: path.to_owned() };
        journal.note(&Entry::Run(run.clone()))?;
        Ok(journal)
    }

    pub(crate) fn note(&mut self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry).map_err(std::io::Error::from).at("write", &self.path)?;
        line.push(b'\n');
        self.file.write_all(&line).at("write", &self.path)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().at("write", &self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// What a run left that never ended; `None` when there is nothing.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<Entry>>> {
    let bytes = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.at("read", path)?,
    };
    Ok(Some(bytes.split(|b| *b == b'\n').map_while(|line| serde_json::from_slice(line).ok()).collect()))
}
