//! `script`: a program of the project, run on the host.

use catalog::{Arg, Check, Json, ModuleSpec};
use expressions::Error;

use super::{Action, content};
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("script", ARGS)
    .check(Check::Full)
    .free_form("_raw_params")
    .required_one_of(&[&["_raw_params", "cmd"]]);

const ARGS: &[Arg] = &[
    Arg::raw("_raw_params"),
    Arg::str("cmd"),
    Arg::path("chdir"),
    Arg::path("creates"),
    Arg::path("removes"),
    Arg::str("executable"),
    Arg::bool("decrypt").default("true"),
];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    if action.task.async_seconds.is_some() {
        return Ok(Work::Done(results::failed("This action (script) does not support async.")));
    }
    let mut args = action.arguments()?;
    let command = args.shift_remove("cmd").or_else(|| args.shift_remove("_raw_params"));
    let Some(Json::String(command)) = command else {
        return Ok(Work::Done(results::failed("one of the following is required: _raw_params, cmd")));
    };
    let decrypt = action.flag("decrypt", true)?;
    args.shift_remove("decrypt");
    let words = playbook::keyvalue::shell_split(&command, false).map_err(|e| Error::new(e.to_string()))?;
    let Some(name) = words.first() else {
        return Ok(Work::Done(results::failed("`script` needs the name of a script")));
    };
    let path = action.find(name, "files")?;
    content::put(&mut args, &action.file_content(&path, decrypt)?);
    args.insert("_raw_params".to_owned(), command.clone().into());
    let base = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    args.insert("_original_basename".to_owned(), base.into());
    action.remote("script", args, None)
}
