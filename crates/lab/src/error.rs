//! What can go wrong in the lab, in words for its user.

use std::io;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("host {name} could not be made: {reason}")]
    Birth { name: String, reason: String },
    #[error("there is no lab host {0}")]
    NoSuchHost(String),
    #[error("a lab host {0} is already there")]
    Exists(String),
    #[error(
        "{0:?} cannot be the name of a lab host or pool: use letters, digits and '-', 1 to 40 of them, beginning with a letter or digit"
    )]
    BadName(String),
    #[error("{0}")]
    Impossible(String),
}

pub type Result<T> = std::result::Result<T, Error>;

/// Adds what was being done to an error of the operating system.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T>;

    fn doing_at(self, verb: &str, path: &Path) -> Result<T>
    where
        Self: Sized,
    {
        self.doing(format!("{verb} {}", path.display()))
    }
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|error| Error::Io { what: what.into(), source: error.into() })
    }
}
