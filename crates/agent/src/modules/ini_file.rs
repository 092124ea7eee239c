//! `ini_file`: options in sections of a file.

use std::path::{Path, PathBuf};

use catalog::{Arg, Args, Json, Kind, ModuleSpec, arguments};
use serde_json::json;

use crate::fileargs::FileArgs;
use crate::files::{self, Edit};
use crate::module::{Failure, Module, Outcome, Task};

mod edit;

use edit::{Document, Wanted};

const HAS_VALUES: &[Arg] = &[Arg::str("option").required(), Arg::str("value"), Arg::list("values")];

const ARGS: &[Arg] = &[
    Arg::path("path").required().aliases(&["dest"]),
    Arg::str("section"),
    Arg::list("section_has_values").of(&Kind::Dict).options(HAS_VALUES).exclusive(&[&["value", "values"]]),
    Arg::str("option"),
    Arg::str("value"),
    Arg::list("values"),
    Arg::bool("backup").default("false"),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::bool("exclusive").default("true"),
    Arg::bool("no_extra_spaces").default("false"),
    Arg::bool("ignore_spaces").default("false"),
    Arg::bool("allow_no_value").default("false"),
    Arg::bool("modify_inactive_option").default("true"),
    Arg::bool("create").default("true"),
    Arg::bool("follow").default("false"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("ini_file", ARGS)
        .collection("community.general")
        .file_args()
        .mutually_exclusive(&[&["value", "values"]]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let given = PathBuf::from(args.string("path"));
    let path = files::resolved(&given, args.bool("follow"));
    let there = path.exists();
    if !there && !args.bool("create") {
        return Err(Failure::new(format!("Destination {} does not exist!", given.display())).with("rc", 257));
    }
    let wanted = wanted(args)?;
    let before = if there { files::read(&path)? } else { Vec::new() };
    let mut document = Document::parse(&files::escape(&before));
    let message = document.apply(&wanted);
    let after = files::unescape(&document.text());
    // A file that is not there is not made for nothing.
    let mut changed = before != after && (there || message != "OK");
    let file_args = FileArgs::read(args)?;
    let mut backup = None;
    if changed && !task.check {
        if let Some(parent) = path.parent().filter(|p| !p.exists()) {
            files::make_dirs(task, parent, &FileArgs::default())?;
        }
        backup = write(task, args, &path, &after, &file_args)?;
    }
    if path.exists() {
        changed |= file_args.apply(task, &path, None)?;
    }
    let shown = given.display().to_string();
    let mut diff = files::content_diff(&before, &after, &shown);
    diff["before_header"] = json!(format!("{shown} (content)"));
    diff["after_header"] = json!(format!("{shown} (content)"));
    let outcome = Outcome::changed(changed).with("msg", message).with("path", shown);
    Ok(outcome.with_some("backup_file", backup).diff(diff))
}

fn write(
    task: &mut Task<'_>,
    args: &Args,
    path: &Path,
    content: &[u8],
    file_args: &FileArgs,
) -> Result<Option<String>, Failure> {
    if !args.bool("follow") && path.is_symlink() {
        // Without `follow` a link gives way to the file.
        let backup = if args.bool("backup") { Some(files::backup(task, path)?) } else { None };
        files::write(task, path, content, &layer::Attributes::default(), file_args)?;
        return Ok(backup);
    }
    Edit { path, validate: None, backup: args.bool("backup"), args: file_args }.write(task, content)
}

fn wanted(args: &Args) -> Result<Wanted, Failure> {
    let values = args.list("values").map(|list| list.iter().map(arguments::text).collect());
    let values: Option<Vec<String>> = values.or_else(|| args.str("value").map(|v| vec![v.to_owned()]));
    let present = args.str("state") != Some("absent");
    if present && values.is_none() && !args.bool("allow_no_value") {
        return Err("Parameter 'value(s)' must be defined if state=present and allow_no_value=False.".into());
    }
    let mut distinct: Vec<String> = Vec::new();
    for value in values.into_iter().flatten() {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    let has = args.list("section_has_values").unwrap_or_default();
    Ok(Wanted {
        section: args.str("section").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()),
        has_values: has.iter().filter_map(Json::as_object).map(condition).collect::<Result<_, _>>()?,
        option: args.str("option").map(str::to_owned),
        values: distinct,
        present,
        exclusive: args.bool("exclusive"),
        equals: if args.bool("no_extra_spaces") { "=" } else { " = " },
        ignore_spaces: args.bool("ignore_spaces"),
        wake: args.bool("modify_inactive_option"),
    })
}

/// One element of `section_has_values`: the option and the values that it must have (none: any).
fn condition(map: &catalog::Map) -> Result<(String, Vec<String>), Failure> {
    let option = map.get("option").map(arguments::text).unwrap_or_default();
    let value = map.get("value").filter(|v| !v.is_null());
    let values = map.get("values").and_then(Json::as_array).filter(|list| !list.is_empty());
    match (value, values) {
        (Some(value), _) => Ok((option, vec![arguments::text(value)])),
        (None, values) => Ok((option, values.into_iter().flatten().map(arguments::text).collect())),
    }
}
