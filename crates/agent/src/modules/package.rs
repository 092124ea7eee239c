//! `package`: packages, by whatever manages them on this host.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::facts::distribution::Distribution;
use crate::facts::settings;
use crate::facts::source::Source;
use crate::module::{Failure, Module, Outcome, Task};
use crate::packages::others;

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "package",
        &[
            // Its manager may need none, to refresh its index, say.
            Arg::list("name").aliases(&["pkg"]),
            Arg::str("state").default("present"),
            Arg::str("use").default("auto"),
        ],
    )
    .like(MANAGERS),
    run,
};

/// Whose arguments it passes on. The others have those that these have.
const MANAGERS: &[&ModuleSpec] =
    &[&super::apt::MODULE.spec, &super::dnf::MODULE.spec, &super::zypper::MODULE.spec];

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let source = Source::new(Path::new("/"));
    let manager = match args.string("use").rsplit('.').next() {
        Some("auto" | "") | None => settings::package_manager(&source, &Distribution::detect(&source)),
        Some(named) => named.to_owned(),
    };
    if matches!(manager.as_str(), "dnf" | "dnf4" | "dnf5" | "yum" | "yum4") {
        return by(&super::dnf::MODULE, args.0.clone(), task);
    }
    if manager == "zypper" {
        return by(&super::zypper::MODULE, args.0.clone(), task);
    }
    if manager != "apt" {
        let refresh = args.bool("update_cache");
        return others::apply(task, &manager, &args.strings("name"), &args.string("state"), refresh);
    }
    let mut given = args.0.clone();
    // `installed` and `removed` are other managers' words.
    match args.string("state").as_str() {
        "installed" => _ = given.insert("state".into(), "present".into()),
        "removed" => _ = given.insert("state".into(), "absent".into()),
        _ => {}
    }
    by(&super::apt::MODULE, given, task)
}

/// The manager's own module, which has its own arguments.
fn by(module: &'static Module, mut given: catalog::Map, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    given.remove("use");
    let args = module.spec.read(&given, &|_| false).map_err(|errors| {
        Failure::new(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    (module.run)(&args, task)
}
