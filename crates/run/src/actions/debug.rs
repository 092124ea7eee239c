//! `debug`: show a message or a variable.

use catalog::{Arg, Check, Json, Map, ModuleSpec};
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
    // Shown whole; not so what fails before there is anything to show.
    result.insert("_ansible_verbose_always".to_owned(), true.into());
    let Some(var) = wanted(action)? else {
        let message = action.given("msg")?.map_or(Ok(json!("Hello world!")), |value| json(&value))?;
        result.insert("msg".to_owned(), message);
        return Ok(Work::Done(result));
    };
    if action.task.args_template.is_some() && action.given("msg")?.is_some() {
        return Ok(Work::Done(results::failed("parameters are mutually exclusive: msg|var")));
    }
    show(action, &var, &mut result)?;
    Ok(Work::Done(result))
}

/// What `var` says, unless that is to be left out.
fn wanted(action: &Action<'_>) -> Result<Option<Value>, Error> {
    match action.task.args.get("var") {
        Some(var @ Value::Str(text)) if text.is_template() => {
            Ok(Some(var.clone()).filter(|_| !action.scope.value(var).is_ok_and(|value| value.is_omit())))
        }
        Some(var) => Ok(Some(var.clone())),
        None if action.task.args_template.is_some() => action.get("var"),
        None => Ok(None),
    }
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
    let Value::Str(source) = &name else {
        result.insert(source.as_str().to_owned(), json(&name)?);
        return Ok(());
    };
    if source.origin().is_none() {
        return Err(Error::new(
            "Error while resolving `var` expression: Encountered untrusted template or expression.",
        ));
    }
    let text = source.as_str().to_owned();
    let value = match action
        .walker
        .run
        .engine
        .evaluate(source, action.scope)
        .and_then(|v| v.defined())
        .and_then(|v| if v.is_omit() { Ok(left_out(result)) } else { json(&v) })
    {
        Ok(value) => value,
        Err(error) if error.is_undefined() => with_holes(action, source, result)?,
        Err(error) => return Err(error),
    };
    result.insert(text, value);
    Ok(())
}

/// The value, with words in the place of whatever in it is undefined.
fn with_holes(action: &Action<'_>, source: &Str, result: &mut Map) -> Result<Json, Error> {
    let mut warnings = Vec::new();
    let mut instead = |error: Error| {
        let shown = format!("error {} - {}", warnings.len() + 1, error.message);
        warnings.push(format!("Encountered 1 template error.\n{shown}"));
        json!(format!("<< {shown} >>"))
    };
    let shown = match action.walker.run.engine.evaluate_open(source, action.scope) {
        Ok(value) => value.to_json_or(&mut instead)?,
        Err(error) if error.is_undefined() => instead(error),
        Err(error) => return Err(error),
    };
    result.insert("warnings".to_owned(), json!(warnings));
    Ok(shown)
}

/// There is nothing to leave out: the variable is shown all the same.
fn left_out(result: &mut Map) -> Json {
    let warning = "The result of the `var` expression could not be omitted; a placeholder was used instead.";
    result.insert("warnings".to_owned(), json!([warning]));
    json!("<<Omit>>")
}
