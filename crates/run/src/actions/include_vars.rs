//! `include_vars`: variables from files, for this host from now on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{Arg, Check, Json, Map, ModuleSpec};
use expressions::{Error, Value};
use playbook::ir::Vars;
use regex::Regex;

use super::{Action, Effect};
use crate::results;
use crate::walker::prepare::Work;

pub(super) static SPEC: ModuleSpec = ModuleSpec::builtin("include_vars", ARGS)
    .check(Check::Query)
    .free_form("_raw_params")
    .mutually_exclusive(&[&["file", "dir"]]);

const ARGS: &[Arg] = &[
    Arg::path("file"),
    Arg::path("dir"),
    Arg::str("name"),
    Arg::int("depth").default("0"),
    Arg::str("files_matching"),
    Arg::list("ignore_files"),
    Arg::list("extensions").default("json,yaml,yml"),
    Arg::bool("ignore_unknown_extensions").default("false"),
    Arg::str("hash_behaviour").choices(&["replace", "merge"]),
    Arg::raw("_raw_params"),
];

pub(super) fn run(action: &Action<'_>) -> Result<Work, Error> {
    let files = match action.text("dir")? {
        Some(dir) => match in_folder(action, &dir)? {
            Ok(files) => files,
            Err(problem) => return Ok(Work::Done(results::failed(problem))),
        },
        None => {
            let Some(name) = action.text("file")?.or(action.text("_raw_params")?) else {
                return Ok(Work::Done(results::failed("include_vars needs `file` or `dir`")));
            };
            vec![action.find(name.trim(), "vars")?]
        }
    };
    let merge = action.text("hash_behaviour")?.as_deref() == Some("merge");
    let mut all = Vars::new();
    for file in &files {
        let vars = action.walker.run.variables.read_vars_file(file).map_err(|d| {
            let error = Error::new(d.message);
            match &d.origin {
                Some(origin) => error.at(origin),
                None => error,
            }
        })?;
        for (name, value) in vars {
            let value = match all.get(&name) {
                Some(old) if merge => playbook::vars::combine(old, &value),
                _ => value,
            };
            all.insert(name, value);
        }
    }
    if let Some(name) = action.text("name")? {
        let entries: Vec<(Value, Value)> = all.into_iter().map(|(k, v)| (Value::str(k), v)).collect();
        all = Vars::from_iter([(Arc::from(name.as_str()), Value::dict(entries))]);
    }
    if merge {
        all = merged(action, all);
    }
    let mut result = results::ok(false);
    result.insert("ansible_facts".to_owned(), Json::Object(shown(&all)));
    result.insert(
        "ansible_included_var_files".to_owned(),
        files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().into(),
    );
    if files.iter().any(|file| is_vaulted(file)) {
        // Whatever came out of a vault is not shown.
        result.insert("_ansible_no_log".to_owned(), true.into());
    }
    Ok(Work::Effect(result, Effect::IncludeVars(all)))
}

fn is_vaulted(file: &Path) -> bool {
    use std::io::Read as _;
    let mut head = [0; 15];
    std::fs::File::open(file).and_then(|mut open| open.read_exact(&mut head)).is_ok()
        && head == *b"$ANSIBLE_VAULT;"
}

/// Together with what the host has under these names already.
fn merged(action: &Action<'_>, vars: Vars) -> Vars {
    use expressions::Context as _;
    vars.into_iter()
        .map(|(name, value)| match action.scope.variable(&name) {
            Ok(Some(old)) => (name, playbook::vars::combine(&old, &value)),
            _ => (name, value),
        })
        .collect()
}

/// As written: templates are not resolved only to be shown.
fn shown(vars: &Vars) -> Map {
    vars.iter().map(|(name, value)| (name.to_string(), raw_json(value))).collect()
}

fn raw_json(value: &Value) -> Json {
    match value {
        Value::List(list) => list.raw_items().iter().map(raw_json).collect::<Vec<_>>().into(),
        Value::Dict(dict) => Json::Object(
            dict.raw_items().iter().map(|(k, v)| (k.python_str().unwrap_or_default(), raw_json(v))).collect(),
        ),
        other => other.to_json().unwrap_or(Json::Null),
    }
}

fn in_folder(action: &Action<'_>, dir: &str) -> Result<Result<Vec<PathBuf>, String>, Error> {
    let root = action.find(dir, "vars")?;
    if !root.is_dir() {
        return Ok(Err(format!("{} is not a directory", root.display())));
    }
    let depth =
        action.get("depth")?.and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok())).unwrap_or(0);
    let matching = pattern(action.text("files_matching")?)?;
    let ignored = action
        .strings("ignore_files")?
        .into_iter()
        .map(|p| pattern(Some(p)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut extensions = action.strings("extensions")?;
    if extensions.is_empty() {
        extensions = ["json", "yaml", "yml"].map(str::to_owned).to_vec();
    }
    let lenient = action.flag("ignore_unknown_extensions", false)?;
    let mut files = Vec::new();
    collect(&root, 1, depth, &mut files);
    let mut chosen = Vec::new();
    for file in files {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let is = |p: &Option<Regex>| p.as_ref().is_some_and(|p| p.is_match(&name));
        if (matching.is_some() && !is(&matching)) || ignored.iter().any(is) {
            continue;
        }
        let known = file
            .extension()
            .is_some_and(|e| extensions.iter().any(|x| x.trim_start_matches('.') == e.to_string_lossy()));
        if known {
            chosen.push(file);
        } else if !lenient && matching.is_none() {
            return Ok(Err(format!(
                "{} does not have a valid extension: {}",
                file.display(),
                extensions.join(", ")
            )));
        }
    }
    Ok(Ok(chosen))
}

fn pattern(text: Option<String>) -> Result<Option<Regex>, Error> {
    text.map(|t| Regex::new(&t).map_err(|e| Error::new(format!("`{t}` is not a regular expression: {e}"))))
        .transpose()
}

fn collect(dir: &Path, level: i64, depth: i64, files: &mut Vec<PathBuf>) {
    let Ok(read) = std::fs::read_dir(dir) else { return };
    let mut entries: Vec<PathBuf> = read.filter_map(Result::ok).map(|e| e.path()).collect();
    entries.sort();
    files.extend(entries.iter().filter(|p| p.is_file()).cloned());
    if depth == 0 || level < depth {
        for folder in entries.iter().filter(|p| p.is_dir()) {
            collect(folder, level + 1, depth, files);
        }
    }
}
