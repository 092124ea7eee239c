//! `make`: targets of a Makefile, made unless `make -q` says that they are up to date.

use catalog::{Arg, Args, Json, ModuleSpec};

use crate::children;
use crate::command::find_program;
use crate::module::{Failure, Module, Outcome, Task};
use crate::words;

const ARGS: &[Arg] = &[
    Arg::str("target"),
    Arg::list("targets"),
    Arg::dict("params"),
    Arg::path("chdir").required(),
    Arg::path("file"),
    Arg::path("make"),
    Arg::int("jobs"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("make", ARGS)
        .collection("community.general")
        .mutually_exclusive(&[&["target", "targets"]]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let argv = command(args)?;
    let asked = children::in_c_locale(task, &with(&argv, Some("-q"))).cwd(args.string("chdir")).output()?;
    let changed = asked.rc != 0;
    let output = if task.check || asked.rc == 0 {
        asked
    } else {
        let run = children::in_c_locale(task, &with(&argv, None)).cwd(args.string("chdir"));
        let output = children::act_with(task, run)?;
        if !output.ok() {
            let said = output.stderr_text();
            return Err(children::failed(&output, said.trim_end()).with("cmd", words::join(&argv)));
        }
        output
    };
    let mut outcome = Outcome::changed(changed).with("command", words::join(&argv));
    for name in ["chdir", "file", "jobs", "params", "target", "targets"] {
        outcome.set(name, args.get(name).cloned().unwrap_or(Json::Null));
    }
    outcome.set("stdout", output.stdout_text().trim_end());
    outcome.set("stderr", output.stderr_text().trim_end());
    Ok(outcome)
}

/// `make [-j N] [-f FILE] [TARGET…] [NAME=VALUE…]`
fn command(args: &Args) -> Result<Vec<String>, Failure> {
    let program = match args.str("make") {
        Some(make) => make.to_owned(),
        None => ["gmake", "make"]
            .iter()
            .find_map(|name| find_program(name))
            .map(|path| path.display().to_string())
            .ok_or_else(|| Failure::new("there is no `make` on this host"))?,
    };
    let mut argv = vec![program];
    if let Some(jobs) = args.int("jobs") {
        argv.extend(["-j".to_owned(), jobs.to_string()]);
    }
    if let Some(file) = args.str("file") {
        argv.extend(["-f".to_owned(), file.to_owned()]);
    }
    argv.extend(args.str("target").map(str::to_owned));
    argv.extend(args.strings("targets"));
    for (name, value) in args.dict("params").into_iter().flatten() {
        match value {
            Json::Null => argv.push(name.clone()),
            value => argv.push(format!("{name}={}", catalog::arguments::text(value))),
        }
    }
    Ok(argv)
}

fn with<'w>(argv: &'w [String], more: Option<&'w str>) -> Vec<&'w str> {
    argv.iter().map(String::as_str).chain(more).collect()
}
