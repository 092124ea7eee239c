//! `group_vars/` and `host_vars/`: files and folders, read once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::combine;
use crate::diagnostic::{Diagnostic, Result};
use crate::ir::Vars;
use crate::vault::Vault;
use crate::yaml::{self, Kind};

/// Folder (`…/group_vars`) and name.
type Key = (PathBuf, String);

#[derive(Default)]
pub(super) struct Files {
    /// By folder (`…/group_vars`) and name.
    known: Mutex<HashMap<Key, Result<Arc<Vars>>>>,
    warnings: Mutex<Vec<Diagnostic>>,
}

impl Files {
    /// Variables of `DIR/group_vars/NAME` or `DIR/host_vars/NAME`; empty if there are none.
    pub(super) fn of(&self, folder: PathBuf, name: &str, vault: &Vault, merge: bool) -> Result<Arc<Vars>> {
        let key = (folder, name.to_owned());
        if let Some(known) = self.known.lock().get(&key) {
            return known.clone();
        }
        let mut all = Vars::new();
        let mut result = Ok(());
        for file in crate::search::vars_of(&key.0, name) {
            match self.file(&file, vault) {
                Ok(vars) => extend(&mut all, &vars, merge),
                Err(error) => result = Err(error),
            }
        }
        let result = result.map(|()| Arc::new(all));
        self.known.lock().insert(key, result.clone());
        result
    }

    /// A file that holds a mapping of variables.
    pub(super) fn file(&self, path: &Path, vault: &Vault) -> Result<Vars> {
        let loaded = yaml::load_file(path, vault)?;
        self.warnings.lock().extend(loaded.warnings);
        loaded.node.map_or_else(|| Ok(Vars::new()), |node| variables(&node, vault))
    }

    pub(super) fn take_warnings(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut *self.warnings.lock())
    }
}

/// A mapping as variables.
pub(super) fn variables(node: &yaml::Node, vault: &Vault) -> Result<Vars> {
    let entries = match &node.kind {
        Kind::Null => return Ok(Vars::new()),
        Kind::Map(entries) => entries,
        _ => {
            return Err(Diagnostic::new("a file of variables must contain a mapping (`name: value`)")
                .at(&node.origin));
        }
    };
    let mut vars = Vars::new();
    for (key, value) in entries.iter() {
        let name = match key.to_value(vault) {
            expressions::Value::Str(name) => name.text().clone(),
            other => other.python_str().unwrap_or_default().into(),
        };
        vars.insert(name, value.to_lazy_value(vault));
    }
    Ok(vars)
}

/// Puts `more` on top.
pub(super) fn extend(vars: &mut Vars, more: &Vars, merge: bool) {
    for (name, value) in more {
        let value = match vars.get(name) {
            Some(old) if merge => combine(old, value),
            _ => value.clone(),
        };
        vars.insert(name.clone(), value);
    }
}
