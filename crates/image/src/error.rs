//! What goes wrong with images, in words for people.

use std::io;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error("{0}")]
    Wrong(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn wrong(text: impl Into<String>) -> Self {
        Self::Wrong(text.into())
    }
}

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl AsRef<str>) -> Result<T>;
    /// The usual case: something about a path.
    fn at(self, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl AsRef<str>) -> Result<T> {
        self.map_err(|error| Error::Io { doing: what.as_ref().to_owned(), source: error.into() })
    }

    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|error| Error::Io { doing: path.display().to_string(), source: error.into() })
    }
}
