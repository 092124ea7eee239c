//! `set_stats`: numbers and words for the end of the run.

use catalog::{Arg, Check, Json, ModuleSpec};
use expressions::Error;

use super::{Action, Effect};
use crate::results;
use crate::walker::prepare::{Work, json};

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("set_stats", ARGS).check(Check::Query);

const ARGS: &[Arg] = &[Arg::raw("data").required(), Arg::raw("per_host"), Arg::raw("aggregate")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let data = match action.get("data")? {
        Some(value) => json(&value)?,
        None => Json::Null,
    };
    let Json::Object(data) = data else {
        return Ok(Work::Done(results::failed("The 'data' option needs to be a dictionary/hash")));
    };
    if let Some(name) = data.keys().find(|name| !super::set_fact::is_identifier(name)) {
        return Ok(Work::Done(results::failed(super::set_fact::invalid_name(name))));
    }
    // What is neither true nor false counts as false here.
    let flag = |name: &str, default| action.flag(name, default).unwrap_or(false);
    let (per_host, aggregate) = (flag("per_host", false), flag("aggregate", true));
    let mut result = results::ok(false);
    let stats = serde_json::json!({"data": data, "per_host": per_host, "aggregate": aggregate});
    result.insert("ansible_stats".to_owned(), stats);
    Ok(Work::Effect(result, Effect::SetStats { data, per_host, aggregate }))
}
