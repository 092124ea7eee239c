//! `service`: a service, whatever starts services on this host.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::facts::settings;
use crate::facts::source::Source;
use crate::module::{Failure, Module, Outcome, Task};
use crate::services::sysv;

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "service",
        &[
            Arg::str("name"),
            Arg::str("state").choices(&["started", "stopped", "reloaded", "restarted"]),
            Arg::int("sleep"),
            Arg::str("pattern"),
            Arg::bool("enabled"),
            Arg::str("runlevel").default("default"),
            Arg::str("arguments").default("").aliases(&["args"]),
            Arg::str("use").default("auto"),
            // Those of `systemd`, for hosts that have it.
            Arg::bool("daemon_reload").aliases(&["daemon-reload"]),
            Arg::bool("daemon_reexec").aliases(&["daemon-reexec"]),
            Arg::bool("masked"),
            Arg::bool("force"),
            Arg::bool("no_block"),
            Arg::str("scope").choices(&["system", "user", "global"]),
        ],
    )
    .required_by(super::systemd::BY_NAME),
    run,
};

const FOR_SYSTEMD: &[&str] = &["daemon_reload", "daemon_reexec", "masked", "force", "no_block", "scope"];

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
        return super::systemd::run(args, task);
    }
    if let Some(name) = FOR_SYSTEMD.iter().find(|name| args.has(name)) {
        return Err(Failure::new(format!("`service` takes `{name}` only on hosts with systemd")));
    }
    if !args.has("name") {
        return Err(Failure::new("missing required arguments: name"));
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
