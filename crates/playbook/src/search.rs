//! Where files of a project are looked for.

use std::path::{Component, Path, PathBuf};

use crate::ir::Task;

/// The path without `.` and `..` (links are not followed).
pub fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() && !clean.has_root() {
                    clean.push("..");
                }
            }
            part => clean.push(part),
        }
    }
    clean
}

/// `~/x` with the home folder.
pub fn expand_home(name: &str) -> PathBuf {
    match name.strip_prefix("~").filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(rest) => {
            let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
            PathBuf::from(format!("{home}{rest}"))
        }
        None => PathBuf::from(name),
    }
}

/// Every place where `name` may be, in order: in each search folder below `kind` (`files`, `templates`, `vars`,
/// `tasks`), then beside it.
pub fn places(name: &str, kind: &str, search: &[PathBuf]) -> Vec<PathBuf> {
    let name = expand_home(name);
    if name.is_absolute() {
        return vec![normal(&name)];
    }
    let in_kind = name.components().next() == Some(Component::Normal(kind.as_ref()));
    let mut places: Vec<PathBuf> = Vec::new();
    let mut add = |path: PathBuf| {
        let path = normal(&path);
        if !places.contains(&path) {
            places.push(path);
        }
    };
    for folder in search {
        if !in_kind && !kind.is_empty() {
            add(folder.join(kind).join(&name));
        }
        add(folder.join(&name));
    }
    places
}

/// The first of the places that exists.
pub fn find(name: &str, kind: &str, search: &[PathBuf]) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    places(name, kind, search).into_iter().find(|path| path.exists())
}

/// The file that `include_tasks: name` means.
pub fn included_tasks(name: &str, task: &Task, playbook_dir: &Path) -> Option<PathBuf> {
    task_files(name, task, playbook_dir).into_iter().find(|path| path.is_file())
}

/// Where a role's files of tasks are looked for: handlers may use those of the tasks.
pub(crate) fn role_places(role: &Path, handlers: bool) -> Vec<PathBuf> {
    let handlers = handlers.then(|| role.join("handlers"));
    handlers.into_iter().chain([role.join("tasks"), role.to_owned()]).collect()
}

/// Where `include_tasks` looks, in order.
pub fn task_files(name: &str, task: &Task, playbook_dir: &Path) -> Vec<PathBuf> {
    let name = expand_home(name);
    if name.is_absolute() {
        return vec![normal(&name)];
    }
    let mut places = Vec::new();
    if let Some(role) = &task.role {
        let folders = role_places(&role.path, task.is_handler);
        places.extend(folders.iter().map(|folder| folder.join(&name)));
    }
    places.push(task.dir.join(&name));
    if task.role.is_none() {
        places.push(task.dir.join("tasks").join(&name));
    }
    places.push(playbook_dir.join(&name));
    places.iter().map(|path| normal(path)).collect()
}

/// A file of `vars_files`: in `vars/` or beside the playbook.
pub fn vars_file(name: &str, playbook_dir: &Path) -> Option<PathBuf> {
    find(name, "vars", &[playbook_dir.to_owned()]).filter(|path| path.is_file())
}

/// The files that hold variables in a folder, in the order in which they are read: sorted, folders inside
/// included, hidden files, back-ups and other extensions not.
pub fn vars_folder(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    names.sort();
    let mut files = Vec::new();
    for path in names {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        let readable =
            extension.as_deref().is_none_or(|extension| matches!(extension, "yml" | "yaml" | "json"));
        if path.is_dir() {
            if extension.is_none() {
                files.extend(vars_folder(&path));
            }
        } else if readable {
            files.push(path);
        }
    }
    files
}

/// `group_vars/NAME`: a folder, or a file with or without extension; the first that exists.
pub fn vars_of(dir: &Path, name: &str) -> Vec<PathBuf> {
    if name.is_empty() || name.contains('/') || name == ".." {
        return Vec::new();
    }
    for extension in ["", ".yml", ".yaml", ".json"] {
        let path = dir.join(format!("{name}{extension}"));
        if path.is_dir() {
            return vars_folder(&path);
        }
        if path.is_file() {
            return vec![path];
        }
    }
    Vec::new()
}
