//! `drift`: what is otherwise on this host than it should be; put back, or accepted. Asked by `theseus drift`, `compare`.

use std::path::PathBuf;

use catalog::{Arg, Args, Check, ModuleSpec};
use drift::look::{self, Seen, Wish};
use serde_json::json;

use crate::host::clone;
use crate::host::mend::{self, Chosen};
use crate::module::{Failure, Module, Outcome, Task};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "drift",
        &[
            Arg::str("ask").required().choices(&["look", "fix", "accept", "prints", "ahead", "bisect"]),
            Arg::bool("full").default("false"),
            Arg::bool("all").default("false"),
            Arg::list("paths"),
            Arg::list("objects"),
            Arg::list("only"),
            Arg::str("reason"),
            Arg::int("limit"),
            Arg::int("cpu"),
            Arg::bool("histories").default("false"),
            Arg::str("check"),
            Arg::int("good"),
        ],
    )
    .collection("theseus.host")
    .check(Check::Full),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let state_dir = task.recorder.state_dir().to_owned();
    let only: Vec<PathBuf> = args.strings("only").into_iter().map(PathBuf::from).collect();
    if args.string("ask") == "ahead" {
        return ahead(&state_dir);
    }
    if args.string("ask") == "bisect" {
        let good = args.int("good").and_then(|n| u64::try_from(n).ok());
        let found = clone::bisect(task, &args.string("check"), good)?;
        return Ok(Outcome { values: found, ..Outcome::changed(false) });
    }
    let number = |name: &str| args.int(name).and_then(|n| u64::try_from(n).ok());
    let wish = Wish {
        state_dir: &state_dir,
        full: args.bool("full"),
        only,
        limit: number("limit"),
        cpu: number("cpu"),
        histories: args.bool("histories"),
        cancelled: task.cancelled,
    };
    if args.string("ask") == "prints" {
        let prints = look::prints(&wish)?;
        return Ok(Outcome::changed(false).with("prints", json!(prints)));
    }
    let seen = look::look(&wish)?;
    let mut outcome = told(&seen, args.bool("all"));
    let (paths, objects) = (args.strings("paths"), args.strings("objects"));
    let chosen = Chosen { paths: &paths, objects: &objects, reason: &args.string("reason") };
    let done = match args.string("ask").as_str() {
        "fix" => mend::fix(task, &seen, &chosen)?,
        "accept" => mend::accept(task, &seen, &chosen)?,
        _ => return Ok(outcome),
    };
    outcome.changed = !done.is_empty();
    outcome.values.extend(done.told());
    Ok(outcome)
}

/// What was found: alarms in full, the rest counted.
fn told(seen: &Seen, all: bool) -> Outcome {
    let mut explained: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for finding in seen.findings.iter().filter(|f| !f.alarms()) {
        // One line stands for all paths that our own layers changed.
        let text = finding.explained.as_deref().unwrap_or_default();
        let number = text.split_once(' ').and_then(|(n, _)| n.parse().ok()).filter(|_| finding.object.as_deref() == Some("layers"));
        let by = if number.is_some() { "changed by our own layers" } else { text };
        *explained.entry(by).or_default() += number.unwrap_or(1);
    }
    let shown: Vec<_> = seen.findings.iter().filter(|f| all || f.alarms()).collect();
    let stats = &seen.stats;
    Outcome::changed(false)
        .with("findings", json!(shown))
        .with("explained", json!(explained))
        .with("first", seen.first)
        .with("baseline", json!(seen.baseline))
        .with("generation", seen.head)
        .with(
            "scan",
            json!({
                "entries": stats.entries,
                "files_read": stats.files_read,
                "bytes_read": stats.bytes_read,
                "seconds": stats.seconds,
                "memory": peak_memory(),
            }),
        )
}

/// The most that this process ever had in memory, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Before a run: which paths that layers of ours left are otherwise now. Cheap: no scan.
fn ahead(state_dir: &std::path::Path) -> Result<Outcome, Failure> {
    let drifted = look::declared_drift(state_dir)?;
    Ok(Outcome::changed(false).with("drifted", json!(drifted)))
}
