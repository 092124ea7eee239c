//! Making and reading results in Ansible's form.

use catalog::{Json, Map};
use expressions::Error;
use link::LinkError;
use playbook::ir::Task;

pub(crate) fn skipped(reason: &str) -> Map {
    let mut result = Map::new();
    result.insert("changed".to_owned(), false.into());
    result.insert("skipped".to_owned(), true.into());
    result.insert("skipped_reason".to_owned(), reason.into());
    result
}

/// Skipped because this condition did not hold.
pub(crate) fn condition_false(condition: Json) -> Map {
    let mut result = Map::new();
    result.insert("changed".to_owned(), false.into());
    result.insert("skipped".to_owned(), true.into());
    result.insert("skip_reason".to_owned(), "Conditional result was False".into());
    result.insert("false_condition".to_owned(), condition);
    result
}

pub(crate) fn failed(message: impl Into<String>) -> Map {
    let mut result = Map::new();
    result.insert("changed".to_owned(), false.into());
    result.insert("failed".to_owned(), true.into());
    result.insert("msg".to_owned(), message.into().into());
    result
}

/// Says of a failure that the playbook names a module that does not exist. Ansible reads no such playbook, so nothing in
/// it can be meant to rescue or ignore this.
pub(crate) const UNKNOWN_MODULE: &str = "_ansible_unknown_module";

/// A name that a template gives is known only now; its failure is like any other.
pub(crate) fn is_beyond_rescue(task: &Task, result: &Map) -> bool {
    result.contains_key(UNKNOWN_MODULE) && !task.action.contains("{{")
}

pub(crate) fn failed_by(error: &Error) -> Map {
    failed_with("Task failed: ", error)
}

/// There is nothing that a loop could go over. Of what is undefined Ansible says more.
pub(crate) fn no_loop(error: &Error) -> Map {
    if error.is_undefined() { failed_by(error) } else { failed_with("", error) }
}

fn failed_with(start: &str, error: &Error) -> Map {
    let place = error.origin.as_ref().map(|o| format!(" ({o})")).unwrap_or_default();
    let mut result = failed(format!("{start}{}{place}", error.message));
    result.insert("exception".to_owned(), "(traceback unavailable)".into());
    result
}

pub(crate) fn unreachable(error: &LinkError) -> Map {
    let mut result = Map::new();
    result.insert("changed".to_owned(), false.into());
    result.insert("msg".to_owned(), error.to_string().into());
    result.insert("unreachable".to_owned(), true.into());
    result
}

pub(crate) fn ok(changed: bool) -> Map {
    let mut result = Map::new();
    result.insert("changed".to_owned(), changed.into());
    result
}

pub(crate) fn flag(result: &Map, name: &str) -> bool {
    match result.get(name) {
        Some(Json::Bool(b)) => *b,
        Some(Json::String(s)) => catalog::arguments::truth(s).unwrap_or(!s.is_empty()),
        Some(Json::Number(n)) => n.as_f64() != Some(0.0),
        _ => false,
    }
}

pub(crate) fn is_failed(result: &Map) -> bool {
    // What the task itself says on failure goes before everything else.
    match result.get("failed_when_result") {
        Some(Json::Bool(failed)) => *failed,
        _ => flag(result, "failed"),
    }
}

pub(crate) fn is_changed(result: &Map) -> bool {
    flag(result, "changed")
}

pub(crate) fn is_skipped(result: &Map) -> bool {
    flag(result, "skipped")
}

pub(crate) fn is_unreachable(result: &Map) -> bool {
    flag(result, "unreachable")
}

/// What Ansible's executor adds to every module's result.
pub(crate) fn complete(result: &mut Map) {
    for name in ["stdout", "stderr"] {
        let lines = format!("{name}_lines");
        if let Some(Json::String(text)) = result.get(name)
            && !result.contains_key(&lines)
        {
            let split = python_lines(text);
            result.insert(lines, split.into());
        }
    }
    result.entry("changed").or_insert(Json::Bool(false));
    if !result.contains_key("failed") {
        let failed = result.get("rc").and_then(Json::as_i64).is_some_and(|rc| rc != 0);
        result.insert("failed".to_owned(), failed.into());
    }
}

/// Python's `splitlines`.
fn python_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .replace("\r\n", "\n")
        .split(['\n', '\r', '\x0b', '\x0c', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'])
        .map(str::to_owned)
        .collect();
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// What is shown of a result that must not be shown.
pub(crate) fn censored(result: &Map) -> Map {
    let mut shown = Map::new();
    let text = "the output has been hidden due to the fact that 'no_log: true' was specified for this result";
    shown.insert("censored".to_owned(), text.into());
    for name in ["changed", "failed", "skipped", "unreachable", "attempts", "retries"] {
        if let Some(value) = result.get(name) {
            shown.insert(name.to_owned(), value.clone());
        }
    }
    shown
}
