//! `ping`: is the host there, can it be worked on.

use catalog::{Arg, Args, Check, ModuleSpec};

use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("ping", &[Arg::str("data").default("pong")]).check(Check::Query),
    run,
};

fn run(args: &Args, _: &mut Task<'_>) -> Result<Outcome, Failure> {
    match args.string("data") {
        data if data == "crash" => Err("Task failed: Module failed: boom".into()),
        data => Ok(Outcome::default().with("ping", data)),
    }
}
