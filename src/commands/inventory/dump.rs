//! Inventories as JSON and YAML text. Encrypted values stay encrypted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use expressions::{Context, Error, Origin, Str, Value};
use playbook::Diagnostic;
use playbook::inventory::{ALL, Vars};
use playbook::yaml::VaultText;
use serde_json::{Map, Value as Json, json};

use super::Files;
use crate::setup::Problem;

/// Variables as JSON, sorted. `marks`: texts that are no templates say so.
pub(super) fn marked(vars: &Vars, marks: bool) -> Result<Map<String, Json>, Problem> {
    let sorted: BTreeMap<_, _> = vars.iter().collect();
    let secret = |value: &Value| match value {
        Value::Str(text) if marks && !text.is_trusted() => Some(json!({ "__ansible_unsafe": text.as_str() })),
        other => Some(json!({ "__ansible_vault": other.as_object::<VaultText>()?.encrypted() })),
    };
    sorted
        .into_iter()
        .map(|(name, value)| {
            Ok((name.clone(), plain(value, &secret).map_err(|e| Problem::from(Diagnostic::from(e)))?))
        })
        .collect()
}

/// `special` says how values are written that JSON has no word for.
fn plain(value: &Value, special: &dyn Fn(&Value) -> Option<Json>) -> Result<Json, Error> {
    if let Some(written) = special(value) {
        return Ok(written);
    }
    Ok(match value {
        Value::List(items) => {
            Json::Array(items.raw_items().iter().map(|item| plain(item, special)).collect::<Result<_, _>>()?)
        }
        Value::Dict(entries) => {
            let mut sorted = BTreeMap::new();
            for (key, value) in entries.raw_items() {
                sorted.insert(key.python_str()?, plain(&value, special)?);
            }
            Json::Object(sorted.into_iter().collect())
        }
        other => other.to_json()?,
    })
}

/// Stands for an encrypted value until the YAML text is written.
const MARK: &str = "theseus-encrypted:";

/// Variables for [`yaml`].
pub(super) fn mapping(vars: &Vars) -> Result<Json, Problem> {
    let hidden = |value: &Value| {
        let text = value.as_object::<VaultText>()?;
        Some(Json::String(format!("{MARK}{}", text.encrypted().lines().collect::<Vec<_>>().join("|"))))
    };
    let mut sorted = Map::new();
    for (name, value) in vars {
        sorted.insert(name.clone(), plain(value, &hidden).map_err(|e| Problem::from(Diagnostic::from(e)))?);
    }
    Ok(Json::Object(sorted))
}

/// All groups as `ansible-inventory --list --yaml` nests them.
pub(super) fn tree(files: &Files<'_>, export: bool) -> Result<Json, Problem> {
    let mut seen = BTreeSet::new();
    Ok(json!({ ALL: group(ALL, files, export, &mut seen)? }))
}

fn group(name: &str, files: &Files<'_>, export: bool, seen: &mut BTreeSet<String>) -> Result<Json, Problem> {
    let mut fields = Map::new();
    let Some(known) = files.inventory.groups.get(name) else { return Ok(Json::Object(fields)) };
    let mut children = Map::new();
    for child in &known.children {
        let inner = group(child, files, export, seen)?;
        if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
            children.insert(child.clone(), inner);
        }
    }
    let mut hosts = Map::new();
    for host in known.hosts.iter().filter(|_| name != ALL) {
        // A host's variables are shown where it is first seen.
        let vars = if seen.insert(host.clone()) { mapping(&files.host(host, export)?)? } else { json!({}) };
        hosts.insert(host.clone(), vars);
    }
    if export
        && let Json::Object(vars) = mapping(&files.group(name)?)?
        && !vars.is_empty()
    {
        fields.insert("vars".to_owned(), Json::Object(vars));
    }
    for (field, value) in [("children", children), ("hosts", hosts)] {
        if !value.is_empty() {
            fields.insert(field.to_owned(), Json::Object(value));
        }
    }
    Ok(Json::Object(fields))
}

/// As PyYAML writes it.
pub(super) fn yaml(value: &Json) -> Result<String, Error> {
    let source = Str::trusted(
        "data | to_yaml(default_flow_style=False)",
        Arc::new(Origin::new(PathBuf::from("inventory"), 1, 1)),
    );
    let text = expressions::Engine::new().evaluate(&source, &Data(Value::from_json(value)))?.python_str()?;
    Ok(text.lines().map(revealed).collect())
}

/// `name: theseus-encrypted:…` becomes a block of `!vault`.
fn revealed(line: &str) -> String {
    let Some((before, encrypted)) = line.split_once(MARK) else { return format!("{line}\n") };
    let before = before.trim_end_matches('\'');
    let indent = line.len() - line.trim_start().len() + 2;
    let lines = encrypted.trim_end_matches('\'').split('|').map(|line| format!("{:indent$}{line}\n", ""));
    format!("{before}!vault |\n{}", lines.collect::<String>())
}

/// One variable, `data`.
struct Data(Value);

impl Context for Data {
    fn variable(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok((name == "data").then(|| self.0.clone()))
    }
    fn names(&self) -> Vec<String> {
        vec!["data".to_owned()]
    }
    fn lookup(&self, name: &str, _: &[Value], _: &[(Arc<str>, Value)]) -> Result<Vec<Value>, Error> {
        Err(Error::new(format!("there is no lookup {name} here")))
    }
    fn template_source(&self, _: &str) -> Result<Option<(PathBuf, String)>, Error> {
        Ok(None)
    }
}
