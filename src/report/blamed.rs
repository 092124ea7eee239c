//! What `ansible-playbook` prints before a failed result since ansible-core 2.19: what went wrong, and the lines of the
//! playbook that it is about.

use std::collections::HashSet;
use std::path::Path;

use catalog::Json;
use expressions::Origin;
use run::event::{Ended, Status};

/// Lines are cut where Ansible cuts them.
const WIDTH: usize = 120;

/// What is done on the controller is an action to Ansible, the rest are modules.
const ACTIONS: &[&str] = &[
    "add_host",
    "assert",
    "fail",
    "group_by",
    "include_vars",
    "pause",
    "raw",
    "set_fact",
    "set_stats",
    "validate_argument_spec",
];

#[derive(Default)]
pub(crate) struct Blamed(HashSet<String>);

impl Blamed {
    /// Each text once, as Ansible does.
    pub(crate) fn of(&mut self, ended: &Ended) -> Option<String> {
        let text = text(ended)?;
        self.0.insert(text.clone()).then_some(text)
    }
}

fn text(ended: &Ended) -> Option<String> {
    let action = ended.step.action.rsplit('.').next().unwrap_or_default();
    // Of a loop, its items were blamed; what cannot be included is an error of its own.
    let told = ended.looped && ended.item.is_none() || matches!(action, "include_tasks" | "include_role");
    if !ended.status.is_failure() || ended.result.contains_key("censored") || told {
        return None;
    }
    let task = ended.step.origin.as_deref()?;
    let said = ended.result.get("msg").and_then(Json::as_str).unwrap_or_default();
    let (said, cause) = split_place(said);
    let whole = said.strip_prefix("Task failed: ");
    if whole.is_none() && ended.result.contains_key("exception") && !said.contains("failed: ") {
        // What a loop goes over is no part of the task.
        return Some(format!("[ERROR]: {said}\n{}", shown(cause.as_ref().unwrap_or(task))));
    }
    let said = whole.map_or_else(|| of_what(ended, action, said), str::to_owned);
    Some(match cause.filter(|cause| cause != task) {
        None => format!("[ERROR]: Task failed: {said}\n{}", shown(task)),
        Some(cause) => {
            let (what, why) = split_cause(&said);
            let (task, cause) = (shown(task), shown(&cause));
            format!(
                "[ERROR]: Task failed: {said}\n\nTask failed{what}.\n{task}\n<<< caused by >>>\n\n{why}\n{cause}"
            )
        }
    })
}

fn of_what(ended: &Ended, action: &str, said: &str) -> String {
    if ended.status == Status::Unreachable {
        return said.to_owned();
    }
    // What only the task calls a failure was none of the module.
    let has = |key: &str| ended.result.contains_key(key);
    let judged = ["failed_when_result", "changed_when_result"].into_iter().any(has)
        || has("attempts") && said.is_empty();
    let fine = judged && ended.result.get("rc").is_none_or(|rc| rc.as_i64() == Some(0));
    let who = if fine || has("async_result") || ACTIONS.contains(&action) { "Action" } else { "Module" };
    if said.is_empty() { format!("{who} failed.") } else { format!("{who} failed: {said}") }
}

/// `…: why (FILE:LINE:COLUMN)` as a mistake in a template is told.
fn split_place(said: &str) -> (&str, Option<Origin>) {
    let parts = || {
        let (at, _) = said.rmatch_indices(" (/").next()?;
        let (text, place) = (&said[..at], said[at + 2..].strip_suffix(')')?);
        let mut parts = place.rsplitn(3, ':');
        let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        Some((text, Some(Origin::new(Path::new(file), line.parse().ok()?, column.parse().ok()?))))
    };
    parts().unwrap_or((said, None))
}

/// What was being done with the task, and why that failed.
fn split_cause(said: &str) -> (String, &str) {
    let done = said.starts_with("Finalization of ").then(|| said.split_once(" failed: ")).flatten();
    done.map_or_else(|| (String::new(), said), |(what, why)| (format!(": {what} failed"), why))
}

fn shown(place: &Origin) -> String {
    let source = std::fs::read_to_string(&place.file).unwrap_or_default();
    // A vaulted file has no lines to show.
    let source = if source.starts_with("$ANSIBLE_VAULT") { "" } else { &source };
    let number = |n: u32| usize::try_from(n).unwrap_or_default();
    format!("Origin: {place}\n\n{}", excerpt(source, number(place.line), number(place.column)))
}

/// The line and the two before it, and a mark below its column.
fn excerpt(source: &str, line: usize, column: usize) -> String {
    let width = line.to_string().len();
    let first = line.saturating_sub(2).max(1);
    let numbered = (first..=line).zip(source.lines().skip(first - 1));
    let mut lines: Vec<String> =
        numbered.map(|(number, content)| cut(&format!("{number:>width$} {content}")) + "\n").collect();
    if !lines.is_empty() && width + column < WIDTH - 3 {
        lines.push(format!("{}^ column {column}\n", " ".repeat(width + column)));
    }
    lines.concat()
}

fn cut(line: &str) -> String {
    let line = line.trim_end();
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    line.chars().take(WIDTH - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_at_the_end_is_taken_off() {
        let (text, place) = split_place("Task failed: 'x' is undefined (/a (b)/site.yml:9:14)");
        assert_eq!(text, "Task failed: 'x' is undefined");
        assert_eq!(place.unwrap(), Origin::new(Path::new("/a (b)/site.yml"), 9, 14));
        for text in ["no", "", "(a)", "x (1:2)", "x (a:b:c)", "é ("] {
            assert_eq!(split_place(text).0, text);
        }
    }

    #[test]
    fn the_cause_is_told_apart() {
        let said = "Finalization of task args for 'debug' failed: Error: x failed: y";
        let (what, why) = split_cause(said);
        assert_eq!(
            (what.as_str(), why),
            (": Finalization of task args for 'debug' failed", "Error: x failed: y")
        );
        assert_eq!(split_cause("'x' is undefined"), (String::new(), "'x' is undefined"));
    }

    #[test]
    fn lines_are_shown_with_a_mark() {
        let long = "x".repeat(200);
        let lines = (1..=10).map(|n| if n == 9 { long.clone() } else { format!("  l{n}") });
        let source = lines.collect::<Vec<_>>().join("\n");
        let shown = |line, column| excerpt(&source, line, column);
        assert_eq!(shown(1, 3), "1   l1\n    ^ column 3\n");
        let cut = format!(" 9 {}...", "x".repeat(114));
        assert_eq!(shown(10, 3), format!(" 8   l8\n{cut}\n10   l10\n     ^ column 3\n"));
        assert_eq!(shown(9, 180).lines().count(), 3, "the column is not there");
        assert_eq!(excerpt("", 1, 1) + &excerpt("a", 0, 0), "", "nothing is there");
    }
}
