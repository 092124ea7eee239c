//! `stat`: everything about a path.

use catalog::{Arg, Args, Check, ModuleSpec};

use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[Arg::path("path").required().aliases(&["dest", "name"])];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("stat", ARGS).check(Check::Query), run };

fn run(_args: &Args, _task: &mut Task<'_>) -> Result<Outcome, Failure> {
    Err("not yet".into())
}
