//! Python of the project's own: modules in `library/`, their `module_utils/`, and plugins. Only found here, not run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::settings::Settings;

/// What is no module although it lies in `library/`.
const NO_MODULES: &[&str] = &[
    "bak", "cfg", "ini", "json", "md", "orig", "pyc", "pyo", "retry", "rst", "swp", "toml", "txt", "yaml",
    "yml",
];

/// The folders of playbooks and roles that were read so far, and what lies in them.
#[derive(Default)]
pub struct Plugins {
    library: Vec<PathBuf>,
    utils: Vec<PathBuf>,
    actions: Vec<PathBuf>,
    filters: Vec<PathBuf>,
    tests: Vec<PathBuf>,
    lookups: Vec<PathBuf>,
    collections: Vec<PathBuf>,
    bases: Mutex<Vec<PathBuf>>,
    listed: Mutex<HashMap<PathBuf, Arc<HashMap<String, PathBuf>>>>,
}

impl Plugins {
    pub fn new(config: &Settings) -> Self {
        Self {
            library: config.library.iter().flat_map(|folder| with_inner(folder)).collect(),
            utils: config.module_utils.clone(),
            actions: config.action_plugins.clone(),
            filters: config.filter_plugins.clone(),
            tests: config.test_plugins.clone(),
            lookups: config.lookup_plugins.clone(),
            collections: config.collections_path.clone(),
            ..Self::default()
        }
    }

    /// A playbook or a role is read: what lies beside it counts from now on.
    pub fn enter(&self, base: &Path) {
        let mut bases = self.bases.lock();
        if !bases.iter().any(|known| known == base) {
            bases.push(base.to_owned());
        }
    }

    /// The project's own module of this short name.
    pub fn module(&self, name: &str) -> Option<PathBuf> {
        self.named(name, "library", &self.library)
    }

    /// The project's own action plugin of this short name.
    pub fn action(&self, name: &str) -> Option<PathBuf> {
        self.named(name, "action_plugins", &self.actions)
    }

    /// Where shared code of modules (`ansible.module_utils.x`) may be, nearest first.
    pub fn module_utils(&self) -> Vec<PathBuf> {
        self.folders("module_utils", &self.utils)
    }

    /// A file of filter plugins whose text names this filter.
    pub fn filter(&self, name: &str) -> Option<PathBuf> {
        self.naming(name, "filter_plugins", &self.filters)
    }

    /// The same for tests.
    pub fn test(&self, name: &str) -> Option<PathBuf> {
        self.naming(name, "test_plugins", &self.tests)
    }

    /// The project's own lookup plugin of this name.
    pub fn lookup(&self, name: &str) -> Option<PathBuf> {
        self.named(name, "lookup_plugins", &self.lookups)
    }

    /// The folders of playbooks and roles beside which plugins may be.
    pub fn bases(&self) -> Vec<PathBuf> {
        self.bases.lock().clone()
    }

    fn naming(&self, name: &str, kind: &str, configured: &[PathBuf]) -> Option<PathBuf> {
        let quoted = [format!("'{name}'"), format!("\"{name}\""), format!("def {name}(")];
        let folders = self.folders(kind, configured);
        let files = folders.iter().flat_map(|folder| self.list(folder).values().cloned().collect::<Vec<_>>());
        let holds = |file: &PathBuf| {
            std::fs::read_to_string(file).is_ok_and(|text| quoted.iter().any(|name| text.contains(name)))
        };
        files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "py")).find(holds)
    }

    /// Folders that hold `ansible_collections`, that of the playbook first.
    pub fn collection_roots(&self) -> Vec<PathBuf> {
        let beside = self.bases.lock().iter().map(|base| base.join("collections")).collect::<Vec<_>>();
        beside
            .into_iter()
            .chain(self.collections.iter().cloned())
            .map(
                |path| {
                    if path.ends_with("ansible_collections") {
                        path
                    } else {
                        path.join("ansible_collections")
                    }
                },
            )
            .filter(|path| path.is_dir())
            .collect()
    }

    fn named(&self, name: &str, kind: &str, configured: &[PathBuf]) -> Option<PathBuf> {
        self.folders(kind, configured).iter().find_map(|folder| self.list(folder).get(name).cloned())
    }

    fn folders(&self, kind: &str, configured: &[PathBuf]) -> Vec<PathBuf> {
        let beside: Vec<PathBuf> = self.bases.lock().iter().map(|base| base.join(kind)).collect();
        beside.into_iter().chain(configured.iter().cloned()).collect()
    }

    /// The files of a folder by their names without extension; read once.
    fn list(&self, folder: &Path) -> Arc<HashMap<String, PathBuf>> {
        if let Some(known) = self.listed.lock().get(folder) {
            return known.clone();
        }
        let mut all = HashMap::new();
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        paths.sort();
        for path in paths.into_iter().filter(|path| path.is_file()) {
            let extension = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
            let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else {
                continue;
            };
            if NO_MODULES.contains(&extension.as_str()) || extension.ends_with('~') || stem.starts_with("__")
            {
                continue;
            }
            all.entry(stem).or_insert(path);
        }
        let all = Arc::new(all);
        self.listed.lock().insert(folder.to_owned(), all.clone());
        all
    }
}

/// A configured folder and those in it: modules may be sorted into groups.
fn with_inner(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    let inner = |of: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(of).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|e| e.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    for group in inner(folder) {
        all.push(group.clone());
        all.extend(inner(&group));
    }
    all
}
