//! `set_fact`: variables of the host, final from now on.

use catalog::{Arg, Check, Json, Map, ModuleSpec};
use expressions::{Error, Str, Value};

use super::{Action, Effect};
use crate::results;
use crate::walker::prepare::{Work, as_bool, json};

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("set_fact", ARGS).check(Check::Query).open();

const ARGS: &[Arg] = &[Arg::bool("cacheable").default("false")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let older = action.walker.run.engine.options().text_templates;
    let told = |value: Value| if older { truth_told(value) } else { value };
    let mut facts = Vec::new();
    let mut cacheable = false;
    if let Some(template) = &action.task.args_template
        && let Some(dict) = action.scope.value(template)?.resolved()?.as_dict()
    {
        for (name, value) in dict.items()? {
            let name = name.python_str()?;
            if name == "cacheable" {
                cacheable = as_bool(&value)?;
            } else {
                facts.push((name, told(value)));
            }
        }
    }
    for (name, value) in action.task.args.iter() {
        let value = action.scope.value(value)?.resolved()?;
        if &**name == "cacheable" {
            cacheable = as_bool(&value)?;
        } else if !value.is_omit() {
            facts.push((resolve_name(action, name)?, told(value.defined()?)));
        }
    }
    if facts.is_empty() {
        return Ok(Work::Done(results::failed(
            "No key/value pairs provided, at least one is required for this action to succeed",
        )));
    }
    if let Some((name, _)) = facts.iter().find(|(name, _)| !is_identifier(name)) {
        return Ok(Work::Done(results::failed(invalid_name(name))));
    }
    let mut shown = Map::new();
    for (name, value) in &facts {
        shown.insert(name.clone(), json(value)?);
    }
    let mut result = results::ok(false);
    result.insert("ansible_facts".to_owned(), Json::Object(shown));
    result.insert("_ansible_facts_cacheable".to_owned(), cacheable.into());
    Ok(Work::Effect(result, Effect::SetFact { facts, cacheable }))
}

/// 2.18 took words for true and false as what they say.
fn truth_told(value: Value) -> Value {
    match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("true" | "yes") => Value::Bool(true),
        Some("false" | "no") => Value::Bool(false),
        _ => value,
    }
}

/// A name may be a template.
fn resolve_name(action: &Action<'_>, name: &str) -> Result<String, Error> {
    if !name.contains("{{") {
        return Ok(name.to_owned());
    }
    let value = action.scope.value(&Value::Str(Str::trusted(name, action.task.origin.clone())))?;
    match &value {
        Value::Str(text) => Ok(text.as_str().to_owned()),
        other => Err(Error::new(format!(
            "Invalid variable name '{}' of type '{}': names are text",
            other.python_str()?,
            other.type_name()
        ))),
    }
}

pub(super) fn invalid_name(name: &str) -> String {
    format!(
        "Invalid variable name '{name}': it must begin with a letter or `_` and go on with letters, digits and `_`"
    )
}

/// Words of expressions cannot be names.
const RESERVED: [&str; 7] = ["true", "false", "none", "True", "False", "None", "not"];

pub(super) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name)
}
