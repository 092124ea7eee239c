//! `sudoers`: who may run what as whom, each rule in a file of its own, checked before it counts.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, ModuleSpec};
use layer::Attributes;

use crate::children;
use crate::command::find_program;
use crate::module::{Failure, Module, Outcome, Task};
use crate::textfile::TextFile;

const ARGS: &[Arg] = &[
    Arg::list("commands"),
    Arg::str("group"),
    Arg::str("name").required(),
    Arg::bool("noexec").default("false"),
    Arg::bool("nopassword").default("true"),
    Arg::bool("setenv").default("false"),
    Arg::str("host").default("ALL"),
    Arg::str("runas"),
    Arg::str("sudoers_path").default("/etc/sudoers.d"),
    Arg::str("state").default("present").choices(&["present", "absent"]),
    Arg::str("user"),
    Arg::str("validation").default("detect").choices(&["absent", "detect", "required"]),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("sudoers", ARGS)
        .collection("community.general")
        .mutually_exclusive(&[&["user", "group"]])
        .required_if(&[("state", "present", &["commands"], false)]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = PathBuf::from(args.string("sudoers_path")).join(args.string("name"));
    let file = TextFile::read(&path)?;
    if args.str("state") == Some("absent") {
        if file.before.is_some() && !task.check {
            task.recorder.remove(&path)?;
        }
        return Ok(Outcome::changed(file.before.is_some()).diff(file.diff("")));
    }
    let rule = rule(args)?;
    validate(args, task, &rule)?;
    let mode = std::fs::metadata(&path).map(|m| std::os::unix::fs::MetadataExt::mode(&m) & 0o7777);
    let changed = file.before.as_deref() != Some(&rule) || mode.is_ok_and(|mode| mode != 0o440);
    if changed && !task.check {
        task.recorder.write(&path, rule.as_bytes(), &Attributes::mode(0o440))?;
    }
    Ok(Outcome::changed(changed).diff(file.diff(&rule)))
}

fn rule(args: &Args) -> Result<String, Failure> {
    let owner = match (args.str("user"), args.str("group")) {
        (Some(user), _) => user.to_owned(),
        (None, Some(group)) => format!("%{group}"),
        (None, None) => return Err("a rule needs `user` or `group`".into()),
    };
    let runas = args.str("runas").map(|user| format!("({user})")).unwrap_or_default();
    let tags: String = [("nopassword", "NOPASSWD:"), ("noexec", "NOEXEC:"), ("setenv", "SETENV:")]
        .iter()
        .filter(|(name, _)| args.bool(name))
        .map(|(_, tag)| *tag)
        .collect();
    let commands = args.strings("commands").join(", ");
    Ok(format!("{owner} {}={runas}{tags} {commands}\n", args.string("host")))
}

/// A file with a mistake would lock everybody out of sudo.
fn validate(args: &Args, task: &Task<'_>, rule: &str) -> Result<(), Failure> {
    let how = args.string("validation");
    if how == "absent" {
        return Ok(());
    }
    let visudo = find_program("visudo")
        .or_else(|| Some(PathBuf::from("/usr/sbin/visudo")).filter(|p| Path::exists(p)));
    let Some(visudo) = visudo else {
        if how == "required" {
            return Err("Failed to find required executable \"visudo\"".into());
        }
        return Ok(());
    };
    let argv = [visudo.to_string_lossy().into_owned(), "-c".to_owned(), "-f".to_owned(), "-".to_owned()];
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let output = children::in_c_locale(task, &words).stdin(rule).output()?;
    if output.ok() {
        return Ok(());
    }
    let (out, err) = (output.stdout_text(), output.stderr_text());
    let said = if out.is_empty() { &err } else { &out };
    let failure = Failure::new(format!("Failed to validate sudoers rule:\n{said}"));
    Err(failure.with("stdout", out).with("stderr", err))
}
