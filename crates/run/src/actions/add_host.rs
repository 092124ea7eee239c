//! `add_host`: a host that the inventory did not know.

use catalog::{Arg, Check, Json, Map, ModuleSpec};
use expressions::Error;

use super::{Action, Effect};
use crate::results;
use crate::walker::prepare::{Work, json};

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("add_host", ARGS)
    .asked(&[("", "", &["name"], "name, host or hostname needs to be provided")])
    .check(Check::Query)
    .open();

const ARGS: &[Arg] =
    &[Arg::str("name").aliases(&["hostname", "host"]), Arg::list("groups").aliases(&["groupname", "group"])];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let first = |names: &[&str]| -> Result<Option<String>, Error> {
        for name in names {
            if let Some(text) = action.text(name)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    };
    let Some(name) = first(&["name", "hostname", "host"])? else {
        return Ok(Work::Done(results::failed("name, host or hostname needs to be provided")));
    };
    let (name, port) = address(name);
    let mut groups = Vec::new();
    for key in ["groups", "groupname", "group"] {
        groups.extend(action.strings(key)?);
    }
    let mut vars = Vec::new();
    let mut shown = Map::new();
    let mut given = Vec::new();
    if let Some(template) = &action.task.args_template
        && let Some(dict) = action.scope.value(template)?.resolved()?.as_dict()
    {
        for (key, value) in dict.items()? {
            given.push((key.python_str()?, value));
        }
    }
    given.extend(action.task.args.iter().map(|(key, value)| (key.to_string(), value.clone())));
    for (key, value) in given {
        if ["name", "hostname", "host", "groups", "groupname", "group"].contains(&key.as_str()) {
            continue;
        }
        let value = action.scope.value(&value)?.resolved()?;
        if !value.is_omit() {
            shown.insert(key.clone(), json(&value)?);
            vars.push((key, value));
        }
    }
    if let Some(port) = port {
        shown.insert("ansible_ssh_port".to_owned(), port.into());
        vars.push(("ansible_ssh_port".to_owned(), expressions::Value::Int(port)));
    }
    let mut result = results::ok(is_new(action, &name, &groups, &vars));
    let added = serde_json::json!({"host_name": name, "groups": groups, "host_vars": Json::Object(shown)});
    result.insert("add_host".to_owned(), added);
    Ok(Work::Effect(result, Effect::AddHost { name, groups, vars }))
}

/// Whether the inventory changes by it.
fn is_new(action: &Action<'_>, name: &str, groups: &[String], vars: &[(String, expressions::Value)]) -> bool {
    let inventory = action.scope.variables().inventory();
    let Some(host) = inventory.host(name) else { return true };
    let known = inventory.group_names(name);
    let same = |(key, value): &(String, expressions::Value)| {
        let old = host.vars.get(key.as_str()).and_then(|old| old.to_json().ok());
        old.is_some() && old == value.to_json().ok()
    };
    !groups.iter().all(|group| known.contains(group)) || !vars.iter().all(same)
}

/// `host:22` is a host and a port.
fn address(name: String) -> (String, Option<i64>) {
    let Some((host, port)) = name.rsplit_once(':') else { return (name, None) };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match port.parse() {
        Ok(port) if !host.is_empty() && (!host.contains(':') || name.starts_with('[')) => {
            (host.to_owned(), Some(port))
        }
        _ => (name, None),
    }
}
