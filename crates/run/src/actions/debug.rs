//! `debug`: show a message or a variable.

use catalog::{Arg, Check, Map, ModuleSpec};
use expressions::{Error, Str, Value};
use serde_json::json;

use super::Action;
use crate::results;
use crate::walker::prepare::{Work, json};

pub(super) static SPEC: ModuleSpec =
    ModuleSpec::builtin("debug", ARGS).check(Check::Query).mutually_exclusive(&[&["msg", "var"]]);

const ARGS: &[Arg] =
    &[Arg::raw("msg").default("Hello world!"), Arg::raw("var"), Arg::int("verbosity").default("0")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let verbosity =
        action.get("verbosity")?.and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok())).unwrap_or(0);
    if verbosity > i64::from(action.walker.run.settings.verbosity) {
        let mut result = results::skipped("Verbosity threshold not met.");
        result.insert("skipped_reason".to_owned(), "Verbosity threshold not met.".into());
        return Ok(Work::Done(result));
    }
    let mut result = results::ok(false);
    match action.task.args.get("var") {
        Some(var) => show(action, var, &mut result)?,
        None => {
            let message = match action.get("msg")? {
                Some(value) => json(&value)?,
                None => json!("Hello world!"),
            };
            result.insert("msg".to_owned(), message);
        }
    }
    Ok(Work::Done(result))
}

fn show(action: &Action<'_>, var: &Value, result: &mut Map) -> Result<(), Error> {
    if matches!(var, Value::List(_) | Value::Dict(_)) {
        return Err(Error::new(format!(
            "argument 'var' is of type {} and we were unable to convert to _check_type_str_no_conversion: '{}' \
             is not a string and conversion is not allowed",
            var.type_name(),
            var.python_str()?
        )));
    }
    let Value::Str(source) = var else {
        result.insert(var.python_str()?, json(&action.scope.value(var)?)?);
        return Ok(());
    };
    // `var: "{{ name }}"` shows the variable whose name that gives.
    let name = if source.is_template() { action.scope.value(var)?.resolved()? } else { var.clone() };
    let Some(text) = name.as_str().map(str::to_owned) else {
        result.insert(source.as_str().to_owned(), json(&name)?);
        return Ok(());
    };
    if source.origin().is_none() {
        return Err(Error::new(
            "Error while resolving `var` expression: Encountered untrusted template or expression.",
        ));
    }
    let source = match source.origin() {
        Some(origin) => Str::trusted(text.as_str(), origin.clone()),
        None => Str::new(text.as_str()),
    };
    let value = match action
        .walker
        .run
        .engine
        .evaluate(&source, action.scope)
        .and_then(|v| v.defined())
        .and_then(|v| json(&v))
    {
        Ok(value) => value,
        Err(error) if error.is_undefined() && !is_set(action, &text) => {
            let warning = format!("`debug: var={text}`: {}", error.message);
            result.insert("warnings".to_owned(), json!([warning]));
            json!("VARIABLE IS NOT DEFINED!")
        }
        Err(error) if error.is_undefined() => json!(format!("<< error 1 - {} >>", error.message)),
        Err(error) => return Err(error),
    };
    result.insert(text, value);
    Ok(())
}

/// Whether it is the name of a variable that somebody set, though its template may need one that nobody did.
fn is_set(action: &Action<'_>, name: &str) -> bool {
    !matches!(action.scope.given(name), Ok(None))
}
