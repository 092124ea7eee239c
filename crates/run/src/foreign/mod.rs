//! Modules that are not part of Theseus: the project's own, those of installed collections and of an installed
//! ansible-core. They are found and packed here, and run by the host's Python (or whatever they are written in).

mod core;
mod find;
mod groups;
mod imports;
mod pack;
mod style;
mod zip;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use playbook::plugins::Plugins;

use self::core::Core;
use crate::contents::{Content, Contents};
use crate::python::Helpers;
pub(crate) use style::Style;

/// What was found under a name, and its full name, by that name and the collections that it was looked for in.
type Answers = HashMap<(String, Vec<String>), Option<(String, Found)>>;

/// All that one run knows of foreign modules.
pub(crate) struct Foreign {
    plugins: Arc<Plugins>,
    contents: Arc<Contents>,
    core: OnceLock<Option<Core>>,
    found: Mutex<Answers>,
    packed: Mutex<HashMap<PathBuf, Result<Arc<Packed>, String>>>,
    groups: Mutex<HashMap<String, Arc<HashSet<String>>>>,
    pub(crate) helpers: Helpers,
}

/// What there is under a name.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Module(Source),
    /// Code for the controller, by the name under which Python finds it.
    Action(String),
}

/// A module's file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// What Python calls it: `ansible.modules.thing`, `ansible_collections.a.b.plugins.modules.thing`.
    entry: String,
}

/// A module as it is sent.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) style: Style,
    pub(crate) entry: String,
    /// Of its first line, without `#!`.
    pub(crate) shebang: Option<String>,
    pub(crate) content: Content,
    pub(crate) bytes: Arc<[u8]>,
}

impl Foreign {
    pub(crate) fn new(plugins: Arc<Plugins>, contents: Arc<Contents>) -> Self {
        Self {
            plugins,
            contents,
            core: OnceLock::new(),
            found: Mutex::default(),
            packed: Mutex::default(),
            groups: Mutex::default(),
            helpers: Helpers::default(),
        }
    }

    /// A module or action plugin of the project under this name, which goes before what Theseus has.
    pub(crate) fn own(&self, name: &str) -> Option<Found> {
        let short = name.strip_prefix("ansible.legacy.").unwrap_or(name);
        if short.contains('.') {
            return None;
        }
        if self.plugins.action(short).is_some() {
            return Some(Found::Action(short.to_owned()));
        }
        self.own_module(short)
    }

    /// A module of the project, whatever action there is of that name.
    pub(crate) fn own_module(&self, name: &str) -> Option<Found> {
        let short = name.strip_prefix("ansible.legacy.").unwrap_or(name);
        let path = self.plugins.module(short)?;
        Some(Found::Module(Source { path, entry: format!("ansible.modules.{}", identifier(short)) }))
    }

    /// A module of a collection or of ansible-core.
    pub(crate) fn find(&self, name: &str, collections: &[String]) -> Option<Found> {
        self.find_named(name, collections).map(|(_, found)| found)
    }

    /// The full name of a module or action that is known under this one.
    pub(crate) fn full_name(&self, name: &str, collections: &[String]) -> Option<String> {
        self.find_named(name, collections).map(|(name, _)| name)
    }

    fn find_named(&self, name: &str, collections: &[String]) -> Option<(String, Found)> {
        let key = (name.to_owned(), collections.to_vec());
        if let Some(known) = self.found.lock().get(&key) {
            return known.clone();
        }
        let found = find::find(self, name, collections, true);
        self.found.lock().insert(key, found.clone());
        found
    }

    /// Whether a module is in a group of them (`community.docker.docker`).
    pub(crate) fn is_in_group(&self, group: &str, module: &str, collections: &[String]) -> bool {
        let known = self.groups.lock().get(group).cloned();
        let members = known.unwrap_or_else(|| {
            let members = Arc::new(groups::members(self, group));
            self.groups.lock().insert(group.to_owned(), members.clone());
            members
        });
        let native =
            agent::modules::find(module).map(|own| format!("{}.{}", own.spec.collection, own.spec.name));
        let names = find::candidates(module, collections);
        names.iter().chain(&native).any(|name| members.contains(name))
    }

    /// The same name for a group that has two.
    pub(crate) fn group_name(group: &str) -> String {
        groups::full_name(group)
    }

    /// A module of a collection or of ansible-core, whatever action there is of that name.
    pub(crate) fn find_module(&self, name: &str, collections: &[String]) -> Option<Found> {
        find::find(self, name, collections, false).map(|(_, found)| found)
    }

    /// A file of plugins that defines this `filter`, `test` or `lookup` (or the folder of those that may).
    pub(crate) fn plugin(&self, kind: &str, name: &str) -> Option<PathBuf> {
        let Some((collection, short)) = name.rsplit_once('.') else {
            return match kind {
                "filter" => self.plugins.filter(name),
                "test" => self.plugins.test(name),
                _ => self.plugins.lookup(name).or_else(|| {
                    self.core().and_then(|core| python_file(&core.package.join("plugins/lookup"), name))
                }),
            };
        };
        let folder = format!("{}/plugins/{kind}", collection.replace('.', "/"));
        self.collection_roots().into_iter().map(|root| root.join(&folder)).find_map(|folder| {
            let file = folder.join(format!("{short}.py"));
            let several = || Some(folder).filter(|folder| kind != "lookup" && folder.is_dir());
            if file.is_file() { Some(file) } else { several() }
        })
    }

    /// A lookup plugin of the project or of a collection: not one that goes by a name of ours.
    pub(crate) fn own_lookup(&self, name: &str) -> Option<PathBuf> {
        if name.contains('.') { self.plugin("lookup", name) } else { self.plugins.lookup(name) }
    }

    /// Folders beside which plugins are.
    pub(crate) fn plugin_folders(&self) -> Vec<PathBuf> {
        self.plugins.bases()
    }

    pub(crate) fn packed(&self, source: &Source) -> Result<Arc<Packed>, String> {
        if let Some(known) = self.packed.lock().get(&source.path) {
            return known.clone();
        }
        let packed = pack::pack(self, source).map(Arc::new);
        self.packed.lock().insert(source.path.clone(), packed.clone());
        packed
    }

    /// The ansible-core that is installed here, if one is: looked for once.
    pub(crate) fn core(&self) -> Option<&Core> {
        self.core.get_or_init(|| core::find(&self.plugins.collection_roots())).as_ref()
    }

    /// Folders that hold `ansible_collections`' namespaces.
    pub(crate) fn collection_roots(&self) -> Vec<PathBuf> {
        let mut roots = self.plugins.collection_roots();
        for site in self.core().map(|core| core.sites.as_slice()).unwrap_or_default() {
            let root = site.join("ansible_collections");
            if root.is_dir() && !roots.contains(&root) {
                roots.push(root);
            }
        }
        roots
    }
}

/// A name that Python can import: `my-module` is a fine name for a file.
fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

fn python_file(folder: &Path, dotted: &str) -> Option<PathBuf> {
    let path = folder.join(format!("{}.py", dotted.replace('.', "/")));
    path.is_file().then_some(path)
}
