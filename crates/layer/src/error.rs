//! What can go wrong, always with the path.

use std::io;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not {doing} {}: {}", path.display(), reason(source))]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("another run is changing this host: {holder}")]
    Locked { holder: String },
    #[error("{}: refused to follow the symbolic link, which user {owner} controls, to a place of another owner", path.display())]
    UnsafeLink { path: PathBuf, owner: u32 },
    #[error("the record in {} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} has not enough space: {needed} bytes are needed, {free} are free", path.display())]
    Full { path: PathBuf, needed: u64, free: u64 },
    #[error("the content {} is secret", path.display())]
    Secret { path: PathBuf },
    #[error("there is no generation {generation} on this host, or its record was pruned")]
    NoGeneration { generation: u64 },
}

impl Error {
    /// For matching on what the kernel said.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
    /// The same error, naming the path that it is about.
    pub(crate) fn with_path(self, path: &Path) -> Self {
        match self {
            Self::Io { doing, source, .. } => Self::Io { doing, path: path.to_owned(), source },
            other => other,
        }
    }
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// The kernel's words without Rust's `(os error 2)`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// `.at("write", path)`: name the path in an I/O error.
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|e| Error::Io { doing, path: path.to_owned(), source: e.into() })
    }
}
