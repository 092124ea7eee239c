//! Packing a module for its way: a Python one with everything of `module_utils` that it imports, as one archive.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Foreign, Packed, Source, Style, imports, style, zip};

/// The part of the archive that is ours: gives the module its arguments, which come by standard input, and starts
/// it under its own name.
const START: &str = "\
import json
import runpy
import sys


def main():
    given = json.loads(sys.stdin.buffer.read().decode('utf-8'))
    from ansible.module_utils import basic
    basic._ANSIBLE_ARGS = json.dumps({'ANSIBLE_MODULE_ARGS': given}).encode('utf-8')
    basic._ANSIBLE_PROFILE = 'legacy'
    names = {'_module_fqn': ENTRY, '_modlib_path': sys.path[0]}
    try:
        runpy.run_module(ENTRY, init_globals=names, run_name='__main__', alter_sys=True)
    except Exception as problem:
        import traceback
        text = traceback.format_exc()
        print(json.dumps({'failed': True, 'msg': 'Task failed: Module failed: %s' % problem, 'exception': text}))
        sys.exit(1)


main()
";

/// Forms of arguments and results that `basic` imports by name only when it runs (since ansible-core 2.19).
const PROFILES: &[&str] = &["_module_legacy_c2m", "_module_legacy_m2c"];

/// Where a name of Python's was found.
enum Place {
    File(PathBuf),
    Package(PathBuf),
}

pub(super) fn pack(all: &Foreign, source: &Source) -> Result<Packed, String> {
    let content = std::fs::read(&source.path).map_err(|e| format!("{}: {e}", source.path.display()))?;
    let style = Style::of(&content);
    let shebang = style::shebang(&content);
    let bytes = match style {
        Style::PowerShell => {
            return Err(format!(
                "{} is written for Windows, which Theseus does not manage",
                source.path.display()
            ));
        }
        Style::Python => python(all, source, content)?,
        Style::Old | Style::WantJson | Style::JsonArgs if shebang.is_none() => {
            return Err(format!(
                "{} does not say what runs it: its first line must be an interpreter (`#!/bin/sh`)",
                source.path.display()
            ));
        }
        _ => content,
    };
    let content = all.contents.bytes(bytes.clone());
    Ok(Packed { style, entry: source.entry.clone(), shebang, content, bytes: bytes.into() })
}

fn python(all: &Foreign, source: &Source, content: Vec<u8>) -> Result<Vec<u8>, String> {
    let core = all.core().ok_or_else(|| {
        format!(
            "{} is Python that needs Ansible's own `ansible.module_utils`, and no ansible-core was found on this \
             machine (it is only read, never run): install one where `python3` or `ansible` of PATH finds it, or use \
             a module that Theseus has",
            source.path.display()
        )
    })?;
    let text = String::from_utf8_lossy(&content)
        .replace("#<<INCLUDE_ANSIBLE_MODULE_COMMON>>", "from ansible.module_utils.basic import *");
    let mut files = BTreeMap::new();
    files.insert(
        "__main__.py".to_owned(),
        START.replace("ENTRY", &format!("'{}'", source.entry)).into_bytes(),
    );
    let about = format!("__version__ = '{}'\n__author__ = ''\n", core.version);
    files.insert("ansible/__init__.py".to_owned(), about.into_bytes());
    let mut packer = Packer {
        utils: all.plugins.module_utils(),
        roots: all.collection_roots(),
        core: &core.package,
        files,
        seen: BTreeSet::new(),
    };
    packer.put(&source.entry, text.into_bytes(), false);
    packer.want("ansible.module_utils.basic");
    for profile in PROFILES {
        packer.want(&format!("ansible.module_utils._internal._json._profiles.{profile}"));
    }
    packer.want_imports(&source.entry, false);
    zip::archive(&packer.files).map_err(|e| format!("{}: {e}", source.path.display()))
}

struct Packer<'a> {
    utils: Vec<PathBuf>,
    roots: Vec<PathBuf>,
    core: &'a Path,
    files: BTreeMap<String, Vec<u8>>,
    seen: BTreeSet<String>,
}

impl Packer<'_> {
    /// Put a file where Python finds it, with the packages around it.
    fn put(&mut self, name: &str, content: Vec<u8>, package: bool) {
        let path = name.replace('.', "/");
        let own = if package { format!("{path}/__init__.py") } else { format!("{path}.py") };
        for (at, _) in path.match_indices('/') {
            let parent = format!("{}/__init__.py", &path[..at]);
            let known = &path[..at].replace('/', ".");
            if let Entry::Vacant(missing) = self.files.entry(parent) {
                missing.insert(Vec::new());
                // What the package itself says, if it says something.
                self.want(known);
            }
        }
        self.files.insert(own, content);
    }

    /// Take a module of that name, or the nearest thing above it that is one (the rest is a name inside).
    fn want(&mut self, name: &str) {
        let mut name = name;
        loop {
            if !(name.starts_with("ansible.module_utils.") || is_collections(name))
                || !self.seen.insert(name.to_owned())
            {
                return;
            }
            let (path, package) = match self.place(name) {
                Some(Place::File(path)) => (path, false),
                Some(Place::Package(path)) => (path, true),
                None => match name.rsplit_once('.') {
                    Some((parent, _)) => {
                        name = parent;
                        continue;
                    }
                    None => return,
                },
            };
            let Ok(content) = std::fs::read(path) else { return };
            self.put(name, content, package);
            self.want_imports(name, package);
            return;
        }
    }

    fn want_imports(&mut self, name: &str, package: bool) {
        let path = name.replace('.', "/");
        let own = if package { format!("{path}/__init__.py") } else { format!("{path}.py") };
        let text =
            self.files.get(&own).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        for import in imports::of(&text, name, package) {
            self.want(&import);
        }
    }

    fn place(&self, name: &str) -> Option<Place> {
        let in_folder = |folder: &Path, rest: &str| {
            let path = folder.join(rest.replace('.', "/"));
            let package = path.join("__init__.py");
            if package.is_file() {
                return Some(Place::Package(package));
            }
            let file = path.with_extension("py");
            file.is_file().then_some(Place::File(file))
        };
        match name.strip_prefix("ansible.module_utils.") {
            Some(rest) => {
                let core = self.core.join("module_utils");
                self.utils.iter().chain(std::iter::once(&core)).find_map(|folder| in_folder(folder, rest))
            }
            None => {
                let rest = name.strip_prefix("ansible_collections.")?;
                self.roots.iter().find_map(|root| in_folder(root, rest))
            }
        }
    }
}

/// Code of a collection that modules share (or another of its modules).
fn is_collections(name: &str) -> bool {
    name.starts_with("ansible_collections.") && name.contains(".plugins.module")
}
