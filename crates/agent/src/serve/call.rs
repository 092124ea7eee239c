//! One task call: arguments in, Ansible's result out.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use catalog::protocol::Call;
use catalog::{Arg, Args, ArgumentError, Check, Json, Kind, Map};
use serde_json::json;

use super::desk::Desk;
use super::executor::failure;
use super::masking;
use crate::cache::Cache;
use crate::fileargs::add_path_info;
use crate::module::{Blobs, Failure, Module, Outcome, Task};
use crate::modules;

/// What a call is done with.
pub(crate) struct Tools<'a> {
    pub(crate) recorder: Desk<'a>,
    pub(crate) watch: witness::Mode,
    pub(crate) cache: &'a mut Cache,
    pub(crate) blobs: &'a dyn Blobs,
    pub(crate) cancelled: &'a AtomicBool,
}

/// Do it. Never panics: a mistake of ours is a failed task.
pub(crate) fn perform<'a>(call: &'a Call, tools: Tools<'a>) -> Map {
    let Some(module) = modules::find(&call.module) else {
        return failure(&format!("there is no module `{}` in this version of Theseus", call.module));
    };
    if call.check && module.spec.check == Check::Skip {
        let mut result = failure(&format!("remote module ({}) does not support check mode", call.module));
        result.remove("failed");
        result.insert("skipped".to_owned(), json!(true));
        return result;
    }
    let mut args = match module.spec.read(&call.args, &|_| false) {
        Ok(args) => args,
        Err(errors) => {
            let all: Vec<String> = errors.iter().map(ArgumentError::in_result).collect();
            return failure(&all.join("; "));
        }
    };
    expand_paths(module, &mut args, &call.environment);
    let secrets = masking::secrets(module, &args);
    let mut result = run(module, &args, call, tools);
    // A module from elsewhere tells its own, in which it hides what only it knows to be secret.
    if call.invocation && !call.no_log && call.module != "foreign_module" {
        let given: Map = call
            .args
            .iter()
            .filter(|(name, _)| !name.starts_with('_') || *name == "_raw_params")
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        result.insert("invocation".to_owned(), json!({"module_args": given}));
    }
    masking::mask(&mut result, &secrets);
    result
}

fn run<'a>(module: &Module, args: &Args, call: &'a Call, mut tools: Tools<'a>) -> Map {
    tools.recorder.begin(cause(call));
    tools.recorder.leave();
    let limit = (call.timeout_seconds > 0).then(|| Duration::from_secs(call.timeout_seconds));
    let mut task = Task {
        check: call.check,
        diff: call.diff,
        no_log: call.no_log,
        brief: call.brief,
        environment: &call.environment,
        watch: tools.watch,
        recorder: tools.recorder,
        blobs: tools.blobs,
        cache: tools.cache,
        warnings: Vec::new(),
        deprecations: Vec::new(),
        cancelled: tools.cancelled,
        deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| (module.run)(args, &mut task)));
    let (warnings, deprecations) =
        (std::mem::take(&mut task.warnings), std::mem::take(&mut task.deprecations));
    let mut result = match ended {
        Ok(Ok(outcome)) => succeeded(outcome, call.diff),
        Ok(Err(failure)) => timed_out(failed(failure), call),
        Err(panic) => failed(Failure::new(format!(
            "internal error in the module `{}`, please report it: {}",
            call.module,
            panic_text(panic.as_ref())
        ))),
    };
    add_path_info(&mut result, task.cache);
    if !warnings.is_empty() {
        result.insert("warnings".to_owned(), json!(warnings));
    }
    if !deprecations.is_empty() {
        let all: Vec<Json> = deprecations.iter().map(|d| json!({"msg": d})).collect();
        result.insert("deprecations".to_owned(), json!(all));
    }
    result
}

pub(super) fn cause(call: &Call) -> layer::Cause {
    let cause = &call.cause;
    layer::Cause {
        play: cause.play.clone(),
        role: cause.role.clone(),
        task: cause.task.clone(),
        place: cause.place.clone(),
        item: cause.item.clone(),
        // Kept encrypted, and not shown.
        no_log: call.no_log || call.secret,
    }
}

fn succeeded(outcome: Outcome, diff: bool) -> Map {
    let mut result = outcome.values;
    result.insert("changed".to_owned(), json!(outcome.changed));
    if diff && !outcome.diff.is_empty() {
        let mut all = outcome.diff;
        let shown = if all.len() == 1 { all.remove(0) } else { Json::Array(all) };
        result.insert("diff".to_owned(), shown);
    }
    lines_of(&mut result);
    result
}

/// What the keyword `timeout` ended says so in the words that people test for.
fn timed_out(mut result: Map, call: &Call) -> Map {
    let message = result.get("msg").and_then(Json::as_str).unwrap_or_default();
    if call.timeout_seconds > 0 && call.async_seconds == 0 && message.ends_with(crate::command::TIME_OVER) {
        let seconds = call.timeout_seconds;
        result.insert("timedout".to_owned(), json!({"frame": message, "period": seconds}));
        result.insert("msg".to_owned(), json!(format!("Task failed: Timed out after {seconds} second(s).")));
    }
    result
}

fn failed(failure: Failure) -> Map {
    let mut result = failure.values;
    result.insert("changed".to_owned(), json!(failure.changed));
    result.insert("failed".to_owned(), json!(true));
    result.insert("msg".to_owned(), json!(failure.message));
    lines_of(&mut result);
    result
}

/// `stdout_lines` and `stderr_lines`, as Ansible adds them to every result.
fn lines_of(result: &mut Map) {
    for name in ["stdout", "stderr"] {
        let key = format!("{name}_lines");
        if let (Some(Json::String(text)), false) = (result.get(name), result.contains_key(&key)) {
            let lines: Vec<&str> = text.lines().collect();
            result.insert(key, json!(lines));
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// `~` and environment variables in arguments that are paths.
fn expand_paths(module: &Module, args: &mut Args, environment: &BTreeMap<String, String>) {
    let all: Vec<&Arg> = module.spec.all_args().collect();
    for arg in all {
        let Some(value) = args.0.get_mut(arg.name) else { continue };
        match (arg.kind, value) {
            (Kind::Path, Json::String(path)) => *path = expand_path(path, environment),
            (Kind::List(Kind::Path), Json::Array(list)) => {
                for path in
                    list.iter_mut().filter_map(|v| if let Json::String(s) = v { Some(s) } else { None })
                {
                    *path = expand_path(path, environment);
                }
            }
            _ => {}
        }
    }
}

/// As Python's `expanduser(expandvars(path))`.
pub(crate) fn expand_path(path: &str, environment: &BTreeMap<String, String>) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, length) = variable_at(rest);
        match environment.get(name).cloned().or_else(|| std::env::var(name).ok()).filter(|_| !name.is_empty())
        {
            Some(value) => text.push_str(&value),
            None => text.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    text.push_str(rest);
    let Some(after) = text.strip_prefix('~') else { return text };
    let (user, tail) = after.split_at(after.find('/').unwrap_or(after.len()));
    let home = if user.is_empty() {
        environment.get("HOME").cloned().or_else(|| Some(super::home().to_string_lossy().into_owned()))
    } else {
        crate::accounts::Accounts::read().user(user).map(|u| u.home)
    };
    home.map_or(text.clone(), |home| format!("{}{tail}", home.trim_end_matches('/')))
}

/// `$name` or `${name}` at the start of the text: the name, and how long the whole is.
fn variable_at(text: &str) -> (&str, usize) {
    if let Some(inner) = text.strip_prefix("${") {
        return match inner.find('}') {
            Some(end) => (&inner[..end], end + 3),
            None => ("", 2),
        };
    }
    let name = &text[1..];
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    (&name[..end], end + 1)
}
