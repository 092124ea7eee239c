//! Small words and colours that the formats share.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use catalog::Json;
use run::event::Status;

use super::python_json;

/// Colours, or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub on: bool,
}

impl Paint {
    pub(crate) fn color(self, color: AnsiColor, text: &str) -> String {
        self.style(Style::new().fg_color(Some(color.into())), text)
    }
    pub(crate) fn bold(self, text: &str) -> String {
        self.style(Style::new().bold(), text)
    }
    pub(crate) fn dim(self, text: &str) -> String {
        self.style(Style::new().dimmed(), text)
    }
    fn style(self, style: Style, text: &str) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
    pub(crate) fn status(self, status: Status, text: &str) -> String {
        self.color(status_color(status), text)
    }
}

pub(crate) fn status_color(status: Status) -> AnsiColor {
    match status {
        Status::Ok => AnsiColor::Green,
        Status::Changed => AnsiColor::Yellow,
        Status::Skipped => AnsiColor::Cyan,
        Status::Ignored | Status::Rescued => AnsiColor::Magenta,
        Status::Failed | Status::Unreachable => AnsiColor::Red,
    }
}

/// What was put back on a host on which the run failed.
pub(crate) fn undone(host: &str, undone: &run::event::Undone) -> String {
    let mut out = match &undone.problem {
        None => {
            format!("{host}: put back as generation {} left it ({} paths)\n", undone.to, undone.paths.len())
        }
        Some(problem) => format!("{host}: could not be put back: {problem}\n"),
    };
    for service in &undone.services {
        let _ = writeln!(out, "    {service}");
    }
    for what in &undone.irreversible {
        let _ = writeln!(out, "    no undo takes this back: {what}");
    }
    out
}

/// Without Ansible's words for where in a task something has no value: the place is said, too.
fn short(text: &str) -> &str {
    match text.strip_prefix("Finalization of task args for ") {
        Some(rest) => rest.split_once(" failed: ").map_or(text, |(_, why)| why),
        None => text,
    }
}

/// The reason in a failed result, for people.
pub(crate) fn reason(result: &catalog::Map) -> String {
    let text = |name: &str| result.get(name).and_then(Json::as_str).unwrap_or_default().trim().to_owned();
    let mut reason = match result.get("msg").or_else(|| result.get("reason")) {
        // That it failed is said already.
        Some(Json::String(s)) => short(s.trim().trim_start_matches("Task failed: ")).to_owned(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    for more in [text("stderr"), text("module_stderr")] {
        if !more.is_empty() && !reason.contains(&more) {
            let _ = write!(reason, "{}{more}", if reason.is_empty() { "" } else { "\n" });
        }
    }
    if reason.is_empty() {
        reason = text("stdout");
    }
    if reason.is_empty() { "it failed without saying why".to_owned() } else { reason }
}

/// Seconds as people say them.
pub(crate) fn seconds(s: f64) -> String {
    match s {
        s if s < 0.1 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), s % 60.0),
    }
}

/// The `diff` of a result as unified text.
pub(crate) fn diffs(result: &catalog::Map) -> Vec<String> {
    let list = match result.get("diff") {
        Some(Json::Array(list)) => list.clone(),
        Some(one @ Json::Object(_)) => vec![one.clone()],
        _ => return Vec::new(),
    };
    list.iter().filter_map(one_diff).collect()
}

fn one_diff(diff: &Json) -> Option<String> {
    if let Some(prepared) = diff.get("prepared").and_then(Json::as_str) {
        return Some(prepared.to_owned());
    }
    let side = |name: &str| match diff.get(name) {
        Some(Json::String(s)) => s.clone(),
        None | Some(Json::Null) => String::new(),
        Some(other) => format!("{}\n", python_json::indented(other)),
    };
    let header = |name: &str, side: &str| {
        diff.get(name).and_then(Json::as_str).map_or_else(|| side.to_owned(), |h| format!("{side}: {h}"))
    };
    let (before, after) = (side("before"), side("after"));
    if before == after {
        return None;
    }
    let text = similar::TextDiff::from_lines(&before, &after);
    let mut unified = text.unified_diff();
    Some(unified.header(&header("before_header", "before"), &header("after_header", "after")).to_string())
}

pub(crate) fn paint_diff(paint: Paint, diff: &str) -> String {
    let mut out = String::new();
    for line in diff.lines() {
        let painted = match line.as_bytes().first() {
            Some(b'+') => paint.color(AnsiColor::Green, line),
            Some(b'-') => paint.color(AnsiColor::Red, line),
            Some(b'@') => paint.color(AnsiColor::Cyan, line),
            _ => line.to_owned(),
        };
        out.push_str(&painted);
        out.push('\n');
    }
    out
}
