//! What is asked of hosts' own records, and how the changes in them are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use anstyle::AnsiColor;
use catalog::{Json, Map};
use parking_lot::Mutex;
use run::event::{Event, Sink, Status};
use serde_json::json;

use crate::arguments::{Given, Means, Playing};
use crate::commands::memory::Errand;
use crate::report::{self, Output, Style};
use crate::setup::{Base, Problem};
use crate::terminal;

/// What hosts answered, by name; those that could not are named on standard error.
pub(crate) struct Answers {
    pub(crate) by_host: BTreeMap<String, Map>,
    pub(crate) code: u8,
    pub(crate) recap: run::Recap,
}

/// A question to the hosts' own records.
pub(crate) struct Question<'a> {
    pub(crate) pattern: &'a str,
    pub(crate) means: &'a Means,
    pub(crate) command: &'a str,
    /// It changes nothing: the ledger does not name it.
    pub(crate) looks: bool,
}

/// Runs a command about layers with what every one of them needs.
pub(crate) fn command(means: &Means, style: Style, act: impl FnOnce(&mut Base) -> Result<u8, Problem>) -> u8 {
    with_base(&means.given, style, act)
}

/// Reads what every command needs, and shows why it cannot go on.
pub(crate) fn with_base(
    given: &Given,
    style: Style,
    act: impl FnOnce(&mut Base) -> Result<u8, Problem>,
) -> u8 {
    let json = style.output == Output::Json;
    let mut base = match Base::new(given) {
        Ok(base) => base,
        Err(problem) => return terminal::show(&problem, &playbook::Sources::new(), json),
    };
    act(&mut base).unwrap_or_else(|problem| terminal::show(&problem, &base.sources, json))
}

/// What a command ends with that only looks: 2 is for something found, so that a host which did not answer, or could not,
/// is an error as any other.
pub(crate) fn looked(code: u8) -> u8 {
    match code {
        2 | 4 => 1,
        code => code,
    }
}

impl Question<'_> {
    pub(crate) fn ask(&self, base: &mut Base, arguments: Json) -> Result<Answers, Problem> {
        self.ask_of("layers", base, arguments, false)
    }

    /// Asks one of our own modules. `check`: nothing may be changed.
    pub(crate) fn ask_of(
        &self,
        module: &str,
        base: &mut Base,
        arguments: Json,
        check: bool,
    ) -> Result<Answers, Problem> {
        self.ask_task(base, json!({format!("theseus.host.{module}"): arguments}), check)
    }

    /// Any task, as a playbook has it.
    pub(crate) fn ask_task(&self, base: &mut Base, task: Json, check: bool) -> Result<Answers, Problem> {
        let mut reach = self.means.reach.clone();
        // A host's history is root's, whoever may log in there.
        reach.become_ |= !self.means.own_user;
        let playing = Playing {
            hosts: self.means.hosts.clone(),
            given: self.means.given.clone(),
            reach,
            check,
            ..Playing::default()
        };
        let errand = Errand {
            pattern: self.pattern,
            task,
            playing: &playing,
            dir: base.cwd.clone(),
            command: self.command,
            looks: self.looks,
        };
        let gathered: Arc<Mutex<BTreeMap<String, Map>>> = Arc::default();
        let (recap, code) = errand.run(base, Box::new(Gatherer(Arc::clone(&gathered))))?;
        if recap.hosts.is_empty() {
            return Err(Problem::Other(format!("no host of the inventory matches `{}`", self.pattern)));
        }
        let by_host = std::mem::take(&mut *gathered.lock());
        Ok(Answers { by_host, code, recap })
    }

    /// Of a single host.
    pub(crate) fn ask_one(&self, base: &mut Base, arguments: Json) -> Result<Result<Map, u8>, Problem> {
        let answers = self.ask(base, arguments)?;
        if answers.recap.hosts.len() > 1 {
            return Err(Problem::Other(format!("`{}` is more than one host", self.pattern)));
        }
        Ok(answers.by_host.into_values().next().ok_or(answers.code))
    }
}

struct Gatherer(Arc<Mutex<BTreeMap<String, Map>>>);

impl Sink for Gatherer {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Ended(ended) if matches!(ended.status, Status::Failed | Status::Unreachable) => {
                terminal::host_failed(&ended.host, ended.status.word(), &report::reason(&ended.result));
            }
            Event::Ended(ended) => {
                self.0.lock().insert(ended.host.to_string(), (*ended.result).clone());
            }
            Event::Warning(text) => eprintln!("warning: {text}"),
            Event::Notice(text) => eprintln!("note: {text}"),
            _ => {}
        }
    }
}

/// One path's change, as people and programs see it.
pub(crate) struct Change<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    /// `null`: nothing there.
    pub(crate) before: &'a Json,
    pub(crate) after: &'a Json,
    pub(crate) cause: Option<String>,
    pub(crate) secret: bool,
}

impl Change<'_> {
    pub(crate) fn kind(&self) -> &'static str {
        match (self.before.is_null(), self.after.is_null()) {
            (true, _) => "added",
            (_, true) => "removed",
            _ => "changed",
        }
    }

    pub(crate) fn json(&self) -> Json {
        let mut line = json!({"event": "change", "host": self.host, "path": self.path, "kind": self.kind(), "declared": true});
        for (key, value) in [("before", self.before), ("after", self.after)] {
            if !value.is_null() {
                line[key] = value.clone();
            }
        }
        if let Some(cause) = &self.cause {
            line["cause"] = json!(cause);
        }
        line
    }

    /// A line, and the text's differences where they can be shown.
    pub(crate) fn text(&self, style: Style, contents: &Json, names: bool) -> String {
        let kind = style.paint.color(color(self.kind()), &format!("{:<8}", self.kind()));
        let what = self.what();
        let mut out = format!("{kind} {}", self.path);
        if !what.is_empty() {
            out.push_str(&style.paint.dim(&format!("  ({})", what.join(", "))));
        }
        out.push('\n');
        if names {
            return out;
        }
        if self.secret {
            out.push_str("    the content is secret and not shown\n");
            return out;
        }
        for line in self.differences(contents) {
            out.push_str(&format!("    {}\n", painted(&line, style)));
        }
        out
    }

    /// Which properties differ, in words.
    fn what(&self) -> Vec<String> {
        let (before, after) = (self.before, self.after);
        let is = |state: &Json| state["type"].as_str().unwrap_or_default().to_owned();
        if before.is_null() || after.is_null() {
            let state = if before.is_null() { after } else { before };
            let target = state["target"].as_str().map(|target| format!(" to {target}")).unwrap_or_default();
            return vec![match is(state).as_str() {
                "file" => {
                    format!("{} bytes, mode {:04o}", state["size"], state["mode"].as_u64().unwrap_or(0))
                }
                "dir" => "directory".to_owned(),
                "symlink" => format!("link{target}"),
                other => other.to_owned(),
            }];
        }
        let mut all = Vec::new();
        if is(before) != is(after) {
            all.push(format!("{} became {}", is(before), is(after)));
        }
        let read = !before["digest"].is_null() && !after["digest"].is_null();
        if read && before["digest"] != after["digest"] && is(before) == "file" && is(after) == "file" {
            all.push("content".to_owned());
        }
        if before["target"] != after["target"] && is(before) == is(after) {
            all.push(format!("link to {}, was {}", text(&after["target"]), text(&before["target"])));
        }
        if before["mode"] != after["mode"] {
            let mode = |state: &Json| format!("{:04o}", state["mode"].as_u64().unwrap_or(0));
            all.push(format!("mode {}, was {}", mode(after), mode(before)));
        }
        for key in ["uid", "gid"] {
            if before[key] != after[key] {
                all.push(format!("{key} {}, was {}", after[key], before[key]));
            }
        }
        for (key, word) in
            [("xattrs", "extended attributes"), ("flags", "attributes"), ("group", "hard links")]
        {
            if before[key] != after[key] {
                all.push(word.to_owned());
            }
        }
        if all.is_empty() && before["mtime"] != after["mtime"] {
            all.push("time".to_owned());
        }
        all
    }

    fn differences(&self, contents: &Json) -> Vec<String> {
        let old = content(self.before, contents);
        let new = content(self.after, contents);
        let (Some(old), Some(new)) = (old, new) else {
            let files = [self.before, self.after].iter().any(|state| state["type"] == "file");
            let same = self.before["digest"] == self.after["digest"];
            let said = files && !same && (!self.before.is_null() && !self.after.is_null());
            return if said { vec!["(the content is no text, or too long)".to_owned()] } else { Vec::new() };
        };
        unified(old, new)
    }
}

/// Of a kind of change.
pub(crate) fn color(kind: &str) -> AnsiColor {
    match kind {
        "added" => AnsiColor::Green,
        "removed" => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    }
}

/// The lines in which two texts differ, with those around them.
pub(crate) fn unified(old: &str, new: &str) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let diff = similar::TextDiff::from_lines(old, new);
    let shown = diff.unified_diff().context_radius(3).to_string();
    shown.lines().filter(|line| !line.starts_with('\\')).map(str::to_owned).collect()
}

/// A line of [`unified`].
pub(crate) fn painted(line: &str, style: Style) -> String {
    let color = match line.chars().next() {
        Some('+') => AnsiColor::Green,
        Some('-') => AnsiColor::Red,
        Some('@') => AnsiColor::Cyan,
        _ => return line.to_owned(),
    };
    style.paint.color(color, line)
}

/// The text of a state: nothing there is an empty text.
fn content<'a>(state: &Json, contents: &'a Json) -> Option<&'a str> {
    if state["type"] != "file" {
        return Some("");
    }
    contents[state["digest"].as_str()?].as_str()
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a state's content is one that nobody shows.
pub(crate) fn is_secret(state: &Json) -> bool {
    state["secret"] == true
}

/// The path of a step: text, or bytes that are none.
pub(crate) fn path_of(value: &Json) -> String {
    match value["hex"].as_str() {
        Some(hex) => format!("(bytes {hex})"),
        None => text(value),
    }
}

/// `1.5 MiB`
pub(crate) fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", units[unit]) }
}
