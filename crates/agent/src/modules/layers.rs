//! `layers`: the host's own record of what was done to it, asked by `theseus show`, `diff`, `rollback`, `store`.

use catalog::{Arg, Args, Check, ModuleSpec};
use serde_json::json;

use crate::host::{housekeeping, told, undo};
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "layers",
        &[
            Arg::str("ask").required().choices(&[
                "generations",
                "show",
                "states",
                "undo",
                "store",
                "prune",
                "pin",
                "unpin",
            ]),
            Arg::int("generation"),
            Arg::list("paths"),
            Arg::bool("contents").default("false"),
            Arg::bool("force").default("false"),
            Arg::bool("check").default("false"),
            Arg::int("keep"),
            Arg::int("days"),
            Arg::int("bytes"),
        ],
    )
    .collection("theseus.host")
    .required_if(&[("ask", "show", &["generation"], false)])
    .check(Check::Full),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let state_dir = task.recorder.state_dir().to_owned();
    let generation = args.int("generation").and_then(|n| u64::try_from(n).ok());
    let paths = args.strings("paths");
    let mut changed = false;
    let mut values = match args.string("ask").as_str() {
        "show" => told::show(&state_dir, generation.unwrap_or_default())?,
        "states" => told::states(&state_dir, generation, &paths, args.bool("contents"))?,
        "undo" => {
            let wish = undo::Wish { to: generation, force: args.bool("force"), check: task.check || args.bool("check"), paths: &paths };
            let (values, done) = undo::by_task(task, &state_dir, &wish)?;
            changed = done;
            values
        }
        "store" => housekeeping::store(&state_dir, args.bool("check"))?,
        "prune" => {
            let number = |name: &str| args.int(name).and_then(|n| u64::try_from(n).ok());
            let policy = housekeeping::policy(number("keep"), number("days"), number("bytes"));
            housekeeping::prune(&state_dir, &policy, task.check)?
        }
        ask @ ("pin" | "unpin") => {
            housekeeping::pin(&state_dir, generation.unwrap_or_default(), ask == "pin")?
        }
        _ => told::generations(&state_dir)?,
    };
    values.insert("uid".to_owned(), json!(rustix::process::geteuid().as_raw()));
    let mut outcome = Outcome::changed(changed);
    outcome.values = values;
    Ok(outcome)
}
