//! Putting contents into calls, for the actions that send files.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use catalog::{Json, Map};
use expressions::Error;

use super::Action;
use crate::contents::Content;

impl Action<'_> {
    /// A file of the project, looked for where Ansible looks.
    pub(super) fn find(&self, name: &str, kind: &str) -> Result<PathBuf, Error> {
        playbook::search::find(name, kind, &self.task.search).ok_or_else(|| {
            let places = playbook::search::places(name, kind, &self.task.search);
            let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
            Error::new(format!("Could not find or access '{name}'. Searched in: {}", places.join(", ")))
                .at(&self.task.origin)
        })
    }

    /// The content of a file of the project; opened, if it is encrypted and `decrypt` holds.
    pub(super) fn file_content(&self, path: &Path, decrypt: bool) -> Result<Content, Error> {
        let vault = &self.walker.run.vault;
        let shown = path.display();
        let open = |bytes: Vec<u8>| -> Result<Vec<u8>, String> {
            if vault.is_empty() {
                // In Ansible's words.
                return Err(format!("A vault password or secret must be specified to decrypt {shown}"));
            }
            let text =
                String::from_utf8(bytes).map_err(|_| format!("{shown}: the encrypted file is damaged"))?;
            vault.decrypt(&text).map(|open| open.to_vec()).map_err(|e| format!("{shown}: {e}"))
        };
        let content = self.walker.run.blobs.file(path, decrypt.then_some(&open));
        content.map_err(|e| match e.kind() {
            // What `open` says names the file itself.
            std::io::ErrorKind::Other => Error::new(e.to_string()),
            _ => Error::new(format!("{shown}: {e}")),
        })
    }

    pub(super) fn bytes_content(&self, bytes: Vec<u8>) -> Content {
        self.walker.run.blobs.bytes(bytes)
    }
}

/// The keys by which a host finds a content.
pub(crate) fn put(args: &mut Map, content: &Content) {
    args.insert("_content".to_owned(), content.digest.clone().into());
    args.insert("_size".to_owned(), content.size.into());
    if let Some(bytes) = &content.inline {
        args.insert("_inline".to_owned(), base64::engine::general_purpose::STANDARD.encode(bytes).into());
    }
}

/// One entry of a tree that is copied.
pub(super) fn entry(path: &str, kind: &str, content: Option<&Content>, more: &[(&str, Json)]) -> Json {
    let mut entry = Map::new();
    entry.insert("path".to_owned(), path.into());
    entry.insert("kind".to_owned(), kind.into());
    if let Some(content) = content {
        entry.insert("digest".to_owned(), content.digest.clone().into());
        entry.insert("size".to_owned(), content.size.into());
        if let Some(bytes) = &content.inline {
            entry.insert("inline".to_owned(), base64::engine::general_purpose::STANDARD.encode(bytes).into());
        }
    }
    for (name, value) in more {
        entry.insert((*name).to_owned(), value.clone());
    }
    Json::Object(entry)
}
