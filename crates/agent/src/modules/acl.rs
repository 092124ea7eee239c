//! `acl`: who else may read and write a file, by its access control list.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::path("path").required().aliases(&["name"]),
    Arg::str("entry"),
    Arg::str("entity").default(""),
    Arg::str("etype").choices(&["group", "mask", "other", "user"]),
    Arg::str("permissions"),
    Arg::str("state").default("query").choices(&["absent", "present", "query"]),
    Arg::bool("follow").default("true"),
    Arg::bool("default").default("false"),
    Arg::bool("recursive").default("false").aliases(&["recurse"]),
    Arg::str("recalculate_mask").default("default").choices(&["default", "mask", "no_mask"]),
    Arg::bool("use_nfsv4_acls").default("false"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("acl", ARGS).collection("ansible.posix"), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = args.string("path");
    let state = args.string("state");
    if !Path::new(&path).exists() {
        return Err("Path not found or not accessible.".into());
    }
    let (entry, default) = entry(args, &state)?;
    let (changed, message) = match (state.as_str(), entry) {
        ("query", _) | (_, None) => (false, "current acl".to_owned()),
        (state, Some(entry)) => {
            let flag = if state == "present" { "-m" } else { "-x" };
            let argv = words(args, &path, flag, &entry, default);
            let changed = would_change(task, &argv)?;
            if changed && !task.check {
                set(task, args, &path, &argv)?;
            }
            (changed, format!("{entry} is {state}"))
        }
    };
    let acl = list(args, task, &path, default)?;
    Ok(Outcome::changed(changed).with("msg", message).with("acl", acl))
}

/// The entry as `setfacl` takes it, and whether it is about the default list.
fn entry(args: &Args, state: &str) -> Result<(Option<String>, bool), Failure> {
    let default = args.bool("default");
    if let Some(text) = args.str("entry") {
        if args.has("etype") || args.has("permissions") || !args.string("entity").is_empty() {
            return Err("'entry' MUST NOT be set when 'entity', 'etype' or 'permissions' are set.".into());
        }
        let (default, text) = match text.strip_prefix("default:").or(text.strip_prefix("d:")) {
            Some(rest) => (true, rest),
            None => (default, text),
        };
        let parts = text.split(':').count();
        if state == "present" && parts != 3 {
            return Err("'entry' MUST have 3 sections divided by ':' when 'state=present'.".into());
        }
        if state == "absent" && parts != 2 {
            return Err("'entry' MUST have 2 sections divided by ':' when 'state=absent'.".into());
        }
        return Ok(((state != "query").then(|| text.to_owned()), default));
    }
    let Some(etype) = args.str("etype") else {
        if state == "query" {
            return Ok((None, default));
        }
        return Err("'etype' MUST be set when 'state' is present or absent.".into());
    };
    let entity = args.string("entity");
    match (state, args.str("permissions")) {
        ("present", Some(permissions)) => Ok((Some(format!("{etype}:{entity}:{permissions}")), default)),
        ("present", None) => Err("'permissions' MUST be set when 'state=present'.".into()),
        ("absent", _) => Ok((Some(format!("{etype}:{entity}")), default)),
        _ => Ok((None, default)),
    }
}

fn words(args: &Args, path: &str, flag: &str, entry: &str, default: bool) -> Vec<String> {
    let mut argv = vec!["setfacl".to_owned()];
    match args.str("recalculate_mask") {
        Some("mask") => argv.push("--mask".to_owned()),
        Some("no_mask") => argv.push("--no-mask".to_owned()),
        _ => {}
    }
    if args.bool("recursive") {
        argv.push("--recursive".to_owned());
    }
    if !args.bool("follow") {
        argv.push("--physical".to_owned());
    }
    if default {
        argv.push("--default".to_owned());
    }
    argv.extend([flag, entry, "--", path].map(str::to_owned));
    argv
}

/// `setfacl --test` says `*,*` for every path that stays as it is.
fn would_change(task: &Task<'_>, argv: &[String]) -> Result<bool, Failure> {
    let mut argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    argv.insert(1, "--test");
    let output = children::expect(children::ask(task, &argv)?)?;
    Ok(output.stdout_text().lines().any(|line| !line.ends_with("*,*")))
}

fn set(task: &mut Task<'_>, args: &Args, path: &str, argv: &[String]) -> Result<(), Failure> {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let output = if args.bool("recursive") {
        children::act(task, &argv)?
    } else {
        let run = children::in_c_locale(task, &argv);
        children::act_on(task, &[&crate::files::resolved(Path::new(path), args.bool("follow"))], run)?
    };
    children::expect(output).map(drop)
}

fn list(args: &Args, task: &Task<'_>, path: &str, default: bool) -> Result<Vec<String>, Failure> {
    let mut argv = vec!["getfacl", "--omit-header", "--absolute-names"];
    if !args.bool("follow") {
        argv.push("--physical");
    }
    if default {
        argv.push("--default");
    }
    argv.extend(["--", path]);
    let output = children::expect(children::ask(task, &argv)?)?;
    let text = output.stdout_text();
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}
