//! `service`: a service, whatever starts services on this host.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::facts::settings;
use crate::facts::source::Source;
use crate::module::{Failure, Module, Outcome, Task};
use crate::services::{systemd, sysv};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "service",
        &[
            Arg::str("name").required(),
            Arg::str("state").choices(&["started", "stopped", "reloaded", "restarted"]),
            Arg::int("sleep"),
            Arg::str("pattern"),
            Arg::bool("enabled"),
            Arg::str("runlevel").default("default"),
            Arg::str("arguments").default("").aliases(&["args"]),
            Arg::str("use").default("auto"),
        ],
    ),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let manager = match args.string("use").rsplit('.').next() {
        Some("auto" | "") | None => settings::service_manager(&Source::new(Path::new("/"))),
        Some(named) => named.to_owned(),
    };
    let enabled = args.has("enabled").then(|| args.bool("enabled"));
    let state = args.str("state").map(str::to_owned);
    if matches!(manager.as_str(), "systemd" | "systemd_service") {
        for unused in ["pattern", "sleep", "arguments"] {
            if args.get(unused).is_some_and(|v| v != "") {
                task.warn(format!("Ignoring \"{unused}\" as it is not used in \"systemd\""));
            }
        }
        let unit = Some(args.string("name"));
        let wish =
            systemd::Wish { unit, state, enabled, scope: "system".to_owned(), ..systemd::Wish::default() };
        return systemd::apply(task, &wish);
    }
    let wish = sysv::Wish {
        name: args.string("name"),
        state,
        enabled,
        sleep: args.int("sleep").and_then(|n| u64::try_from(n).ok()),
        pattern: args.str("pattern").map(str::to_owned),
        runlevel: args.string("runlevel"),
        arguments: args.string("arguments"),
    };
    sysv::apply(task, &wish)
}
