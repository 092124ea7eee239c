//! What is different between two images: packages and paths.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest;
use crate::error::Result;
use crate::packages;
use crate::store::{Image, RECORD, Store};
use crate::tree::{Kind, Node, Tree};

/// One difference, in the words of the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `package:nginx`; `None`: a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `added`, `changed`, `removed`
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The path belongs to a package whose version changed, too.
    pub by_package: bool,
}

/// What one has to do to `a` to get `b`.
pub fn diff(store: &Store, a: &Image, b: &Image) -> Result<Vec<Change>> {
    let (a_tree, b_tree) = (Tree::scan(&store.rootfs(a)?)?, Tree::scan(&store.rootfs(b)?)?);
    changes(&a_tree, &b_tree, a.epoch.min(b.epoch))
}

fn changes(a: &Tree, b: &Tree, epoch: i64) -> Result<Vec<Change>> {
    let mut all = Vec::new();
    let versions = |tree: &Tree| -> BTreeMap<String, String> {
        packages::installed(tree).into_iter().map(|package| (package.name, package.version)).collect()
    };
    let (before, after) = (versions(a), versions(b));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name).cloned(), after.get(name).cloned());
        if old != new {
            all.push(change(Some(format!("package:{name}")), None, old, new, false));
        }
    }
    let (old_owned, new_owned) = (packages::owned(a)?, packages::owned(b)?);
    let paths: BTreeSet<&Vec<u8>> = a.0.keys().chain(b.0.keys()).collect();
    for path in paths {
        if path == RECORD.as_bytes() || (path.starts_with(b"var/lib/dpkg/") && !all.is_empty()) {
            continue;
        }
        let (old, new) = (a.0.get(path), b.0.get(path));
        if let (Some(old), Some(new)) = (old, new)
            && same(path, old, new, epoch)?
        {
            continue;
        }
        let tell = |node: Option<&Node>| node.map(|node| describe(path, node)).transpose();
        let by_package = old_owned.contains(path) || new_owned.contains(path);
        all.push(change(
            None,
            Some(format!("/{}", String::from_utf8_lossy(path))),
            tell(old)?,
            tell(new)?,
            by_package,
        ));
    }
    Ok(all)
}

fn change(
    object: Option<String>,
    path: Option<String>,
    before: Option<String>,
    after: Option<String>,
    by_package: bool,
) -> Change {
    let kind = match (&before, &after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    Change { object, path, kind, before, after, by_package }
}

/// Times are no difference. A file of a package (older than the images) with equal size and time is not read.
fn same(path: &[u8], a: &Node, b: &Node, epoch: i64) -> Result<bool> {
    let outside = a.kind == b.kind
        && (a.mode, a.uid, a.gid, a.rdev) == (b.mode, b.uid, b.gid, b.rdev)
        && a.target == b.target
        && a.xattrs == b.xattrs;
    if !outside || a.kind != Kind::File {
        return Ok(outside);
    }
    if a.size != b.size {
        return Ok(false);
    }
    if a.mtime == b.mtime && a.mtime < epoch {
        return Ok(true);
    }
    Ok(a.read(path)? == b.read(path)?)
}

fn describe(path: &[u8], node: &Node) -> Result<String> {
    let who = format!("{:04o} {}:{}", node.mode, node.uid, node.gid);
    Ok(match node.kind {
        Kind::Dir => format!("directory {who}"),
        Kind::Link => format!("link to {}", String::from_utf8_lossy(&node.target)),
        Kind::File => {
            let digest = digest::of(&node.read(path)?);
            format!("file {who} {} bytes {}", node.size, &digest[..19])
        }
        _ => format!("special file {who}"),
    })
}
