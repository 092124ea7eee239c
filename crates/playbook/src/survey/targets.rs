//! What a path on the command line means: a playbook, a role, or a folder with some of both.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Result};

#[derive(Clone, Debug, Default)]
pub struct Targets {
    pub playbooks: Vec<PathBuf>,
    pub roles: Vec<PathBuf>,
}

/// Folders whose content is no part of the project, or not in the form of playbooks.
const SKIPPED: &[&str] = &[
    "node_modules",
    "venv",
    "files",
    "templates",
    "group_vars",
    "host_vars",
    "vars",
    "defaults",
    "tasks",
    "handlers",
    "meta",
    "library",
    "ansible_collections",
    "changelogs",
];

/// Deeper folders are not looked into.
const DEPTH: usize = 12;

/// Files are playbooks; in folders, roles and playbooks are looked for.
pub fn targets(paths: &[PathBuf]) -> Result<Targets> {
    let mut targets = Targets::default();
    for path in paths {
        let whole = std::path::absolute(path).map(|path| crate::search::normal(&path));
        let whole = whole.unwrap_or_else(|_| path.clone());
        if whole.is_dir() {
            let before = targets.playbooks.len() + targets.roles.len();
            folder(&whole, DEPTH, &mut targets);
            if targets.playbooks.len() + targets.roles.len() == before {
                return Err(Diagnostic::new(format!("there is no playbook and no role in {}", path.display()))
                    .hint("a playbook is a YAML file with plays (`- hosts: …`), a role a folder with `tasks/main.yml`"));
            }
        } else if whole.exists() {
            targets.playbooks.push(whole);
        } else {
            return Err(Diagnostic::new(format!("the playbook: {} could not be found", path.display())));
        }
    }
    Ok(targets)
}

fn folder(dir: &Path, depth: usize, targets: &mut Targets) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    if is_role(dir) {
        targets.roles.push(dir.to_owned());
    }
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if depth > 0 && !SKIPPED.contains(&&*name) {
                folder(&path, depth - 1, targets);
            }
        } else if matches!(path.extension().and_then(|e| e.to_str()), Some("yml" | "yaml"))
            && is_playbook(&path)
        {
            targets.playbooks.push(path);
        }
    }
}

fn is_role(dir: &Path) -> bool {
    let main = |part: &str| ["main.yml", "main.yaml"].iter().any(|name| dir.join(part).join(name).is_file());
    ["tasks", "handlers", "meta", "defaults", "vars"].into_iter().any(main)
        && (main("tasks") || main("meta") || dir.parent().is_some_and(|parent| parent.ends_with("roles")))
}

/// By its looks: a broken one is to be found, too.
fn is_playbook(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    text.lines().any(|line| {
        let key = line.strip_prefix("- ").or_else(|| line.strip_prefix("  ")).unwrap_or_default();
        let key = key.trim_start_matches("ansible.builtin.");
        key.starts_with("hosts:")
            || line.starts_with("- import_playbook:")
            || (key.starts_with("import_playbook:"))
    }) && text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with(['#', '%']) && line.trim() != "---")
        .is_some_and(|line| line.starts_with('-') || line.starts_with("  -"))
}
