//! `dpkg_selections`: what dpkg is to do with a package (`hold` keeps its version).

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};
use crate::packages::dpkg::{Dpkg, STATUS};

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "dpkg_selections",
        &[
            Arg::str("name").required(),
            Arg::str("selection").required().choices(&["install", "hold", "deinstall", "purge"]),
        ],
    ),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (name, after) = (args.string("name"), args.string("selection"));
    let before = Dpkg::now(task.cache).package(&name).map(|p| p.selection.clone()).filter(|s| s != "unknown");
    let Some(before) = before else {
        return Err(Failure::new(format!("Failed to find package '{name}' to perform selection '{after}'.")));
    };
    let changed = before != after;
    if changed && !task.check {
        let line = format!("{name} {after}\n");
        let process = children::in_c_locale(task, &["dpkg", "--set-selections"]).stdin(line);
        let paths = [STATUS, "/var/lib/dpkg/status-old"].map(std::path::Path::new);
        children::expect(children::act_on(task, &paths, process)?)?;
    }
    Ok(Outcome::changed(changed).with("before", before).with("after", after))
}
