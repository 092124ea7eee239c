//! From a module's name to its file: collections by their folders, ansible-core's own, names that moved.

use std::path::Path;

use super::{Foreign, Found, Source, python_file};

/// Names lead to other names; not for ever.
const MOVES: usize = 8;

/// Action plugins of ansible-core beside which the module does all of the work by itself.
const THIN: &[&str] = &["dnf", "package", "service", "gather_facts"];

/// With its full name. `actions`: code for the controller goes before modules of the same name.
pub(super) fn find(
    all: &Foreign,
    name: &str,
    collections: &[String],
    actions: bool,
) -> Option<(String, Found)> {
    let mut name = name.to_owned();
    for _ in 0..MOVES {
        let candidates = candidates(&name, collections);
        if let Some(found) =
            candidates.iter().find_map(|name| Some((name.clone(), exactly(all, name, actions)?)))
        {
            return Some(found);
        }
        name = candidates.iter().find_map(|name| moved(all, name))?;
    }
    None
}

/// Full names under which it may be known, the likeliest first.
pub(super) fn candidates(name: &str, collections: &[String]) -> Vec<String> {
    let short = playbook::load::short_name(name);
    if short.contains('.') {
        return vec![name.to_owned()];
    }
    let mut all = Vec::new();
    if short == name {
        all.extend(collections.iter().map(|collection| format!("{collection}.{short}")));
    }
    for known in playbook::load::full_names(short) {
        all.push(if known.contains('.') { known } else { format!("ansible.builtin.{known}") });
    }
    all
}

fn exactly(all: &Foreign, name: &str, actions: bool) -> Option<Found> {
    let (collection, module) = split(name)?;
    if matches!(collection.as_str(), "ansible.builtin" | "ansible.legacy") {
        let core = all.core()?;
        if actions
            && !THIN.contains(&module.as_str())
            && python_file(&core.package.join("plugins/action"), &module).is_some()
        {
            return Some(Found::Action(name.to_owned()));
        }
        let path = python_file(&core.package.join("modules"), &module)?;
        return Some(Found::Module(Source { path, entry: format!("ansible.modules.{module}") }));
    }
    let folder = collection.replace('.', "/");
    all.collection_roots().iter().map(|root| root.join(&folder).join("plugins")).find_map(|plugins| {
        if actions && python_file(&plugins.join("action"), &module).is_some() {
            return Some(Found::Action(name.to_owned()));
        }
        let modules = plugins.join("modules");
        let path = python_file(&modules, &module).or_else(|| other_language(&modules, &module))?;
        let entry = format!("ansible_collections.{collection}.plugins.modules.{module}");
        Some(Found::Module(Source { path, entry }))
    })
}

/// A module that is no Python file.
fn other_language(folder: &Path, module: &str) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries
        .filter(|path| path.is_file() && path.file_stem().is_some_and(|stem| *stem == *module))
        .find(|path| path.extension().is_none_or(|e| e != "ps1" && e != "yml" && e != "yaml" && e != "md"))
}

/// `a.b.c.d` as the collection `a.b` and the module `c.d`.
pub(super) fn split(name: &str) -> Option<(String, String)> {
    let mut parts = name.splitn(3, '.');
    let (namespace, collection, module) = (parts.next()?, parts.next()?, parts.next()?);
    Some((format!("{namespace}.{collection}"), module.to_owned()))
}

/// Where a collection says that a module went.
fn moved(all: &Foreign, name: &str) -> Option<String> {
    let (collection, module) = split(name)?;
    redirect(&runtime(all, &collection)?, &module)
}

/// What a collection, or ansible-core, says of its plugins.
pub(super) fn runtime(all: &Foreign, collection: &str) -> Option<String> {
    let files = if collection == "ansible.builtin" {
        vec![all.core()?.package.join("config/ansible_builtin_runtime.yml")]
    } else {
        let folder = collection.replace('.', "/");
        all.collection_roots().iter().map(|root| root.join(&folder).join("meta/runtime.yml")).collect()
    };
    files.iter().find_map(|file| std::fs::read_to_string(file).ok())
}

/// `plugin_routing: modules: NAME: redirect:` of a `runtime.yml`; read by its indentation, because some are long.
fn redirect(text: &str, module: &str) -> Option<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut inside: Vec<(usize, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        let depth = indent(line);
        while inside.last().is_some_and(|(outer, _)| *outer >= depth) {
            inside.pop();
        }
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        let path: Vec<&str> = inside.iter().map(|(_, key)| key.as_str()).collect();
        if key == "redirect" && path == ["plugin_routing", "modules", module] {
            return Some(value.trim().trim_matches(|c| c == '"' || c == '\'').to_owned());
        }
        inside.push((depth, key.trim_matches(|c| c == '"' || c == '\'').to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::redirect;

    #[test]
    fn a_moved_module_is_followed_by_its_section_only() {
        let text = "---\nplugin_routing:\n  action:\n    old:\n      redirect: a.b.wrong\n  modules:\n    # words\n    old:\n      \
                    redirect: a.b.new\n    gone:\n      tombstone:\n        removal_version: 1.0\n";
        assert_eq!(redirect(text, "old"), Some("a.b.new".to_owned()));
        assert_eq!(redirect(text, "gone"), None);
        assert_eq!(redirect("", "old"), None);
    }
}
