//! File contents for hosts: named by digest, kept once for the whole run, sent when a host asks.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

/// Contents up to this size travel with the call; asking for them would cost more.
pub(crate) const INLINE: usize = 4096;

#[derive(Default)]
pub(crate) struct Contents {
    known: Mutex<HashMap<String, Source>>,
    /// Files that were read already, as long as they stay the same.
    files: Mutex<HashMap<(PathBuf, bool), (Stamp, Content)>>,
}

#[derive(Clone)]
enum Source {
    Bytes(Arc<[u8]>),
    File(PathBuf),
}

/// Undoes the vault.
pub(crate) type Opener<'a> = &'a dyn Fn(Vec<u8>) -> Result<Vec<u8>, String>;

type Stamp = (u64, Option<SystemTime>);

/// One content.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub digest: String,
    pub size: u64,
    /// The bytes, if they are few.
    pub inline: Option<Arc<[u8]>>,
}

impl Contents {
    pub(crate) fn bytes(&self, bytes: Vec<u8>) -> Content {
        let digest = blake3::hash(&bytes).to_hex().to_string();
        let bytes: Arc<[u8]> = bytes.into();
        let content = content(&digest, &bytes);
        self.known.lock().entry(digest).or_insert(Source::Bytes(bytes));
        content
    }

    /// A file of the project. `open`: undoes the vault, if the file is encrypted; `None`: as it is.
    pub(crate) fn file(&self, path: &Path, open: Option<Opener<'_>>) -> io::Result<Content> {
        let metadata = std::fs::metadata(path)?;
        let stamp = (metadata.len(), metadata.modified().ok());
        let key = (path.to_owned(), open.is_some());
        if let Some((known, content)) = self.files.lock().get(&key)
            && *known == stamp
        {
            return Ok(content.clone());
        }
        let read = std::fs::read(path)?;
        let encrypted = read.starts_with(b"$ANSIBLE_VAULT;");
        let bytes = match open {
            Some(open) if encrypted => open(read).map_err(io::Error::other)?,
            _ => read,
        };
        let content = if encrypted || bytes.len() <= INLINE {
            self.bytes(bytes)
        } else {
            let digest = blake3::hash(&bytes).to_hex().to_string();
            self.known.lock().entry(digest.clone()).or_insert_with(|| Source::File(path.to_owned()));
            content(&digest, &bytes)
        };
        self.files.lock().insert(key, (stamp, content.clone()));
        Ok(content)
    }
}

fn content(digest: &str, bytes: &[u8]) -> Content {
    let inline = (bytes.len() <= INLINE).then(|| Arc::from(bytes));
    Content { digest: digest.to_owned(), size: bytes.len() as u64, inline }
}

impl link::Blobs for Contents {
    fn get(&self, digest: &str) -> Option<Arc<[u8]>> {
        let source = self.known.lock().get(digest).cloned()?;
        match source {
            Source::Bytes(bytes) => Some(bytes),
            // A file that has changed since is not what was promised.
            Source::File(path) => std::fs::read(path)
                .ok()
                .filter(|bytes| blake3::hash(bytes).to_hex().as_str() == digest)
                .map(Into::into),
        }
    }
}
