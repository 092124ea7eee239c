//! `fail`: stop here, with a message.

use catalog::{Arg, Check, ModuleSpec};
use expressions::Error;

use super::Action;
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("fail", ARGS).check(Check::Query);

const ARGS: &[Arg] = &[Arg::str("msg").default("Failed as requested from task")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let message = action.text("msg")?.unwrap_or_else(|| "Failed as requested from task".to_owned());
    Ok(Work::Done(results::failed(message)))
}
