//! As `ansible` prints the results of one module: a block a host, in the order in which they come.

use anstyle::AnsiColor;
use catalog::{Json, Map};
use run::event::{Ended, Event, Sink, Status};

use super::warned::Warned;
use super::{Style, python_json, words};

/// Modules whose result is what a command printed.
const COMMANDS: &[&str] = &["command", "shell", "raw"];

pub(crate) struct Minimal {
    style: Style,
    one_line: bool,
    warned: Warned,
}

impl Minimal {
    pub(crate) fn new(style: Style, one_line: bool) -> Self {
        Self { style, one_line, warned: Warned::default() }
    }

    fn ended(&mut self, ended: &Ended) {
        self.warned.of(ended, self.style.paint);
        if ended.looped && ended.item.is_some() {
            return;
        }
        if ended.diff && !ended.step.no_log {
            for diff in words::diffs(&ended.result) {
                println!("{}", words::paint_diff(self.style.paint, &diff));
            }
        }
        let (word, color) = match ended.status {
            Status::Changed => ("CHANGED", AnsiColor::Yellow),
            Status::Ok => ("SUCCESS", AnsiColor::Green),
            Status::Skipped => ("SKIPPED", AnsiColor::Cyan),
            Status::Unreachable => ("UNREACHABLE!", AnsiColor::Red),
            Status::Failed | Status::Ignored | Status::Rescued => ("FAILED", AnsiColor::Red),
        };
        println!("{}", self.style.paint.color(color, &self.text(ended, word)));
    }

    fn text(&self, ended: &Ended, word: &str) -> String {
        let host = &ended.host;
        let result = &ended.result;
        match ended.status {
            Status::Skipped => return format!("{host} | {word}"),
            Status::Unreachable if self.one_line => {
                return format!("{host} | {word}: {}", words::reason(result));
            }
            _ => {}
        }
        let module = ended.step.action.rsplit('.').next().unwrap_or_default();
        if COMMANDS.contains(&module)
            && ended.status != Status::Unreachable
            && let Some(code) = result.get("rc")
        {
            return if self.one_line {
                command_line(host, word, code, result)
            } else {
                command(host, word, code, result)
            };
        }
        let shown = Json::Object(shown(ended));
        let mark = if ended.status == Status::Failed { "!" } else { "" };
        if self.one_line {
            let joined: String = python_json::indented(&shown).lines().map(str::trim_start).collect();
            return format!("{host} | {word}{mark} => {joined}");
        }
        format!("{host} | {word}{mark} => {}", python_json::indented(&shown))
    }
}

fn text<'a>(result: &'a Map, name: &str) -> &'a str {
    result.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// What it printed, as it printed it.
fn command(host: &str, word: &str, code: &Json, result: &Map) -> String {
    let streams = [text(result, "stdout"), text(result, "stderr"), text(result, "msg")];
    format!("{host} | {word} | rc={code} >>\n{}", streams.concat())
}

fn command_line(host: &str, word: &str, code: &Json, result: &Map) -> String {
    let quoted = |name: &str| text(result, name).replace('\n', "\\n").replace('\r', "\\r");
    let stderr = quoted("stderr");
    let more = if stderr.is_empty() { String::new() } else { format!(" (stderr) {stderr}") };
    format!("{host} | {word} | rc={code} | (stdout) {}{more}", quoted("stdout"))
}

fn shown(ended: &Ended) -> Map {
    let debug = ended.step.action.rsplit('.').next() == Some("debug");
    let mut shown: Map = ended
        .result
        .iter()
        .filter(|(name, _)| {
            !name.starts_with("_ansible") && !matches!(name.as_str(), "diff" | "invocation" | "warnings")
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if debug {
        shown.retain(|name, _| !matches!(name.as_str(), "changed" | "failed"));
    }
    if ended.status == Status::Unreachable {
        shown.insert("unreachable".to_owned(), true.into());
    }
    shown.retain(|name, value| {
        name != "failed" || *value == Json::Bool(true) && ended.status != Status::Failed
    });
    if !ended.step.no_log {
        for stream in ["stdout", "stderr"] {
            if let Some(Json::String(text)) = shown.get(stream).cloned() {
                let lines: Vec<String> = text.lines().map(str::to_owned).collect();
                shown.entry(format!("{stream}_lines")).or_insert_with(|| lines.into());
            }
        }
    }
    shown
}

impl Sink for Minimal {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Ended(ended) => self.ended(ended),
            Event::NoHostsMatched => eprintln!("[WARNING]: No hosts matched, nothing to do"),
            Event::Warning(text) => {
                eprintln!("{}", self.style.paint.color(AnsiColor::Magenta, &format!("[WARNING]: {text}")))
            }
            Event::Notice(text) => eprintln!("{text}"),
            _ => {}
        }
    }
}
