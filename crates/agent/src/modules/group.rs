//! `group`: groups.

use catalog::{Arg, Args, ModuleSpec};

use crate::accounts::Group;
use crate::command::find_program;
use crate::module::{Failure, Module, Outcome, Task};
use crate::shadow;

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin(
        "group",
        &[
            Arg::str("name").required(),
            Arg::str("state").default("present").choices(&["absent", "present"]),
            Arg::int("gid"),
            Arg::bool("system").default("false"),
            Arg::bool("local").default("false"),
            Arg::bool("non_unique").default("false"),
            Arg::int("gid_min"),
            Arg::int("gid_max"),
            Arg::bool("force").default("false"),
        ],
    )
    .required_if(&[("non_unique", "True", &["gid"], false)]),
    run,
};

fn find(args: &Args, task: &mut Task<'_>) -> Option<Group> {
    let name = args.string("name");
    let accounts = task.cache.accounts();
    if args.bool("local") {
        accounts.groups().iter().find(|g| g.name == name).cloned()
    } else {
        accounts.group(&name)
    }
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (name, state) = (args.string("name"), args.string("state"));
    if args.bool("local")
        && (args.has("gid_min") || args.has("gid_max"))
        && find_program("lgroupadd").is_some()
    {
        return Err("gid_min and gid_max cannot be used with local".into());
    }
    let there = find(args, task);
    let command = if state == "absent" {
        there.as_ref().map(|_| delete(args))
    } else {
        create_or_change(args, there.as_ref())
    };
    let changed = command.is_some();
    if task.check && changed {
        return Ok(Outcome::changed(true));
    }
    if let Some(argv) = command {
        shadow::must(task, &argv, &name)?;
    }
    let mut outcome = Outcome::changed(changed).with("name", name).with("state", state.clone());
    if state == "present" {
        outcome.set("system", args.bool("system"));
        if let Some(group) = find(args, task) {
            outcome.set("gid", group.gid);
        }
    }
    Ok(outcome)
}

fn delete(args: &Args) -> Vec<String> {
    let mut argv = vec!["groupdel".to_owned()];
    if args.bool("force") {
        argv.push("-f".to_owned());
    }
    argv.push(args.string("name"));
    argv
}

fn create_or_change(args: &Args, there: Option<&Group>) -> Option<Vec<String>> {
    let gid = args.int("gid");
    let mut argv = Vec::new();
    match there {
        Some(group) if gid.is_none_or(|gid| gid == i64::from(group.gid)) => return None,
        Some(_) => argv.push("groupmod".to_owned()),
        None => {
            argv.push("groupadd".to_owned());
            if args.bool("system") {
                argv.push("-r".to_owned());
            }
            for (key, setting) in [("gid_min", "GID_MIN"), ("gid_max", "GID_MAX")] {
                if let Some(value) = args.int(key) {
                    argv.extend(["-K".to_owned(), format!("{setting}={value}")]);
                }
            }
        }
    }
    if let Some(gid) = gid {
        argv.extend(["-g".to_owned(), gid.to_string()]);
        if args.bool("non_unique") {
            argv.push("-o".to_owned());
        }
    }
    argv.push(args.string("name"));
    Some(argv)
}
