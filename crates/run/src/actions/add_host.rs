//! `add_host`: a host that the inventory did not know.

use catalog::{Arg, Check, Json, Map, ModuleSpec};
use expressions::Error;

use super::{Action, Effect};
use crate::results;
use crate::walker::prepare::{Work, json};

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("add_host", ARGS).check(Check::Query).open();

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
    let mut groups = Vec::new();
    for key in ["groups", "groupname", "group"] {
        groups.extend(action.strings(key)?);
    }
    let mut vars = Vec::new();
    let mut shown = Map::new();
    for (key, value) in action.task.args.iter() {
        if ["name", "hostname", "host", "groups", "groupname", "group"].contains(&&**key) {
            continue;
        }
        let value = action.scope.value(value)?.resolved()?;
        if !value.is_omit() {
            shown.insert(key.to_string(), json(&value)?);
            vars.push((key.to_string(), value));
        }
    }
    let mut result = results::ok(true);
    let added = serde_json::json!({"host_name": name, "groups": groups, "host_vars": Json::Object(shown)});
    result.insert("add_host".to_owned(), added);
    Ok(Work::Effect(result, Effect::AddHost { name, groups, vars }))
}
