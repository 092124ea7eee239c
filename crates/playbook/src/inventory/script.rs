//! Programs that print an inventory as JSON: `--list`, and `--host NAME` where they do not print `_meta`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use expressions::Origin;
use serde_json::{Map, Value as Json};

use super::Inventory;
use crate::diagnostic::{Diagnostic, Result};
use crate::vault::Vault;
use crate::yaml::Node;

/// The program could not be run at all: perhaps it is only a text file with a wrong mode.
pub(super) enum Failure {
    NotAProgram,
    Failed(Diagnostic),
}

pub(super) fn read(path: &Path, inventory: &mut Inventory) -> std::result::Result<(), Failure> {
    let printed = match run(path, &["--list"]) {
        Ok(printed) => printed,
        Err(error) if error.raw_os_error() == Some(8) => return Err(Failure::NotAProgram),
        Err(error) => return Err(Failure::Failed(failed(path, &error.to_string()))),
    };
    let groups = object(path, &printed).map_err(Failure::Failed)?;
    Program { path, origin: Arc::new(Origin::new(path, 1, 1)) }
        .add(&groups, inventory)
        .map_err(Failure::Failed)
}

fn failed(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::new(format!("the inventory program {} failed: {why}", path.display()))
}

fn run(path: &Path, arguments: &[&str]) -> std::io::Result<String> {
    let program = std::path::absolute(path)?;
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(std::io::Error::other(format!("{}: {}", output.status, complaint.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn object(path: &Path, printed: &str) -> Result<Map<String, Json>> {
    match serde_json::from_str(printed) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(failed(path, "it did not print a JSON object")),
        Err(error) => Err(failed(path, &format!("what it printed is not JSON ({error})"))),
    }
}

struct Program<'a> {
    path: &'a Path,
    origin: Arc<Origin>,
}

impl Program<'_> {
    fn add(&self, groups: &Map<String, Json>, inventory: &mut Inventory) -> Result<()> {
        let host_vars = groups.get("_meta").map(|meta| meta.get("hostvars").and_then(Json::as_object));
        let before = inventory.hosts.len();
        for (name, body) in groups.iter().filter(|(name, _)| *name != "_meta") {
            inventory.add_group(name);
            self.group(name, body, inventory)?;
        }
        match host_vars {
            Some(known) => {
                for (host, vars) in known.into_iter().flatten() {
                    // Variables of hosts that are in no group make nobody a member of the inventory.
                    self.host_vars(host, vars, inventory)?;
                }
            }
            None => {
                let added: Vec<String> = inventory.hosts.keys().skip(before).cloned().collect();
                for host in added {
                    let printed = run(self.path, &["--host", &host])
                        .map_err(|error| failed(self.path, &error.to_string()))?;
                    let vars =
                        if printed.trim().is_empty() { Map::new() } else { object(self.path, &printed)? };
                    self.host_vars(&host, &Json::Object(vars), inventory)?;
                }
            }
        }
        Ok(())
    }

    fn group(&self, name: &str, body: &Json, inventory: &mut Inventory) -> Result<()> {
        let wrong = |what: &str| failed(self.path, &format!("{what} of the group '{name}' has a wrong type"));
        let fields = match body {
            Json::Array(_) => Map::from_iter([("hosts".to_owned(), body.clone())]),
            Json::Object(fields)
                if fields.keys().any(|key| matches!(key.as_str(), "hosts" | "vars" | "children")) =>
            {
                fields.clone()
            }
            // The old form: a group that is a host with its variables.
            Json::Object(_) => Map::from_iter([
                ("hosts".to_owned(), Json::Array(vec![Json::String(name.to_owned())])),
                ("vars".to_owned(), body.clone()),
            ]),
            _ => return Err(wrong("the value")),
        };
        for host in strings(fields.get("hosts")).ok_or_else(|| wrong("`hosts`"))? {
            inventory.ensure_host(&host);
            inventory.join(&host, name);
        }
        match fields.get("vars") {
            None | Some(Json::Null) => {}
            Some(Json::Object(vars)) => {
                for (key, value) in vars {
                    inventory.set_group_var(name, key, self.value(value));
                }
            }
            Some(_) => return Err(wrong("`vars`")),
        }
        for child in strings(fields.get("children")).ok_or_else(|| wrong("`children`"))? {
            inventory.add_group(&child);
            inventory.add_child(name, &child).map_err(|error| error.at(&self.origin))?;
        }
        Ok(())
    }

    fn host_vars(&self, host: &str, vars: &Json, inventory: &mut Inventory) -> Result<()> {
        let Json::Object(vars) = vars else {
            return Err(failed(self.path, &format!("the variables of the host '{host}' are not an object")));
        };
        if let Some(host) = inventory.hosts.get_mut(host) {
            host.vars.extend(vars.iter().map(|(name, value)| (name.clone(), self.value(value))));
        }
        Ok(())
    }

    fn value(&self, json: &Json) -> expressions::Value {
        Node::from_json(json, &self.origin).to_value(&Vault::new())
    }
}

/// A list of names; nothing is an empty list.
fn strings(json: Option<&Json>) -> Option<Vec<String>> {
    match json {
        None | Some(Json::Null) => Some(Vec::new()),
        Some(Json::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    }
}
