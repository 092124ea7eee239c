//! `systemd`: units.

use catalog::spec::RequiredBy;
use catalog::{Arg, Args, ModuleSpec};

use crate::module::{Failure, Module, Outcome, Task};
use crate::services::systemd::{Wish, apply};

pub(crate) static MODULE: Module = Module { spec: spec("systemd"), run };

/// What is done to a unit needs its name.
pub(super) const BY_NAME: &[RequiredBy] = &[("state", &["name"]), ("enabled", &["name"]), ("masked", &["name"])];

/// The same under both of its names.
pub(crate) const fn spec(name: &'static str) -> ModuleSpec {
    ModuleSpec::builtin(name, ARGS).required_by(BY_NAME).required_one_of(&[&[
        "state",
        "enabled",
        "masked",
        "daemon_reload",
        "daemon_reexec",
    ]])
}

const ARGS: &[Arg] = &[
    Arg::str("name").aliases(&["service", "unit"]),
    Arg::str("state").choices(&["reloaded", "restarted", "started", "stopped"]),
    Arg::bool("enabled"),
    Arg::bool("force"),
    Arg::bool("masked"),
    Arg::bool("daemon_reload").default("false").aliases(&["daemon-reload"]),
    Arg::bool("daemon_reexec").default("false").aliases(&["daemon-reexec"]),
    Arg::str("scope").default("system").choices(&["system", "user", "global"]),
    Arg::bool("no_block").default("false"),
];

pub(crate) fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    if let Some(name) = args.str("name").filter(|name| name.contains(['*', '?', '['])) {
        return Err(Failure::new(format!(
            "This module does not currently support using glob patterns, found '{name}' in service name: {name}"
        )));
    }
    let optional = |name: &str| args.has(name).then(|| args.bool(name));
    apply(
        task,
        &Wish {
            unit: args.str("name").map(str::to_owned),
            state: args.str("state").map(str::to_owned),
            enabled: optional("enabled"),
            masked: optional("masked"),
            daemon_reload: args.bool("daemon_reload"),
            daemon_reexec: args.bool("daemon_reexec"),
            scope: args.str("scope").unwrap_or("system").to_owned(),
            no_block: args.bool("no_block"),
            force: args.bool("force"),
        },
    )
}
