//! The log's chain: each entry's hash covers the entry before it.

use std::path::{Path, PathBuf};

use crate::Entry;

/// What comes before the first entry.
pub(crate) const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The entry with its hash filled in.
pub(crate) fn link(mut entry: Entry) -> Entry {
    entry.hash = hash(&entry);
    entry
}

/// Covers all fields but the hash itself; lengths keep fields apart.
pub(crate) fn hash(entry: &Entry) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"theseus ledger entry 1\n");
    hasher.update(&entry.number.to_le_bytes());
    for field in [&entry.previous, &entry.at, &entry.kind, &entry.subject, &entry.body] {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// One digest for files with their names, as they are now; empty for none. What cannot be read counts as absent.
#[must_use]
pub fn files_digest(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let content = std::fs::read(file).map(|bytes| *blake3::hash(&bytes).as_bytes()).unwrap_or_default();
        let name = file.file_name().map(Path::new).unwrap_or(file).as_os_str().as_encoded_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(&content);
    }
    hasher.finalize().to_hex().to_string()
}
