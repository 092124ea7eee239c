//! What the package database of a tree says: dpkg's.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::error::Result;
use crate::tree::{Kind, Tree};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub architecture: String,
    pub source: String,
    pub maintainer: String,
}

/// What a paragraph of the database says, in one line each.
pub(crate) fn fields(paragraph: &str) -> HashMap<&str, &str> {
    let lines = paragraph.lines().filter(|line| !line.starts_with(' '));
    lines.filter_map(|line| line.split_once(": ")).collect()
}

/// Installed packages, by name.
pub(crate) fn installed(tree: &Tree) -> Vec<Package> {
    let mut texts: Vec<String> = tree.text("var/lib/dpkg/status").into_iter().collect();
    // Images without a package manager have a file each.
    for path in tree.below(b"var/lib/dpkg/status.d") {
        let path = String::from_utf8_lossy(&path).into_owned();
        if !path.ends_with(".md5sums") {
            texts.extend(tree.text(&path));
        }
    }
    let mut found = BTreeMap::new();
    for text in &texts {
        for paragraph in text.split("\n\n") {
            let fields = fields(paragraph);
            let field = |name: &str| fields.get(name).map_or_else(String::new, |value| (*value).to_owned());
            let there = fields.get("Status").is_none_or(|status| status.ends_with(" installed"));
            if let (Some(name), true) = (fields.get("Package"), there) {
                let source =
                    fields.get("Source").map_or(*name, |source| source.split(' ').next().unwrap_or(name));
                let package = Package {
                    name: (*name).to_owned(),
                    version: field("Version"),
                    architecture: field("Architecture"),
                    source: source.to_owned(),
                    maintainer: field("Maintainer"),
                };
                found.insert((package.name.clone(), package.architecture.clone()), package);
            }
        }
    }
    found.into_values().collect()
}

/// Files that belong to packages and are not for people to change: what is in them came from there.
pub(crate) fn owned(tree: &Tree) -> Result<HashSet<Vec<u8>>> {
    let mut owned = HashSet::new();
    let mut configuration = HashSet::new();
    for path in tree.below(b"var/lib/dpkg/info") {
        let Some(node) = tree.0.get(&path).filter(|node| node.kind == Kind::File) else { continue };
        let into = if path.ends_with(b".list") {
            &mut owned
        } else if path.ends_with(b".conffiles") {
            &mut configuration
        } else {
            continue;
        };
        for line in node.read(&path)?.split(|byte| *byte == b'\n') {
            if let Some(name) = line.strip_prefix(b"/").filter(|name| !name.is_empty()) {
                into.insert(real(tree, name));
            }
        }
    }
    Ok(owned.difference(&configuration).cloned().collect())
}

/// dpkg says `/bin/ls` where `/bin` is a link to `usr/bin`.
fn real(tree: &Tree, path: &[u8]) -> Vec<u8> {
    for top in [&b"bin"[..], b"sbin", b"lib", b"lib64", b"lib32"] {
        if let Some(rest) = path.strip_prefix(top).filter(|rest| rest.starts_with(b"/"))
            && tree.0.get(top).is_some_and(|node| node.kind == Kind::Link)
        {
            return [b"usr/", top, rest].concat();
        }
    }
    path.to_vec()
}
