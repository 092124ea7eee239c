//! What can go wrong with a ledger.

use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the ledger {} was written by a newer Theseus (its version is {found}, this program knows {known}): use that one", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("the ledger {} is not a ledger of Theseus", path.display())]
    Foreign { path: PathBuf },
    #[error("the ledger {}: {source}", path.display())]
    Place { path: PathBuf, source: std::io::Error },
    #[error("run {0} is already in the ledger")]
    KnownRun(String),
    #[error("run {0} is not in the ledger")]
    UnknownRun(String),
    #[error("run {0} has already ended")]
    EndedRun(String),
    #[error(
        "no home directory, and neither THESEUS_STATE nor XDG_STATE_HOME is set: where shall the ledger be?"
    )]
    NoPlace,
    #[error("the ledger: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the ledger holds what cannot be read: {0}")]
    Content(#[from] serde_json::Error),
    #[error("entry {number} of the journal of {subject} is not what was written: its checksum is wrong")]
    BrokenJournal { subject: String, number: u64 },
}
