//! `setup` (and `gather_facts`): what is true of this host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use catalog::{Arg, Args, Check, Json, ModuleSpec};

use crate::facts::{self, Request, Said};
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "setup",
        &[
            Arg::list("gather_subset").default("all"),
            Arg::int("gather_timeout").default("10"),
            Arg::list("filter").default(""),
            Arg::path("fact_path").default("/etc/ansible/facts.d"),
        ],
    )
    .check(Check::Query),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let seconds = args.int("gather_timeout").and_then(|n| u64::try_from(n).ok()).unwrap_or(10);
    let (subset, filter) = (args.strings("gather_subset"), args.strings("filter"));
    let fact_path = PathBuf::from(args.string("fact_path"));
    let request = Request {
        subset: &subset,
        filter: &filter,
        fact_path: &fact_path,
        timeout: Duration::from_secs(seconds),
        environment: task.environment,
    };
    let children = |argv: &[&str]| {
        let run = task.command(argv.first()?).args(&argv[1..]).timeout(Duration::from_secs(seconds));
        let output = run.output().ok()?;
        Some(Said { rc: output.rc, stdout: output.stdout_text(), stderr: output.stderr_text() })
    };
    let (found, warnings) = facts::gather(Path::new("/"), &request, &children)?;
    task.warnings.extend(warnings);
    Ok(Outcome::default().with("ansible_facts", Json::Object(found)))
}
