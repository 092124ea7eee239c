//! A base made of packages that this machine has: their files as they are here, with all they depend on. It needs no
//! network and takes a second; documentation and translations are left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Doing, Error, Result};
use crate::packages;
use crate::tree::{Kind, Node, Tree};

const STATUS: &str = "/var/lib/dpkg/status";
const INFO: &str = "/var/lib/dpkg/info";
const LEFT_OUT: &[&str] =
    &["usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/"];
/// Directories that the system has and no package's list need name.
const PLACES: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("var/tmp", 0o1777),
    ("var/lib/dpkg/updates", 0o755),
];

/// What the package database says of one package.
struct Known<'a> {
    paragraph: &'a str,
    fields: HashMap<&'a str, &'a str>,
}

impl Known<'_> {
    fn names(&self, field: &str) -> Vec<Vec<String>> {
        let text = self.fields.get(field).copied().unwrap_or_default();
        let bare = |name: &str| name.split(['(', ':']).next().unwrap_or_default().trim().to_owned();
        text.split(',')
            .map(|any| any.split('|').map(bare).filter(|name| !name.is_empty()).collect())
            .collect()
    }
}

/// Changes whenever packages change.
pub(crate) fn mark() -> String {
    let meta = fs::metadata(STATUS);
    meta.map_or_else(|_| String::new(), |meta| format!("{} {} {}", meta.ino(), meta.size(), meta.mtime()))
}

/// The tree of these packages, of those that every system has, and of what they need.
pub(crate) fn tree(wanted: &str) -> Result<Tree> {
    let text = fs::read_to_string(STATUS)
        .map_err(|_| Error::wrong("this machine has no Debian packages: there is no /var/lib/dpkg/status"))?;
    let database = database(&text);
    let chosen = closure(&database, wanted)?;
    let dir: Arc<Path> = Arc::from(Path::new("/"));
    let mut tree = Tree::default();
    for name in &chosen {
        add_files(&mut tree, &dir, name, &database[name.as_str()])?;
    }
    for (place, mode) in PLACES {
        add_parents(&mut tree, &dir, place)?;
        tree.0.entry(place.as_bytes().to_vec()).or_insert_with(|| Node::dir(&dir, *mode));
    }
    generate(&mut tree, &dir, &database, &chosen)?;
    // What else this machine did in its directories says nothing.
    let files = tree.0.values().filter(|node| node.kind != Kind::Dir);
    let newest = files.map(|node| node.mtime).max().unwrap_or(0);
    tree.0.values_mut().filter(|node| node.kind == Kind::Dir).for_each(|node| node.mtime = newest);
    Ok(tree)
}

fn database(text: &str) -> BTreeMap<&str, Known<'_>> {
    let mut all = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let fields = packages::fields(paragraph);
        if let Some(name) = fields.get("Package").copied()
            && fields.get("Status").is_some_and(|status| status.ends_with(" installed"))
        {
            all.insert(name, Known { paragraph, fields });
        }
    }
    all
}

fn closure(database: &BTreeMap<&str, Known<'_>>, wanted: &str) -> Result<BTreeSet<String>> {
    let mut providers: HashMap<String, &str> = HashMap::new();
    for (name, known) in database {
        known.names("Provides").into_iter().flatten().for_each(|virtual_one| {
            providers.entry(virtual_one).or_insert(name);
        });
    }
    let mut waiting: Vec<String> =
        wanted.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if let Some(missing) = waiting.iter().find(|name| !database.contains_key(name.as_str())) {
        return Err(Error::wrong(format!("the package {missing} is not installed on this machine")));
    }
    waiting.extend(
        database
            .iter()
            .filter(|(_, known)| known.fields.get("Essential") == Some(&"yes"))
            .map(|(name, _)| (*name).to_owned()),
    );
    let mut chosen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        let Some(known) = database.get(name.as_str()).filter(|_| chosen.insert(name.clone())) else {
            continue;
        };
        for any in known.names("Pre-Depends").into_iter().chain(known.names("Depends")) {
            let direct = any.iter().find(|name| database.contains_key(name.as_str())).cloned();
            let provided = || any.iter().find_map(|name| providers.get(name)).map(|name| (*name).to_owned());
            waiting.extend(direct.or_else(provided));
        }
    }
    Ok(chosen)
}

fn add_files(tree: &mut Tree, dir: &Arc<Path>, name: &str, known: &Known<'_>) -> Result<()> {
    let info = |ending: &str| {
        let architecture = known.fields.get("Architecture").copied().unwrap_or_default();
        let with = format!("{INFO}/{name}:{architecture}.{ending}");
        if Path::new(&with).exists() { with } else { format!("{INFO}/{name}.{ending}") }
    };
    let list = info("list");
    let list = fs::read_to_string(&list).at(Path::new(&list))?;
    let own = [
        "list",
        "md5sums",
        "conffiles",
        "triggers",
        "shlibs",
        "postinst",
        "preinst",
        "prerm",
        "postrm",
        "templates",
    ]
    .map(info);
    for path in list.lines().chain(own.iter().map(String::as_str)) {
        let path = path.trim_start_matches('/');
        if path.is_empty() || path == "." || LEFT_OUT.iter().any(|one| path.starts_with(one)) {
            continue;
        }
        add(tree, dir, path)?;
    }
    Ok(())
}

/// A path of this machine, where it really is: `/bin/sh` may be `/usr/bin/sh`.
fn add(tree: &mut Tree, dir: &Arc<Path>, path: &str) -> Result<()> {
    let path = match path.split_once('/') {
        Some((top, rest)) => match fs::read_link(Path::new("/").join(top)) {
            Ok(target) => {
                add(tree, dir, top)?;
                format!("{}/{rest}", target.to_string_lossy().trim_start_matches('/'))
            }
            Err(_) => path.to_owned(),
        },
        None => path.to_owned(),
    };
    // What an administrator removed is not there.
    let Ok(node) = Tree::look(dir, &path) else { return Ok(()) };
    add_parents(tree, dir, &path)?;
    tree.0.insert(path.into_bytes(), node);
    Ok(())
}

fn add_parents(tree: &mut Tree, dir: &Arc<Path>, path: &str) -> Result<()> {
    for (at, _) in path.match_indices('/') {
        let parent = &path[..at];
        if !tree.0.contains_key(parent.as_bytes()) {
            let node = Tree::look(dir, parent).unwrap_or_else(|_| Node::dir(dir, 0o755));
            tree.0.insert(parent.as_bytes().to_vec(), node);
        }
    }
    Ok(())
}

/// What the packages' scripts would have made: accounts, the package database, how names are looked up.
fn generate(
    tree: &mut Tree,
    dir: &Arc<Path>,
    database: &BTreeMap<&str, Known<'_>>,
    chosen: &BTreeSet<String>,
) -> Result<()> {
    let copies = [
        ("etc/passwd", "usr/share/base-passwd/passwd.master"),
        ("etc/group", "usr/share/base-passwd/group.master"),
        ("etc/nsswitch.conf", "usr/share/libc-bin/nsswitch.conf"),
    ];
    let mut files = Vec::new();
    for (to, from) in copies {
        if let Some(text) = tree.text(from) {
            files.push((to, 0o644, text.replace(":*:", ":x:")));
        }
    }
    let users = tree.text("usr/share/base-passwd/passwd.master").unwrap_or_default();
    let locked = users
        .lines()
        .filter_map(|line| line.split(':').next())
        .map(|user| format!("{user}:*:19000:0:99999:7:::\n"));
    files.push(("etc/shadow", 0o640, locked.collect()));
    let status = chosen.iter().map(|name| format!("{}\n\n", database[name.as_str()].paragraph.trim_end()));
    files.push(("var/lib/dpkg/status", 0o644, status.collect()));
    for (path, mode, text) in files {
        add_parents(tree, dir, path)?;
        let group = if path == "etc/shadow" { 42 } else { 0 };
        tree.0
            .insert(path.as_bytes().to_vec(), Node { gid: group, ..Node::file(dir, mode, text.as_bytes()) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: a\nStatus: install ok installed\nEssential: yes\nDepends: x | v (>= 2), c:any\n\nPackage: b\nStatus: install ok installed\nProvides: v (= 2)\n\nPackage: c\nStatus: install ok installed\nPre-Depends: a\n\nPackage: d\nStatus: deinstall ok config-files\n";

    #[test]
    fn what_is_needed_comes_too() {
        let database = database(STATUS);
        let all = |wanted: &str| {
            closure(&database, wanted).map(|set| set.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(all("").unwrap(), "a b c");
        let error = all("d").unwrap_err().to_string();
        assert_eq!(error, "the package d is not installed on this machine");
    }
}
