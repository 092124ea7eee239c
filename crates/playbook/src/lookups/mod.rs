//! Lookups that need files and variables only. Those that need processes or the network are the run's.

mod choose;
mod files;
mod glob;
mod lists;
mod password;
mod tables;
mod variables;

use std::sync::Arc;

use expressions::{Error, Value};

use crate::vars::Scope;

pub(crate) use choose::FOR_LOOP;

/// Arguments of one lookup.
pub(crate) struct Call<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) terms: &'a [Value],
    pub(crate) options: &'a [(Arc<str>, Value)],
}

/// Without its collection: `file`, `flattened`.
pub fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .or_else(|| {
            name.strip_prefix("community.general.")
                .filter(|short| matches!(*short, "flattened" | "cartesian"))
        })
        .unwrap_or(name)
}

/// Whether a lookup's result may depend on what a task on the controller does before it.
fn looks_outside(name: &str) -> bool {
    const INSIDE: [&str; 17] = [
        "items",
        "list",
        "dict",
        "indexed_items",
        "nested",
        "cartesian",
        "together",
        "sequence",
        "subelements",
        "flattened",
        "random_choice",
        "vars",
        "varnames",
        "env",
        "inventory_hostnames",
        "config",
        "password",
    ];
    !INSIDE.contains(&name)
}

/// The results of a lookup, one or more for each term.
pub fn run(
    scope: &Scope,
    name: &str,
    terms: &[Value],
    options: &[(Arc<str>, Value)],
) -> Result<Vec<Value>, Error> {
    let call = Call { scope, terms, options };
    if looks_outside(short_name(name))
        && let Some(ticket) = scope.host().and_then(|host| scope.variables().local_call(host))
    {
        return Err(Error::pending(expressions::PendingWhat::Call(ticket)));
    }
    match short_name(name) {
        "items" => lists::items(&call),
        "list" => Ok(terms.to_vec()),
        "dict" => lists::dict(&call),
        "indexed_items" => lists::indexed_items(&call),
        "nested" => lists::nested(&call),
        "cartesian" => lists::nested(&call),
        "together" => lists::together(&call),
        "sequence" => lists::sequence(&call),
        "subelements" => lists::subelements(&call),
        "flattened" => lists::flattened(&call),
        "random_choice" => choose::random_choice(&call),
        "first_found" => choose::first_found(&call),
        "fileglob" => choose::fileglob(&call),
        "file" => files::file(&call),
        "unvault" => files::unvault(&call),
        "template" => files::template(&call),
        "vars" => variables::vars(&call),
        "varnames" => variables::varnames(&call),
        "env" => variables::env(&call),
        "inventory_hostnames" => variables::inventory_hostnames(&call),
        "config" => variables::config(&call),
        "password" => password::password(&call),
        "ini" => tables::ini(&call),
        "csvfile" => tables::csvfile(&call),
        _ => match scope.variables().outside.lookup(scope, name, terms, options) {
            Some(result) => result,
            None => Err(Error::new(format!("the lookup plugin '{name}' was not found"))),
        },
    }
}

/// An environment variable of the controller; empty if it is not set.
pub(crate) fn environment(name: &str) -> Value {
    Value::from(std::env::var(name).unwrap_or_default())
}

/// Filters that need the project: `fileglob`, `vault`, `unvault`.
pub(crate) fn filter(
    scope: &Scope,
    name: &str,
    value: &Value,
    args: &[Value],
    kwargs: &[(Arc<str>, Value)],
) -> Option<Result<Value, Error>> {
    match short_name(name) {
        "fileglob" => Some(choose::glob_filter(value)),
        "vault" => Some(files::vault_filter(scope, value, args, kwargs)),
        "unvault" => Some(files::unvault_filter(scope, value, args, kwargs)),
        _ => None,
    }
}

impl Call<'_> {
    pub(crate) fn option(&self, name: &str) -> Option<&Value> {
        self.options
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| value)
            .filter(|value| !value.is_none())
    }
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        self.option(name).map(Value::python_str).transpose()
    }
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        let Some(value) = self.option(name) else { return Ok(default) };
        match value {
            Value::Bool(flag) => Ok(*flag),
            Value::Int(number) => Ok(*number != 0),
            other => Ok(catalog::arguments::truth(&other.python_str()?).unwrap_or(default)),
        }
    }
    /// The terms as text.
    pub(crate) fn texts(&self) -> Result<Vec<String>, Error> {
        self.terms.iter().map(|term| term.clone().defined()?.python_str()).collect()
    }
}

/// The elements of a list or tuple; anything else is one element.
pub(crate) fn elements(value: &Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::List(list) => list.items(),
        Value::Tuple(items) => Ok(items.to_vec()),
        Value::Undefined(missing) => Err(missing.error()),
        other => Ok(vec![other.clone()]),
    }
}

#[cfg(test)]
mod tests;
