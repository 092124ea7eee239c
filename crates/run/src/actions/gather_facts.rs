//! `gather_facts`: what the play does before its first task.

use catalog::{Arg, Check, ModuleSpec};
use expressions::Error;

use super::Action;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("gather_facts", ARGS).check(Check::Query).open();

const ARGS: &[Arg] = &[Arg::bool("parallel")];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let mut args = action.arguments()?;
    args.shift_remove("parallel");
    action.remote("setup", args, None)
}
