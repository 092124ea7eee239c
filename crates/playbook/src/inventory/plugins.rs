//! Inventories that are computed: `constructed` (groups and variables from those of hosts) and `generator`
//! (hosts from layers of names).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use expressions::{Context, Engine, Error, Str, Value};

use super::{Inventory, LoadOptions};
use crate::diagnostic::{Diagnostic, Result};
use crate::vault::Vault;
use crate::yaml::{self, Kind, Node};

/// Reads the file of a plugin; `None`: it is none of those.
pub(super) fn read(root: &Node, options: &LoadOptions<'_>, inventory: &mut Inventory) -> Option<Result<()>> {
    let plugin = root.get("plugin")?.as_str()?;
    let engine = Engine::new();
    match plugin.strip_prefix("ansible.builtin.").unwrap_or(plugin) {
        "constructed" => Some(constructed(root, &engine, options, inventory)),
        "generator" => Some(generator(root, &engine, inventory)),
        _ => None,
    }
}

/// Variables by name; those that are templates are rendered when they are asked for.
struct Known<'a> {
    engine: &'a Engine,
    vars: HashMap<String, Value>,
}

impl Context for Known<'_> {
    fn variable(&self, name: &str) -> std::result::Result<Option<Value>, Error> {
        match self.vars.get(name) {
            Some(Value::Str(text)) if text.is_template() => self.engine.render(text, self).map(Some),
            other => Ok(other.cloned()),
        }
    }
    fn names(&self) -> Vec<String> {
        self.vars.keys().cloned().collect()
    }
    fn lookup(
        &self,
        name: &str,
        _: &[Value],
        _: &[(Arc<str>, Value)],
    ) -> std::result::Result<Vec<Value>, Error> {
        Err(Error::new(format!("the lookup '{name}' cannot be used in an inventory")))
    }
    fn template_source(&self, _: &str) -> std::result::Result<Option<(PathBuf, String)>, Error> {
        Ok(None)
    }
}

fn flag(root: &Node, name: &str, default: bool) -> bool {
    let Some(node) = root.get(name) else { return default };
    node.as_bool().or_else(|| catalog::arguments::truth(&node.scalar_text()?)).unwrap_or(default)
}

/// The text of a node as an expression or a template with its place.
fn trusted(node: &Node) -> Option<Str> {
    Some(Str::trusted(node.scalar_text()?, node.origin.clone()))
}

/// What an expression gives; `None`: it fails, and that does not matter.
fn evaluate(engine: &Engine, node: &Node, known: &Known<'_>, strict: bool) -> Result<Option<Value>> {
    let Some(text) = trusted(node) else { return Ok(None) };
    let value = engine.evaluate(&text, known).and_then(|value| value.defined()?.resolved());
    match value {
        Ok(value) => Ok(Some(value)),
        Err(error) if strict => Err(Diagnostic::from(error).at(&node.origin)),
        Err(_) => Ok(None),
    }
}

fn constructed(
    root: &Node,
    engine: &Engine,
    options: &LoadOptions<'_>,
    inventory: &mut Inventory,
) -> Result<()> {
    let strict = flag(root, "strict", false);
    let files = flag(root, "use_vars_plugins", false);
    let names: Vec<String> = inventory.hosts.keys().cloned().collect();
    // Which groups a host is in and which variables it sees has to be right before it is asked for.
    inventory.settle();
    for host in names {
        let known = |inventory: &Inventory| Known { engine, vars: vars(inventory, &host, files, options) };
        let before = known(inventory);
        for (name, expression) in root.get("compose").and_then(Node::as_map).unwrap_or_default() {
            let value = evaluate(engine, expression, &before, strict)?;
            if let (Some(value), Some(host)) = (value, inventory.hosts.get_mut(&host)) {
                host.vars.insert(name.scalar_text().unwrap_or_default(), value);
            }
        }
        let after = known(inventory);
        for (name, condition) in root.get("groups").and_then(Node::as_map).unwrap_or_default() {
            let holds = evaluate(engine, condition, &after, strict)?;
            if holds.is_some_and(|value| value.truth().unwrap_or(false)) {
                let group = safe_name(&name.scalar_text().unwrap_or_default());
                inventory.add_group(&group);
                inventory.join(&host, &group);
            }
        }
        let leading = flag(root, "leading_separator", true);
        for keyed in root.get("keyed_groups").and_then(Node::as_seq).unwrap_or_default() {
            keyed_group(keyed, &host, &after, Ways { strict, leading }, inventory)?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Ways {
    strict: bool,
    leading: bool,
}

fn keyed_group(
    node: &Node,
    host: &str,
    known: &Known<'_>,
    ways: Ways,
    inventory: &mut Inventory,
) -> Result<()> {
    let text = |name: &str| node.get(name).and_then(Node::scalar_text);
    let Some(key) = node.get("key") else {
        return Err(node.error("an entry of `keyed_groups` needs a `key`"));
    };
    let default = text("default_value");
    let trailing = flag(node, "trailing_separator", true);
    if default.is_some() && !trailing {
        return Err(node.error("`default_value` and `trailing_separator` exclude each other"));
    }
    let Some(value) = evaluate(known.engine, key, known, ways.strict)? else { return Ok(()) };
    let prefix = text("prefix").unwrap_or_default();
    let separator = text("separator").unwrap_or_else(|| "_".to_owned());
    let parent = match node.get("parent_group").and_then(trusted) {
        Some(parent) => Some(known.engine.render(&parent, known).and_then(|name| name.python_str())?),
        None => None,
    };
    for bare in bare_names(&value, default.as_deref(), &separator, trailing)? {
        let name = if prefix.is_empty() && !ways.leading {
            bare
        } else if bare.is_empty() && !trailing {
            prefix.clone()
        } else {
            format!("{prefix}{separator}{bare}")
        };
        let group = safe_name(&name);
        inventory.add_group(&group);
        inventory.join(host, &group);
        if let Some(parent) = &parent {
            let parent = safe_name(parent);
            inventory.add_group(&parent);
            inventory.add_child(&parent, &group).map_err(|error| error.at(&node.origin))?;
        }
    }
    Ok(())
}

/// The ends of the names of groups that a key gives.
fn bare_names(value: &Value, default: Option<&str>, separator: &str, trailing: bool) -> Result<Vec<String>> {
    // Nothing is as good as an empty text where something else may stand for it.
    let stands_in = default.is_some() || !trailing;
    let or_default = |value: &Value| -> std::result::Result<String, Error> {
        let text = if value.is_none() && stands_in { String::new() } else { value.python_str()? };
        Ok(if text.is_empty() { default.map_or(text, str::to_owned) } else { text })
    };
    Ok(match value {
        Value::Str(text) if text.as_str().is_empty() => default.map(str::to_owned).into_iter().collect(),
        Value::Str(text) => vec![text.as_str().to_owned()],
        Value::List(list) => {
            let items: std::result::Result<Vec<String>, Error> =
                list.raw_items().iter().map(or_default).collect();
            items?
        }
        Value::Dict(dict) => {
            let mut names = Vec::new();
            for (key, value) in dict.raw_items() {
                let (key, value) = (key.python_str()?, or_default(&value)?);
                names.push(if value.is_empty() && !trailing {
                    key
                } else {
                    format!("{key}{separator}{value}")
                });
            }
            names
        }
        Value::None | Value::Bool(false) => default.map(str::to_owned).into_iter().collect(),
        other => vec![other.python_str()?],
    })
}

/// Letters, digits and `_`, not a digit first.
fn safe_name(name: &str) -> String {
    let fine = |(index, c): (usize, char)| {
        let good = c == '_' || c.is_ascii_alphabetic() || (index > 0 && c.is_ascii_digit());
        if good { c } else { '_' }
    };
    name.chars().enumerate().map(fine).collect()
}

/// What is known of a host, with the files of its groups and its own if that is wanted.
fn vars(inventory: &Inventory, host: &str, files: bool, options: &LoadOptions<'_>) -> HashMap<String, Value> {
    let mut vars: HashMap<String, Value> = inventory.vars_of(host).into_iter().collect();
    if files {
        let groups = inventory.groups_of(host);
        let named =
            groups.iter().map(|group| ("group_vars", group.name.as_str())).chain([("host_vars", host)]);
        for (part, name) in named {
            for source in &inventory.sources {
                let dir = if source.is_dir() { Some(source.as_path()) } else { source.parent() };
                let Some(dir) = dir else { continue };
                vars.extend(
                    crate::search::vars_of(&dir.join(part), name)
                        .iter()
                        .flat_map(|file| of_file(file, options.vault)),
                );
            }
        }
    }
    let groups = inventory.group_names(host);
    vars.insert("inventory_hostname".to_owned(), Value::from(host.to_owned()));
    let short = host.split('.').next().unwrap_or(host);
    vars.insert("inventory_hostname_short".to_owned(), Value::from(short.to_owned()));
    vars.insert(
        "group_names".to_owned(),
        Value::list(groups.into_iter().map(Value::from).collect::<Vec<_>>()),
    );
    vars
}

fn of_file(file: &std::path::Path, vault: &Vault) -> Vec<(String, Value)> {
    let Ok(Some(node)) = yaml::load_file(file, vault).map(|loaded| loaded.node) else { return Vec::new() };
    let entries = node.as_map().unwrap_or_default().iter();
    entries.filter_map(|(key, value)| Some((key.scalar_text()?, value.to_value(vault)))).collect()
}

/// More combinations are a mistake.
const MOST: usize = 1_000_000;

fn generator(root: &Node, engine: &Engine, inventory: &mut Inventory) -> Result<()> {
    let hosts = root
        .get("hosts")
        .ok_or_else(|| root.error("the plugin `generator` needs `hosts:` with a `name:`"))?;
    let layers = root.get("layers").and_then(Node::as_map).unwrap_or_default();
    let mut all: Vec<HashMap<String, Value>> = vec![HashMap::new()];
    for (name, choices) in layers {
        let name = name.scalar_text().unwrap_or_default();
        let choices =
            choices.as_seq().ok_or_else(|| choices.error(format!("the layer `{name}` must be a list")))?;
        if all.len().saturating_mul(choices.len()) > MOST {
            return Err(root.error(format!("the layers make more than {MOST} hosts")));
        }
        let with = |known: &HashMap<String, Value>| {
            let known = known.clone();
            let name = name.clone();
            choices
                .iter()
                .map(move |choice| {
                    let mut more = known.clone();
                    more.insert(name.clone(), choice.to_value(&Vault::new()));
                    more
                })
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    for vars in all {
        let known = Known { engine, vars };
        let name = rendered(hosts, &known)?;
        inventory.ensure_host(&name);
        parents(hosts, &Child::Host(&name), &known, inventory, 0)?;
    }
    Ok(())
}

enum Child<'a> {
    Host(&'a str),
    Group(&'a str),
}

/// The `name:` of a host or a group.
fn rendered(node: &Node, known: &Known<'_>) -> Result<String> {
    let name =
        node.get("name").ok_or_else(|| node.error("a host or a group of `generator` needs a `name:`"))?;
    let text = trusted(name).ok_or_else(|| name.error("a name is text"))?;
    let name_of = |value: Value| value.defined()?.python_str();
    known
        .engine
        .render(&text, known)
        .and_then(name_of)
        .map_err(|error| Diagnostic::from(error).at(&name.origin))
}

fn parents(
    node: &Node,
    child: &Child<'_>,
    known: &Known<'_>,
    inventory: &mut Inventory,
    depth: usize,
) -> Result<()> {
    if depth > 100 {
        return Err(node.error("the groups are nested too deeply"));
    }
    for parent in node.get("parents").and_then(Node::as_seq).unwrap_or_default() {
        if parent.get("name").is_none() {
            let (Child::Host(name) | Child::Group(name)) = child;
            return Err(parent.error(format!("Element {name} has a parent with no name.")));
        }
        let name = safe_name(&rendered(parent, known)?);
        inventory.add_group(&name);
        for (key, value) in parent.get("vars").and_then(Node::as_map).unwrap_or_default() {
            let value = match &value.kind {
                Kind::Str { .. } => match trusted(value) {
                    Some(text) => known
                        .engine
                        .render(&text, known)
                        .map_err(|error| Diagnostic::from(error).at(&value.origin))?,
                    None => Value::None,
                },
                _ => value.to_value(&Vault::new()),
            };
            inventory.set_group_var(&name, &key.scalar_text().unwrap_or_default(), value);
        }
        match child {
            Child::Host(host) => _ = inventory.join(host, &name),
            Child::Group(group) => {
                _ = inventory.add_child(&name, group).map_err(|error| error.at(&parent.origin))?
            }
        }
        parents(parent, &Child::Group(&name), known, inventory, depth + 1)?;
    }
    Ok(())
}
