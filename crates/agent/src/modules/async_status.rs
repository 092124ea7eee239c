//! `async_status`: how far is a task that was started in the background.

use catalog::{Arg, Args, Check, Json, ModuleSpec};
use serde_json::json;

use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] =
    &[Arg::str("jid").required(), Arg::str("mode").default("status").choices(&["status", "cleanup"])];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("async_status", ARGS).check(Check::Query), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let id = args.string("jid");
    let unknown = || {
        let empty = Failure::new("could not find job").with("stdout", "").with("stderr", "");
        empty.with("ansible_job_id", id.clone()).with("started", true).with("finished", true)
    };
    let state_dir = task.recorder.state_dir();
    let note = crate::jobs::note(&id).ok_or_else(unknown)?;
    let file = state_dir.join(&note);
    let shown = file.to_string_lossy().into_owned();
    let text = std::fs::read(&file).map_err(|_| unknown().with("results_file", shown.clone()))?;
    if args.string("mode") == "cleanup" {
        // Our own note, no part of the host's configuration: it belongs to no layer.
        layer::Notes::of(state_dir).remove(&note)?;
        return Ok(Outcome::default().with("ansible_job_id", id).with("erased", shown));
    }
    let Ok(Json::Object(mut values)) = serde_json::from_slice(&text) else {
        return Err(
            Failure::new(format!("the result in {shown} cannot be read")).with("ansible_job_id", id.clone())
        );
    };
    for (key, value) in
        [("stdout", json!("")), ("stderr", json!("")), ("started", json!(true)), ("finished", json!(false))]
    {
        values.entry(key).or_insert(value);
    }
    values.insert("results_file".to_owned(), json!(shown));
    let changed = values.remove("changed").is_some_and(|c| c == true);
    if values.remove("failed").is_some_and(|f| f == true) {
        let message = values.remove("msg").map(|m| catalog::arguments::text(&m)).unwrap_or_default();
        return Err(Failure { message, values, changed });
    }
    Ok(Outcome { changed, values, diff: Vec::new() })
}
