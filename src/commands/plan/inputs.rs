//! What a plan was made from: the files of the project, by their digests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::change::from_here;
use crate::arguments::Playing;
use crate::setup::{Base, Problem};

/// Folders beside a playbook or an inventory in which its parts lie.
const FOLDERS: &[&str] = &[
    "roles",
    "group_vars",
    "host_vars",
    "tasks",
    "handlers",
    "vars",
    "defaults",
    "templates",
    "files",
    "library",
    "module_utils",
    "filter_plugins",
    "lookup_plugins",
    "test_plugins",
    "action_plugins",
    "playbooks",
];

/// The digest of every file, by its path; variables of the command line are one of them.
pub(crate) fn digests(playing: &Playing, base: &Base) -> Result<BTreeMap<String, String>, Problem> {
    let mut files = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for name in ["ansible.cfg", "theseus.yml"] {
        files.extend(Some(PathBuf::from(name)).filter(|path| path.is_file()));
    }
    let inventories = base.inventory_sources(&playing.hosts).into_iter().map(PathBuf::from);
    for path in playing.playbooks.iter().cloned().chain(inventories) {
        let dir = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new("")) };
        for folder in FOLDERS {
            walk(&dir.join(folder), &mut files, &mut seen);
        }
        walk(&path, &mut files, &mut seen);
    }
    for given in playing.given.extra_vars.iter().filter_map(|text| text.strip_prefix('@')) {
        files.insert(PathBuf::from(given));
    }
    let mut all = BTreeMap::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        all.insert(from_here(&file).display().to_string(), layer::Digest::of(&bytes).to_string());
    }
    // Only their digest: they may be secret.
    let given = playing.given.extra_vars.join("\0");
    all.insert("--extra-vars".to_owned(), layer::Digest::of(given.as_bytes()).to_string());
    Ok(all)
}

/// A file, or all below a folder but what is hidden.
fn walk(path: &Path, files: &mut BTreeSet<PathBuf>, seen: &mut BTreeSet<PathBuf>) {
    if path.is_file() {
        files.insert(path.to_owned());
        return;
    }
    // Links may lead in circles.
    let Ok(real) = std::fs::canonicalize(path) else { return };
    if !real.is_dir() || !seen.insert(real) {
        return;
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with('.') {
            walk(&entry.path(), files, seen);
        }
    }
}

/// The names of what differs.
pub(crate) fn differing<'a>(
    a: &'a BTreeMap<String, String>,
    b: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).map(String::as_str).collect()
}
