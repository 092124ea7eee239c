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
            // What follows is for systemd only, to which the reference hands all that is written.
            Arg::bool("masked"),
            Arg::bool("force"),
            Arg::bool("daemon_reload").aliases(&["daemon-reload"]),
            Arg::bool("daemon_reexec").aliases(&["daemon-reexec"]),
            Arg::str("scope").choices(&["system", "user", "global"]),
            Arg::bool("no_block"),
        ],
    ),
    run,
};

const FOR_SYSTEMD: &[&str] = &["masked", "force", "daemon_reload", "daemon_reexec", "scope", "no_block"];

fn wish_of_systemd(args: &Args, state: Option<String>, enabled: Option<bool>) -> systemd::Wish {
    systemd::Wish {
        unit: Some(args.string("name")),
        state,
        enabled,
        masked: args.has("masked").then(|| args.bool("masked")),
        daemon_reload: args.bool("daemon_reload"),
        daemon_reexec: args.bool("daemon_reexec"),
        scope: args.str("scope").unwrap_or("system").to_owned(),
        no_block: args.bool("no_block"),
        force: args.bool("force"),
    }
}

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
        return systemd::apply(task, &wish_of_systemd(args, state, enabled));
    }
    if let Some(foreign) = FOR_SYSTEMD.iter().find(|name| args.has(name)) {
        return Err(Failure::new(format!(
            "`{foreign}` is an argument for systemd, but services of this host are started by {manager}"
        )));
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
