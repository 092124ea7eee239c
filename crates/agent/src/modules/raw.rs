//! `raw`: a line for the user's shell and nothing else.

use catalog::{Arg, Args, Check, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("raw", &[Arg::str("_raw_params").required(), Arg::str("executable")])
        .free_form("_raw_params")
        .open()
        .check(Check::Skip),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if task.check {
        return Ok(Outcome::default().with("skipped", true));
    }
    let line = args.string("_raw_params");
    let process = task.command(args.str("executable").unwrap_or("/bin/sh")).arg("-c").arg(&line);
    let said = if task.no_log { "a line of shell" } else { &line };
    task.cache.forget_all();
    let output = children::watch(task, &format!("ran {said}"), &[], process)??;
    let result = Outcome::changed(true)
        .with("rc", output.rc)
        .with("stdout", output.stdout_text())
        .with("stderr", output.stderr_text());
    if output.ok() {
        return Ok(result);
    }
    Err(Failure { message: "non-zero return code".to_owned(), values: result.values, changed: true })
}
