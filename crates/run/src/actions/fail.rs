//! `fail`: stop here, with a message.

use catalog::{Arg, Check, ModuleSpec};
use expressions::Error;

use super::Action;
use crate::results;
use crate::walker::prepare::{Work, json};

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("fail", ARGS).check(Check::Query);

const ARGS: &[Arg] = &[Arg::raw("msg").default("Failed as requested from task")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let mut result = results::failed("Failed as requested from task");
    if let Some(message) = action.get("msg")? {
        result.insert("msg".to_owned(), json(&message)?);
    }
    Ok(Work::Done(result))
}
