//! `set_stats`: numbers and words for the end of the run.

use catalog::{Arg, Check, Json, ModuleSpec};
use expressions::Error;

use super::{Action, Effect};
use crate::results;
use crate::walker::prepare::{Work, json};

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("set_stats", ARGS).check(Check::Query);

const ARGS: &[Arg] = &[
    Arg::dict("data").required(),
    Arg::bool("per_host").default("false"),
    Arg::bool("aggregate").default("true"),
];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let data = match action.get("data")? {
        Some(value) => json(&value)?,
        None => Json::Null,
    };
    let Json::Object(data) = data else {
        return Ok(Work::Done(results::failed("the argument `data` of `set_stats` must be a dictionary")));
    };
    let (per_host, aggregate) = (action.flag("per_host", false)?, action.flag("aggregate", true)?);
    let mut result = results::ok(false);
    let stats = serde_json::json!({"data": data, "per_host": per_host, "aggregate": aggregate});
    result.insert("ansible_stats".to_owned(), stats);
    Ok(Work::Effect(result, Effect::SetStats { data, per_host, aggregate }))
}
