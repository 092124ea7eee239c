//! `shell`: a line for a shell.

use catalog::{Args, Json, ModuleSpec};

use super::command::{ONE_WAY, SHELL_ARGS as ARGS, carry_out, line};
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("shell", ARGS)
        .free_form("_raw_params")
        .mutually_exclusive(ONE_WAY)
        .required_one_of(ONE_WAY),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let text = if args.has("argv") { args.strings("argv").join(" ") } else { line(args)? };
    let shell = args.str("executable").unwrap_or("/bin/sh");
    let process = task.command(shell).arg("-c").arg(&text);
    carry_out(args, task, process, Json::String(text))
}
