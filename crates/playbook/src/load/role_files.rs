//! Where roles and their files are.

use std::path::{Path, PathBuf};

use super::context::Around;
use crate::search::normal;
use crate::settings::Settings;

/// A role that was found.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// `namespace.collection`.
    pub(super) collection: Option<String>,
}

/// The folder of a role, or the places where it was looked for.
pub(super) fn find(config: &Settings, name: &str, around: &Around) -> Result<Place, Vec<String>> {
    let mut looked = Vec::new();
    if let Some(place) = in_collections(config, name, around, &mut looked) {
        return Ok(place);
    }
    let mut bases = vec![around.playbook_dir.join("roles")];
    bases.extend(config.roles_path.iter().cloned());
    bases.extend(around.role.iter().filter_map(|role| role.path.parent().map(Path::to_owned)));
    bases.push(around.playbook_dir.to_path_buf());
    for base in bases {
        let path = normal(&base.join(name));
        if path.is_dir() {
            return Ok(Place { name: last_part(name), path, collection: collection_of(&base) });
        }
        looked.push(base.display().to_string());
    }
    looked.dedup();
    Err(looked)
}

fn in_collections(config: &Settings, name: &str, around: &Around, looked: &mut Vec<String>) -> Option<Place> {
    let mut candidates: Vec<(String, String)> = Vec::new();
    if let Some((collection, role)) = split_name(name) {
        candidates.push((collection, role));
    } else if !name.contains('/') {
        let own = around.role.as_ref().and_then(|role| role.collection.as_deref().map(str::to_owned));
        let listed = around.keywords.collections.iter().cloned();
        candidates.extend(own.into_iter().chain(listed).map(|collection| (collection, name.to_owned())));
    }
    for (wanted, role) in candidates {
        for root in roots(config, &around.playbook_dir) {
            let path = root.join(wanted.replace('.', "/")).join("roles").join(role.replace('.', "/"));
            if path.is_dir() {
                return Some(Place { name: format!("{wanted}.{role}"), path, collection: Some(wanted) });
            }
            looked.push(path.display().to_string());
        }
    }
    None
}

/// `namespace.collection.role` as `(namespace.collection, role)`.
fn split_name(name: &str) -> Option<(String, String)> {
    if name.contains('/') {
        return None;
    }
    let mut parts = name.splitn(3, '.');
    let (namespace, collection, role) = (parts.next()?, parts.next()?, parts.next()?);
    Some((format!("{namespace}.{collection}"), role.to_owned()))
}

/// The folder of a collection.
pub(super) fn collection(config: &Settings, playbook_dir: &Path, name: &str) -> Option<PathBuf> {
    roots(config, playbook_dir).map(|root| root.join(name.replace('.', "/"))).find(|path| path.is_dir())
}

/// Whether a collection that is there has a module or action of this name, or says where it went.
pub(super) fn has_module(config: &Settings, playbook_dir: &Path, collection: &str, name: &str) -> bool {
    let Some(folder) = self::collection(config, playbook_dir, collection) else { return false };
    let stands_in = |kind: &str| {
        let files = std::fs::read_dir(folder.join("plugins").join(kind)).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|path| path.file_stem().is_some_and(|stem| stem == name))
    };
    let moved = || {
        let text = std::fs::read_to_string(folder.join("meta/runtime.yml")).unwrap_or_default();
        text.lines().any(|line| line.trim().strip_suffix(':') == Some(name))
    };
    stands_in("modules") || stands_in("action") || moved()
}

fn roots<'a>(config: &'a Settings, playbook_dir: &Path) -> impl Iterator<Item = PathBuf> + use<'a> {
    let beside = playbook_dir.join("collections");
    std::iter::once(beside).chain(config.collections_path.iter().cloned()).map(|path| {
        if path.ends_with("ansible_collections") { path } else { path.join("ansible_collections") }
    })
}

/// The collection that a folder `…/ansible_collections/ns/coll/roles` belongs to.
fn collection_of(roles: &Path) -> Option<String> {
    let collection = roles.parent()?;
    let namespace = collection.parent()?;
    (namespace.parent()?.file_name()? == "ansible_collections").then(|| {
        let part = |path: &Path| {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        format!("{}.{}", part(namespace), part(collection))
    })
}

fn last_part(name: &str) -> String {
    name.trim_end_matches('/').rsplit('/').next().unwrap_or(name).to_owned()
}

/// A file as people say it: `tasks/main.yml`.
pub(super) fn shown(role: &Path, file: &Path) -> String {
    file.strip_prefix(role).unwrap_or(file).display().to_string()
}

/// The files of a part of a role: `main.yml`, `.yaml`, `.json` or without extension; where folders are allowed,
/// every file of the folder `main`, in order.
pub(super) fn files(dir: &Path, name: &str, folders: bool) -> Vec<PathBuf> {
    let with = ["yml", "yaml", "json"].map(|extension| format!("{name}.{extension}"));
    let has_extension = Path::new(name).extension().is_some();
    let mut candidates: Vec<String> = with.into_iter().collect();
    if has_extension {
        candidates.insert(0, name.to_owned());
    } else {
        candidates.push(name.to_owned());
    }
    for candidate in candidates {
        let path = normal(&dir.join(candidate));
        if path.is_file() {
            return vec![path];
        }
        if folders && path.is_dir() {
            return crate::search::vars_folder(&path);
        }
    }
    Vec::new()
}
