//! Reading for surveys: whatever can be read is, mistakes are collected beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::context::Around;
use super::play::Import;
use super::reader::Reader;
use super::{LoadOptions, Loaded, Project};
use crate::diagnostic::Diagnostic;
use crate::ir::{Play, Role};
use crate::yaml;

impl Project {
    /// Nothing yet; reading into it never fails: see [`Self::mistakes`].
    pub fn partly(options: LoadOptions) -> Self {
        let mut project = Self::of(Vec::new(), options);
        project.shared.collected = Some(Mutex::default());
        project
    }

    /// The mistakes since the last call.
    pub fn mistakes(&self) -> Vec<Diagnostic> {
        self.shared.collected.as_ref().map(|all| std::mem::take(&mut *all.lock())).unwrap_or_default()
    }

    /// The plays of a playbook, with the modules in them that nobody knows and what is doubtful.
    pub fn read_playbook(&self, file: &Path) -> (Vec<Arc<Play>>, Loaded) {
        let mut reader = Reader::new(&self.shared);
        let plays = reader.playbook(file, &Import::default());
        (plays, reader.finish(Loaded::default()).unwrap_or_default())
    }

    /// A play that does nothing but use a role.
    pub fn read_role(&self, role: &Path) -> (Vec<Arc<Play>>, Loaded) {
        let name = role.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = role.with_file_name(format!("({name})"));
        let quoted = serde_json::Value::String(role.display().to_string());
        let text = format!("- hosts: all\n  roles: [{quoted}]\n");
        let node = yaml::load_str(&text, &*file).ok().and_then(|loaded| loaded.node);
        self.shared.files.lock().insert(file.clone(), node.map(Arc::new));
        self.read_playbook(&file)
    }

    /// A file of a role that is used by nothing that is known before a run.
    pub fn read_leftover(&self, file: &Path, role: &Arc<Role>, play: &Play, handlers: bool) -> Loaded {
        let mut reader = Reader::new(&self.shared);
        let mut around = Around::of_play(play);
        around.enter_role(role.clone());
        around.enter_file(file);
        around.handlers = handlers;
        let nodes = match reader.file(file, None) {
            Some(node) if node.as_seq().is_some() => reader.task_list(&node, &around),
            _ => Vec::new(),
        };
        reader.finish(Loaded { nodes, ..Loaded::default() }).unwrap_or_default()
    }

    /// The content of a YAML file, read once.
    pub fn read_file(&self, file: &Path) -> Option<Arc<yaml::Node>> {
        let mut reader = Reader::new(&self.shared);
        let node = reader.file(file, None);
        let _ = reader.finish(Loaded::default());
        node
    }

    /// Whether the file was read already.
    pub fn has_read(&self, file: &Path) -> bool {
        self.shared.files.lock().contains_key(file)
    }

    /// Every YAML file that was read.
    pub fn files_read(&self) -> Vec<PathBuf> {
        self.shared.files.lock().keys().cloned().collect()
    }
}
