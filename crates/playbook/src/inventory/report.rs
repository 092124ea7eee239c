//! What `ansible-inventory --list`, `--host` and `--graph` print.

use std::collections::BTreeMap;

use expressions::{Error, Value};
use indexmap::IndexSet;
use serde_json::{Map, Value as Json, json};

use super::{ALL, Inventory, UNGROUPED, Vars};
use crate::yaml::VaultText;

/// Says what is in an inventory. `host_vars` gives the variables of a host, files of `group_vars` included where
/// the caller knows them.
pub struct Report<'a> {
    pub inventory: &'a Inventory,
    pub host_vars: &'a dyn Fn(&str) -> Vars,
    pub group_vars: &'a dyn Fn(&str) -> Vars,
}

impl Report<'_> {
    /// `--list`: JSON, keys sorted.
    pub fn list(&self) -> Result<String, Error> {
        let mut vars = BTreeMap::new();
        for host in self.inventory.hosts.keys() {
            let own = json_vars(&(self.host_vars)(host))?;
            if !own.is_empty() {
                vars.insert(host.clone(), Json::Object(own));
            }
        }
        let mut groups: BTreeMap<String, Json> = BTreeMap::new();
        self.list_group(ALL, &mut groups);
        let vars: Map<String, Json> = vars.into_iter().collect();
        groups.insert("_meta".into(), json!({ "hostvars": vars, "profile": "inventory_legacy" }));
        Ok(pretty(&Json::Object(groups.into_iter().collect())))
    }

    fn list_group(&self, name: &str, groups: &mut BTreeMap<String, Json>) {
        let Some(group) = self.inventory.groups.get(name).filter(|_| !groups.contains_key(name)) else {
            return;
        };
        let mut fields = Map::new();
        if !group.children.is_empty() {
            fields.insert("children".into(), Json::from_iter(ordered_children(group)));
        }
        if name != ALL && !group.hosts.is_empty() {
            fields.insert("hosts".into(), Json::from_iter(group.hosts.iter().map(String::as_str)));
        }
        groups.insert(name.to_owned(), Json::Object(fields.clone()));
        for child in &group.children {
            self.list_group(child, groups);
        }
        if fields.is_empty() {
            groups.remove(name);
        }
    }

    /// `--host NAME`: its variables.
    pub fn host(&self, name: &str) -> Result<String, Error> {
        Ok(pretty(&Json::Object(json_vars(&(self.host_vars)(name))?)))
    }

    /// `--graph [GROUP] [--vars]`; `None`: there is no such group.
    pub fn graph(&self, group: &str, with_vars: bool) -> Option<Result<String, Error>> {
        self.inventory.groups.contains_key(group).then(|| {
            let mut lines = vec![format!("@{group}:")];
            self.graph_group(group, 0, with_vars, &mut lines)?;
            Ok(lines.join("\n") + "\n")
        })
    }

    fn graph_group(
        &self,
        name: &str,
        depth: usize,
        with_vars: bool,
        lines: &mut Vec<String>,
    ) -> Result<(), Error> {
        let Some(group) = self.inventory.groups.get(name) else { return Ok(()) };
        for child in ordered_children(group) {
            lines.push(format!("{}@{child}:", indent(depth + 1)));
            self.graph_group(child, depth + 1, with_vars, lines)?;
        }
        if name != ALL {
            for host in &group.hosts {
                lines.push(format!("{}{host}", indent(depth + 1)));
                if with_vars {
                    graph_vars(&(self.host_vars)(host), depth + 2, lines)?;
                }
            }
        }
        if with_vars {
            let mut vars = (self.group_vars)(name);
            if group.priority != 1 {
                vars.insert("ansible_group_priority".into(), Value::Int(group.priority));
            }
            graph_vars(&vars, depth + 1, lines)?;
        }
        Ok(())
    }
}

/// `ungrouped` comes first.
fn ordered_children(group: &super::Group) -> IndexSet<&str> {
    let first = group.children.iter().filter(|name| *name == UNGROUPED);
    first.chain(&group.children).map(String::as_str).collect()
}

/// `  |--`, deeper `  |  |--`.
fn indent(depth: usize) -> String {
    format!("{}--", "  |".repeat(depth))
}

fn graph_vars(vars: &Vars, depth: usize, lines: &mut Vec<String>) -> Result<(), Error> {
    let sorted: BTreeMap<_, _> = vars.iter().collect();
    for (name, value) in sorted {
        let shown = match value.as_object::<VaultText>() {
            Some(secret) => secret.encrypted().to_owned(),
            None => listed(value).python_str()?,
        };
        lines.push(format!("{}{{{name} = {shown}}}", indent(depth)));
    }
    Ok(())
}

/// Tuples become lists in variables.
fn listed(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::list(items.raw_items().iter().map(listed).collect()),
        Value::Tuple(_) => Value::list(value.as_list().unwrap_or_default().iter().map(listed).collect()),
        Value::Dict(entries) => {
            Value::dict(entries.raw_items().into_iter().map(|(key, value)| (key, listed(&value))))
        }
        other => other.clone(),
    }
}

fn json_vars(vars: &Vars) -> Result<Map<String, Json>, Error> {
    let sorted: BTreeMap<_, _> = vars.iter().collect();
    sorted.into_iter().map(|(name, value)| Ok((name.clone(), to_json(value)?))).collect()
}

/// Marks are written so that they can be read back: what is encrypted stays encrypted.
fn to_json(value: &Value) -> Result<Json, Error> {
    if let Some(secret) = value.as_object::<VaultText>() {
        return Ok(json!({ "__ansible_vault": secret.encrypted() }));
    }
    Ok(match value {
        Value::Str(text) if !text.is_trusted() => json!({ "__ansible_unsafe": text.as_str() }),
        Value::List(items) => Json::Array(items.raw_items().iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Tuple(_) => {
            Json::Array(value.as_list().unwrap_or_default().iter().map(to_json).collect::<Result<_, _>>()?)
        }
        Value::Dict(entries) => {
            let mut sorted = BTreeMap::new();
            for (key, value) in entries.raw_items() {
                sorted.insert(key.python_str()?, to_json(&value)?);
            }
            Json::Object(sorted.into_iter().collect())
        }
        other => other.to_json()?,
    })
}

fn pretty(json: &Json) -> String {
    use serde::Serialize;
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    json.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, format))
        .expect("JSON values are written to memory without fail");
    String::from_utf8_lossy(&bytes).into_owned() + "\n"
}
