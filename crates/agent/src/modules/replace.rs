//! `replace`: all occurrences of a pattern in a file.

use std::path::PathBuf;

use catalog::{Arg, Args, ModuleSpec};

use crate::fileargs::FileArgs;
use crate::files::{self, Edit};
use crate::module::{Failure, Module, Outcome, Task};
use crate::regex::{self, Flags};

const ARGS: &[Arg] = &[
    Arg::path("path").required().aliases(&["dest", "destfile", "name"]),
    Arg::str("regexp").required(),
    Arg::str("replace").default(""),
    Arg::str("after"),
    Arg::str("before"),
    Arg::bool("backup").default("false"),
    Arg::str("validate"),
    Arg::str("encoding").default("utf-8"),
];

pub(crate) static MODULE: Module = Module { spec: ModuleSpec::builtin("replace", ARGS).file_args(), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let path = PathBuf::from(args.string("path"));
    if path.is_dir() {
        return Err(Failure::new(format!("Path {} is a directory !", path.display())).with("rc", 256));
    }
    if !path.exists() {
        return Err(Failure::new(format!("Path {} does not exist !", path.display())).with("rc", 257));
    }
    let before = files::read(&path)?;
    let text = files::escape(&before);
    let section = match section(args) {
        None => 0..text.len(),
        Some(pattern) => {
            let compiled = regex::python_with(&pattern, Flags { dotall: true, multiline: false })?;
            let captures = compiled.captures(&text).map_err(|e| regex::too_hard(&e))?;
            match captures.and_then(|c| c.name("subsection").map(|m| m.range())) {
                Some(range) => range,
                None => {
                    let message =
                        format!("Pattern for before/after params did not match the given file: {pattern}");
                    return Ok(Outcome::changed(false).with("msg", message).with("rc", 0));
                }
            }
        }
    };
    let pattern = regex::python_with(&args.string("regexp"), Flags { multiline: true, dotall: false })?;
    let (new, count) = regex::checked(&args.string("replace"))
        .and_then(|()| regex::substitute(&pattern, &text[section.clone()], &args.string("replace")))
        .map_err(|e| Failure::new(format!("Unable to process replace due to error: {}", e.message)))?;
    let mut changed = count > 0 && new != text[section.clone()];
    let mut message = if changed { format!("{count} replacements made") } else { String::new() };
    let file_args = FileArgs::read(args)?;
    let mut outcome = Outcome::default().with("rc", 0);
    if changed {
        let after = files::unescape(&format!("{}{new}{}", &text[..section.start], &text[section.end..]));
        outcome = outcome.diff(files::content_diff(&before, &after, &path.to_string_lossy()));
        if !task.check {
            let edit = Edit {
                path: &path,
                validate: args.str("validate"),
                backup: args.bool("backup"),
                args: &file_args,
            };
            outcome = outcome.with_some("backup_file", edit.write(task, &after)?);
        }
    }
    if file_args.apply(task, &files::resolved(&path, true), None)? {
        let and = if changed { " and " } else { "" };
        message = format!("{message}{and}ownership, perms or SE linux context changed");
        changed = true;
    }
    outcome.changed = changed;
    Ok(outcome.with("msg", message))
}

/// The part of the file that `after` and `before` leave.
fn section(args: &Args) -> Option<String> {
    match (args.str("after"), args.str("before")) {
        (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
        (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
        (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
        (None, None) => None,
    }
}
