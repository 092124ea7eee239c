//! `assert`: conditions that must hold.

use catalog::{Arg, Check, ModuleSpec};
use expressions::{Error, Str, Value};

use super::Action;
use crate::results;
use crate::walker::prepare::{Work, json};

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("assert", ARGS).check(Check::Query);

const ARGS: &[Arg] = &[
    Arg::raw("that").required(),
    Arg::raw("fail_msg").aliases(&["msg"]),
    Arg::raw("success_msg"),
    Arg::bool("quiet").default("false"),
];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let conditions = conditions(action)?;
    for condition in &conditions {
        check(condition)?;
    }
    for (name, shown) in [("fail_msg", "fail_msg"), ("msg", "fail_msg"), ("success_msg", "success_msg")] {
        if let Some(message) = action.get(name)? {
            check_message(shown, &message)?;
        }
    }
    let quiet = action.flag("quiet", false)?;
    for condition in &conditions {
        if !action.walker.run.engine.condition(condition, action.scope)? {
            let message = match action.get("fail_msg")?.or(action.get("msg")?) {
                Some(value) => json(&value)?,
                None => "Assertion failed".into(),
            };
            let mut result = results::failed("");
            result.insert("msg".to_owned(), message);
            result.insert("_ansible_verbose_always".to_owned(), (!quiet).into());
            result.insert("evaluated_to".to_owned(), false.into());
            result.insert("assertion".to_owned(), json(condition)?);
            return Ok(Work::Done(result));
        }
    }
    let mut result = results::ok(false);
    let message = match action.get("success_msg")? {
        Some(value) => json(&value)?,
        None => "All assertions passed".into(),
    };
    result.insert("msg".to_owned(), message);
    // Reports show it unless it was told to be quiet.
    result.insert("_ansible_verbose_always".to_owned(), (!quiet).into());
    if matches!(action.task.args.get("that"), Some(Value::Str(text)) if is_wrapped(text)) {
        let old = "Conditionals should not be surrounded by templating delimiters such as {{ }} or {% %}.";
        result.insert("deprecations".to_owned(), serde_json::json!([{"msg": old, "version": "2.23"}]));
    }
    Ok(Work::Done(result))
}

/// A message is a text, or texts.
fn check_message(name: &str, message: &Value) -> Result<(), Error> {
    let texts = message.as_list().is_some_and(|list| list.iter().all(|one| matches!(one, Value::Str(_))));
    if texts || matches!(message, Value::Str(_) | Value::None) {
        return Ok(());
    }
    Err(Error::new(format!(
        "argument '{name}' is of type {} and we were unable to convert to str_or_list_of_str: a string or list of \
         strings is required",
        message.type_name()
    )))
}

/// A template that gives the condition, not a condition with templates in its texts.
fn is_wrapped(text: &Str) -> bool {
    text.is_template() && ["{{", "{%"].iter().any(|start| text.as_str().trim_start().starts_with(start))
}

/// The conditions as written: they are expressions, not templates. A template that gives a list gives conditions.
fn conditions(action: &Action<'_>) -> Result<Vec<Value>, Error> {
    let that = match action.task.args.get("that") {
        Some(that @ Value::Str(text)) if is_wrapped(text) => action.scope.value(that)?,
        Some(other) => other.clone(),
        None => action.given("that")?.ok_or_else(|| Error::new("missing required arguments: that"))?,
    };
    Ok(match &that {
        Value::List(list) => list.raw_items(),
        _ => vec![that],
    })
}

/// A condition must be there, and written by a person: text that a template made is data.
fn check(condition: &Value) -> Result<(), Error> {
    match condition {
        Value::None => Err(Error::new("Empty conditional expressions are not allowed.")),
        Value::Str(text) if text.as_str().trim().is_empty() => {
            Err(Error::new("Empty conditional expressions are not allowed."))
        }
        Value::Str(text) if text.origin().is_none() => {
            Err(Error::new(format!("Encountered untrusted template or expression: {}", text.as_str())))
        }
        _ => Ok(()),
    }
}
