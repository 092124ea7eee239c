//! Finding out what an inventory source is, and reading it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fancy_regex::Regex;

use super::script::{self, Failure};
use super::tree::Values;
use super::{Inventory, address, ini, plugins, range, tree};
use crate::diagnostic::{Diagnostic, Result};
use crate::vault::Vault;
use crate::yaml::{self, Node};

/// How sources are read.
pub struct LoadOptions<'a> {
    /// What relative sources are relative to.
    pub base: PathBuf,
    pub vault: &'a Vault,
    /// In folders: endings of files that are passed over.
    pub ignore_extensions: Vec<String>,
    /// In folders: names matching one of these regular expressions are passed over.
    pub ignore_patterns: Vec<String>,
    /// `!vault` values stay encrypted until they are used (see [`crate::yaml::reveal`]): for showing the inventory.
    pub keep_encrypted: bool,
    /// A source that cannot be read is a warning, not an error (as `ansible-playbook` has it by default).
    pub lenient: bool,
}

impl<'a> LoadOptions<'a> {
    pub fn new(base: impl Into<PathBuf>, vault: &'a Vault) -> Self {
        let endings =
            [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];
        Self {
            base: base.into(),
            vault,
            ignore_extensions: endings.map(str::to_owned).to_vec(),
            ignore_patterns: Vec::new(),
            keep_encrypted: false,
            lenient: false,
        }
    }
}

pub(super) fn load(sources: &[String], options: &LoadOptions<'_>) -> Result<Inventory> {
    let mut ignored = Vec::new();
    for pattern in &options.ignore_patterns {
        ignored.push(Regex::new(pattern).map_err(|error| {
            Diagnostic::new(format!(
                "the inventory ignore pattern '{pattern}' is no regular expression: {error}"
            ))
        })?);
    }
    let mut loader = Loader { options, ignored, inventory: Inventory::default(), parsed: false };
    for source in sources {
        loader.source(source)?;
    }
    let mut inventory = loader.inventory;
    if options.lenient && !loader.parsed && !sources.is_empty() {
        let note = "No inventory was parsed, only implicit localhost is available";
        inventory.warnings.push(Diagnostic::warning(note));
    }
    inventory.settle();
    warn_shared_names(&mut inventory);
    Ok(inventory)
}

fn warn_shared_names(inventory: &mut Inventory) {
    let shared = inventory.hosts.keys().filter(|name| inventory.groups.contains_key(*name));
    let warnings: Vec<_> = shared
        .map(|name| Diagnostic::warning(format!("'{name}' is the name of a group and of a host")))
        .collect();
    inventory.warnings.extend(warnings);
}

struct Loader<'a> {
    options: &'a LoadOptions<'a>,
    ignored: Vec<Regex>,
    inventory: Inventory,
    /// At least one source could be read.
    parsed: bool,
}

impl Loader<'_> {
    fn source(&mut self, source: &str) -> Result<()> {
        let path = self.options.base.join(source);
        if source.contains(',') && !path.exists() {
            return self.attempt(Path::new(source), |_, inventory| host_list(source, inventory));
        }
        self.inventory.sources.push(path.clone());
        if path.is_dir() {
            return self.folder(&path, 0);
        }
        self.attempt(&path, |options, inventory| file(&path, options, inventory))
    }

    /// Reads one source; what a failing one would have added is forgotten.
    fn attempt(
        &mut self,
        path: &Path,
        read: impl FnOnce(&LoadOptions<'_>, &mut Inventory) -> Result<()>,
    ) -> Result<()> {
        let mut trial = self.inventory.clone();
        match read(self.options, &mut trial) {
            Ok(()) => {
                self.inventory = trial;
                self.parsed = true;
                Ok(())
            }
            Err(error) if self.options.lenient => {
                let note = format!("the inventory source {} was left out: {}", path.display(), error.message);
                self.inventory.warnings.push(Diagnostic { message: note, warning: true, ..error });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<()> {
        // A folder linked into itself would never end.
        if depth > 20 {
            return Ok(());
        }
        let unreadable = |error: std::io::Error| {
            Diagnostic::new(format!("the inventory folder {} cannot be read: {error}", folder.display()))
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            names.push(entry.map_err(unreadable)?.file_name());
        }
        names.sort();
        for name in names {
            let shown = name.to_string_lossy();
            if self.passes_over(&shown) {
                continue;
            }
            let path = folder.join(&name);
            if path.is_dir() {
                self.folder(&path, depth + 1)?;
            } else {
                self.attempt(&path, |options, inventory| file(&path, options, inventory))?;
            }
        }
        Ok(())
    }

    fn passes_over(&self, name: &str) -> bool {
        name.starts_with('.')
            || matches!(name, "group_vars" | "host_vars" | "vars_plugins")
            || self.options.ignore_extensions.iter().any(|ending| name.ends_with(ending.as_str()))
            || self.ignored.iter().any(|pattern| pattern.is_match(name).unwrap_or(false))
    }
}

/// `a,b,c[1:3],`: the hosts themselves, on the command line.
fn host_list(source: &str, inventory: &mut Inventory) -> Result<()> {
    for item in source.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, port) = address::split(item);
        let hosts = if name.parse::<std::net::Ipv6Addr>().is_ok() {
            vec![name.to_owned()]
        } else {
            match range::expand(name) {
                Ok(hosts) => hosts,
                Err(range::Wrong::Form(why)) => {
                    let note = format!("Unable to parse address from hostname, leaving unchanged: {why}");
                    inventory.warnings.push(Diagnostic::warning(note));
                    vec![name.to_owned()]
                }
                Err(wrong) => {
                    let plugin = "Failed to parse inventory with 'advanced_host_list' plugin";
                    return Err(Diagnostic::new(format!("{plugin}: {}", wrong.message())));
                }
            }
        };
        for host in hosts {
            inventory.ensure_host(&host);
            inventory.join(&host, super::UNGROUPED);
            if let (Some(host), Some(port)) = (inventory.hosts.get_mut(&host), port) {
                host.vars.insert("ansible_port".into(), expressions::Value::Int(i64::from(port)));
            }
        }
    }
    Ok(())
}

/// Reads a file by what it is: a program, or text by its ending, or by what it looks like.
fn file(path: &Path, options: &LoadOptions<'_>, inventory: &mut Inventory) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Diagnostic::new(format!("the inventory {} cannot be read: {error}", path.display()))
            .hint("hosts named on the command line need a comma: -i host,")
    })?;
    if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        match script::read(path, inventory) {
            Ok(()) => return Ok(()),
            Err(Failure::Failed(error)) => return Err(error),
            // A text file on a file system without modes.
            Err(Failure::NotAProgram) => {}
        }
    }
    let text = yaml::read_text(path, options.vault)?;
    if text.starts_with("#!") {
        return Err(Diagnostic::new(format!("{} is a program, but not executable", path.display()))
            .hint(format!("chmod +x {}", path.display())));
    }
    let name: Arc<Path> = Arc::from(path);
    let now = |node: &Node| node.to_value(options.vault);
    let later = |node: &Node| node.to_lazy_value(options.vault);
    let values: Values<'_> = if options.keep_encrypted { &later } else { &now };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("yml" | "yaml" | "json") => from_yaml(&text, &name, values, options, inventory),
        Some("toml") => from_toml(&text, &name, values, inventory),
        // Files of plugins may be called so.
        Some("config") if text.lines().any(|line| line.starts_with("plugin:")) => {
            from_yaml(&text, &name, values, options, inventory)
        }
        None if !looks_like_ini(&text) => from_yaml(&text, &name, values, options, inventory),
        _ => ini::read(&text, &name, inventory),
    }
}

/// INI and YAML inventories share the name `hosts`. The first line that says something decides: YAML begins with
/// `---`, a brace or a key with a colon behind it; everything else is a section, or a line with a host.
fn looks_like_ini(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_none_or(|line| {
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        !(line.starts_with("---") || line.starts_with('{') || line.ends_with(':') || line.contains(": "))
    })
}

fn from_yaml(
    text: &str,
    path: &Arc<Path>,
    values: Values<'_>,
    options: &LoadOptions<'_>,
    inventory: &mut Inventory,
) -> Result<()> {
    let loaded = yaml::load_str(text, Arc::clone(path))?;
    inventory.warnings.extend(loaded.warnings);
    match loaded.node.filter(|node| !node.is_null()) {
        Some(root) => match plugins::read(&root, options, inventory) {
            Some(read) => read,
            None => tree::read(&root, values, inventory),
        },
        None => Ok(()),
    }
}

fn from_toml(text: &str, path: &Arc<Path>, values: Values<'_>, inventory: &mut Inventory) -> Result<()> {
    use expressions::Origin;
    let mut json: serde_json::Value = toml::from_str(text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Diagnostic::new(format!("this is not valid TOML: {}", error.message())).at(&Origin::new(
            Arc::clone(path),
            number(line),
            number(column),
        ))
    })?;
    // TOML has no empty values: there, children are a list of names.
    for group in json.as_object_mut().into_iter().flat_map(|groups| groups.values_mut()) {
        if let Some(children) = group.get_mut("children")
            && let Some(names) = children.as_array()
        {
            let names =
                names.iter().filter_map(|name| Some((name.as_str()?.to_owned(), serde_json::Value::Null)));
            *children = serde_json::Value::Object(names.collect());
        }
    }
    tree::read(&Node::from_json(&json, &Arc::new(Origin::new(Arc::clone(path), 1, 1))), values, inventory)
}
