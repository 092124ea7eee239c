//! What a layer looks like on disk: one JSON document, versioned.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{hex, unhex};
use crate::state::{PathState, Time};

/// Raised when an older program would misread a layer.
pub(crate) const FORMAT: u32 = 2;

/// The run that makes changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    pub run: String,
    pub person: String,
    pub command: String,
    pub project: String,
    /// RFC 3339, by the controller's clock.
    pub started: String,
}

/// Why a path was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub play: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    pub task: String,
    /// file:line of the task.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub item: String,
    /// The contents are secret: never shown in a diff.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_log: bool,
}

/// Which inode it is: device, number, and when it was made (0 where the file system does not say): numbers come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Inode(pub u64, pub u64, pub i64, pub u32);

impl Inode {
    pub(crate) fn number(self) -> (u64, u64) {
        (self.0, self.1)
    }
    /// Devices may have other numbers after a start of the kernel.
    pub(crate) fn of_any_device(self) -> (u64, i64, u32) {
        (self.1, self.2, self.3)
    }
}

/// One path changed by one cause. Steps are in the order of time: undo takes them from the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    #[serde(with = "path")]
    pub path: PathBuf,
    /// Index into [`Layer::causes`].
    pub cause: usize,
    /// `None`: there was nothing.
    pub before: Option<PathState>,
    pub after: Option<PathState>,
    /// Other names of its inode, as far as they were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "paths")]
    pub peers: Vec<PathBuf>,
    /// The inode that it had before the run, if it was no directory: paths that had the same one were one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<Inode>,
}

impl Step {
    /// Whether it changed anything. One that did not is there for its inode: the path got another one, or shared it.
    pub fn changes(&self) -> bool {
        self.before != self.after
    }

    /// Whether undoing it takes a content from the store.
    pub(crate) fn needs_content(&self) -> bool {
        let digest = |state: &Option<PathState>| state.as_ref().and_then(PathState::digest);
        digest(&self.before).is_some() && digest(&self.before) != digest(&self.after)
    }
}

/// Names in this directory changed, and with them its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirTime {
    #[serde(with = "path")]
    pub path: PathBuf,
    pub before: Time,
    pub after: Time,
}

/// Something that undo does not cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    pub cause: usize,
    pub what: String,
    /// It was seen, and cannot be taken back. Otherwise: something ran that was not watched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub irreversible: bool,
}

/// A service that runs, or does not, otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// `nginx.service`
    pub unit: String,
    /// Whether it ran.
    pub before: bool,
    /// Both true: it was started anew.
    pub after: bool,
}

/// The effect of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    pub format: u32,
    pub generation: u64,
    /// The generation that this layer stands on; 0: the untouched host.
    pub parent: u64,
    pub run: Run,
    /// RFC 3339, by the host's clock.
    pub sealed: String,
    /// The run failed; what it had done until then is here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// The run never ended (crash, lost power): what it had done was put back, and is here with what it had made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// The generations whose changes this one took back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undoes: Vec<u64>,
    /// Of the journal that it was written from.
    #[serde(default)]
    pub id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<DirTime>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opaque: Vec<Opaque>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceChange>,
}

/// Paths are bytes: those that are no UTF-8 are written as `{"hex": "…"}`.
pub(crate) mod path {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Bytes { hex: String },
    }

    pub(crate) fn serialize<S: Serializer>(path: &std::path::Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => to.serialize_str(text),
            None => Written::Bytes { hex: hex(path.as_os_str().as_bytes()) }.serialize(to),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Text(text) => text.into(),
            Written::Bytes { hex } => {
                let bytes =
                    unhex(&hex).ok_or_else(|| serde::de::Error::custom("a path is not hexadecimal"))?;
                OsString::from_vec(bytes).into()
            }
        })
    }
}

/// Lists of paths.
pub(crate) mod paths {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct One(#[serde(with = "path")] PathBuf);

    pub(crate) fn serialize<S: Serializer>(all: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|path| One(path.clone())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
        Ok(Vec::<One>::deserialize(from)?.into_iter().map(|one| one.0).collect())
    }
}

pub(crate) mod some_paths {
    use super::*;

    #[expect(clippy::ref_option, reason = "serde gives the field")]
    pub(crate) fn serialize<S: Serializer>(all: &Option<Vec<PathBuf>>, to: S) -> Result<S::Ok, S::Error> {
        paths::serialize(all.as_deref().unwrap_or_default(), to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<PathBuf>>, D::Error> {
        paths::deserialize(from).map(Some)
    }
}
