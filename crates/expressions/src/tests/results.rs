//! Tests of the results of tasks.

use super::Function;
use crate::error::Error;
use crate::filters::to_bool;
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "failed" | "failure" => |_, value, _| flag(value, "failed"),
        "success" | "succeeded" | "successful" => |_, value, _| flag(value, "failed").map(|failed| !failed),
        "changed" | "change" => |_, value, _| changed(value),
        "skipped" | "skip" => |_, value, _| flag(value, "skipped"),
        "started" => |_, value, _| flag_or(value, "started", true),
        "finished" => |_, value, _| flag_or(value, "finished", true),
        "unreachable" => |_, value, _| flag(value, "unreachable"),
        "reachable" => |_, value, _| flag(value, "unreachable").map(|unreachable| !unreachable),
        "timedout" => |_, value, _| {
            let found = field(value, "timedout")?;
            match found {
                Some(Value::Dict(details)) => {
                    details.get("period")?.map_or(Ok(false), |period| period.truth())
                }
                Some(other) => other.truth(),
                None => Ok(false),
            }
        },
        _ => return None,
    })
}

fn field(value: &Value, name: &str) -> Result<Option<Value>, Error> {
    match value {
        Value::Undefined(missing) => Err(missing.error()),
        Value::Dict(result) => result.get(name),
        Value::Object(object) if object.keys().is_some() => object.get(&Value::str(name)),
        other => Err(Error::new(format!(
            "the test '{name}' expects the result of a task, not '{}'",
            other.type_name()
        ))),
    }
}

fn flag(value: &Value, name: &str) -> Result<bool, Error> {
    flag_or(value, name, false)
}

fn flag_or(value: &Value, name: &str, otherwise: bool) -> Result<bool, Error> {
    match field(value, name)? {
        None => Ok(otherwise),
        Some(Value::Str(text)) => to_bool(&Value::Str(text)),
        Some(other) => other.truth(),
    }
}

fn changed(value: &Value) -> Result<bool, Error> {
    if field(value, "changed")?.is_some() {
        return flag(value, "changed");
    }
    let Some(results) = field(value, "results")? else { return Ok(false) };
    for result in results.iterate()? {
        if matches!(result, Value::Dict(_)) && flag(&result, "changed")? {
            return Ok(true);
        }
    }
    Ok(false)
}
