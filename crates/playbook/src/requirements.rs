//! `requirements.yml`: the roles and collections that a project takes from elsewhere, and which are not there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::Origin;

use crate::diagnostic::Diagnostic;
use crate::load::collection_folder;
use crate::settings::Settings;
use crate::vault::Vault;
use crate::yaml::{self, Node};

/// Where projects keep it, seen from the folder of a playbook.
const PLACES: &[&str] = &[
    "requirements.yml",
    "requirements.yaml",
    "roles/requirements.yml",
    "roles/requirements.yaml",
    "collections/requirements.yml",
    "collections/requirements.yaml",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Role,
    Collection,
}

/// One thing that the file asks for.
#[derive(Clone, Debug)]
pub struct Requirement {
    pub kind: Kind,
    /// The name under which playbooks use it.
    pub name: String,
    pub origin: Arc<Origin>,
    pub file: PathBuf,
}

impl Requirement {
    /// The command that installs everything of its file.
    pub fn command(&self) -> String {
        let kind = if self.kind == Kind::Role { "role" } else { "collection" };
        format!("ansible-galaxy {kind} install -r {}", self.file.display())
    }

    fn is_there(&self, settings: &Settings, dir: &Path) -> bool {
        match self.kind {
            Kind::Collection => collection_folder(settings, dir, &self.name).is_some(),
            Kind::Role => {
                let beside = [dir.join("roles"), dir.to_owned()];
                beside.iter().chain(&settings.roles_path).any(|base| base.join(&self.name).is_dir())
            }
        }
    }
}

/// What the files beside a playbook ask for.
pub fn beside(dir: &Path) -> Vec<Requirement> {
    PLACES.iter().flat_map(|place| read(&dir.join(place))).collect()
}

/// What one file asks for; nothing if it cannot be read (it is no part of a run).
pub fn read(file: &Path) -> Vec<Requirement> {
    if !file.is_file() {
        return Vec::new();
    }
    let Ok(Some(node)) = yaml::load_file(file, &Vault::new()).map(|loaded| loaded.node) else {
        return Vec::new();
    };
    let list = |name: &str| node.get(name).and_then(Node::as_seq).unwrap_or_default();
    // The old form is a list of roles.
    let roles = node.as_seq().unwrap_or_else(|| list("roles"));
    let one = |kind, node: &Node| {
        let name = if kind == Kind::Role { role_name(node) } else { collection_name(node) }?;
        Some(Requirement { kind, name, origin: node.origin.clone(), file: file.to_owned() })
    };
    let roles = roles.iter().filter_map(|node| one(Kind::Role, node));
    roles.chain(list("collections").iter().filter_map(|node| one(Kind::Collection, node))).collect()
}

/// `name:`, or what `src:` ends with.
fn role_name(node: &Node) -> Option<String> {
    let text = |name: &str| node.get(name).and_then(Node::as_str);
    if let Some(name) = text("name") {
        return Some(name.to_owned());
    }
    let source = node.as_str().or_else(|| text("src")).or_else(|| text("role"))?;
    let source = source.split(',').next().unwrap_or(source);
    if !source.contains("://") && !source.contains('@') {
        return Some(source.to_owned());
    }
    let last = source.trim_end_matches('/').rsplit('/').next()?;
    Some(last.trim_end_matches(".git").trim_end_matches(".tar.gz").to_owned())
}

fn collection_name(node: &Node) -> Option<String> {
    let name = node.as_str().or_else(|| node.get("name").and_then(Node::as_str))?;
    let name = name.split(':').next().unwrap_or(name);
    let plain = name.split('.').count() == 2 && !name.contains(['/', '@', '~']);
    plain.then(|| name.to_owned())
}

/// What is asked for beside the playbook and is not installed, one warning each.
pub fn missing(settings: &Settings, dir: &Path) -> Vec<Diagnostic> {
    let all = beside(dir);
    let missing = all.iter().filter(|requirement| !requirement.is_there(settings, dir));
    missing
        .map(|requirement| {
            let kind = if requirement.kind == Kind::Role { "role" } else { "collection" };
            Diagnostic::warning(format!("the {kind} `{}` is required but not installed", requirement.name))
                .at(&requirement.origin)
                .rule("missing-requirement")
                .hint(format!("install it with `{}`", requirement.command()))
        })
        .collect()
}

/// What to do about a role or a collection that was not found.
pub fn advice(kind: Kind, name: &str, dir: &Path) -> String {
    let all = beside(dir);
    if let Some(listed) = all.iter().find(|listed| listed.kind == kind && listed.name == name) {
        return format!("{} lists it: install it with `{}`", listed.file.display(), listed.command());
    }
    match kind {
        Kind::Role => {
            format!("install it with `ansible-galaxy role install {name}`, if it is one of Galaxy's")
        }
        Kind::Collection => format!("install it with `ansible-galaxy collection install {name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::folder::folder;

    #[test]
    fn names_of_roles_and_collections() {
        let dir = folder(
            "=== requirements.yml\nroles:\n  - geerlingguy.docker\n  - src: https://example.org/x/role-a.git\n  \
             - {name: b, src: c}\ncollections:\n  - community.docker:1.2\n  - name: ansible.posix\n  \
             - name: git@example.org:x/y\n=== roles/b/tasks/main.yml\n",
        );
        let names: Vec<(bool, String)> =
            beside(&dir.0).into_iter().map(|one| (one.kind == Kind::Role, one.name)).collect();
        let wanted = [
            (true, "geerlingguy.docker"),
            (true, "role-a"),
            (true, "b"),
            (false, "community.docker"),
            (false, "ansible.posix"),
        ];
        assert_eq!(names, wanted.map(|(role, name)| (role, name.to_owned())));
        let settings =
            Settings { roles_path: Vec::new(), collections_path: Vec::new(), ..Settings::default() };
        let missing = missing(&settings, &dir.0);
        assert_eq!(missing.len(), 4, "{missing:?}");
        assert!(missing[0].hint.as_ref().unwrap().contains("ansible-galaxy role install -r"));
    }
}
