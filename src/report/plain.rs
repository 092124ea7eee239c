//! For logs: a line for what changed and what failed, nothing for what was fine; the recap at the end.

use std::sync::Arc;

use catalog::Json;
use run::event::{Counters, Ended, Event, Recap, Sink, Status};

use super::{Style, words};

pub(crate) struct Plain {
    style: Style,
    play: Arc<str>,
}

impl Plain {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, play: Arc::from("") }
    }

    fn ended(&self, ended: &Ended) {
        let debug = is_debug(ended) && ended.status == Status::Ok && (!ended.looped || ended.item.is_some());
        let quiet =
            matches!(ended.status, Status::Ok | Status::Skipped) && self.style.verbosity == 0 && !debug;
        if quiet
            || (ended.looped
                && ended.item.is_none()
                && ended.status != Status::Unreachable
                && self.style.verbosity == 0)
        {
            return;
        }
        for line in result_lines(self.style, ended) {
            println!("{line}");
        }
    }
}

fn is_debug(ended: &Ended) -> bool {
    &*ended.step.action == "debug" || ended.step.action.ends_with(".debug")
}

/// What a person sees of one ended task: `changed  web1  nginx : Install`, the reason of a failure, the diff.
pub(crate) fn result_lines(style: Style, ended: &Ended) -> Vec<String> {
    let paint = style.paint;
    let item = ended.item.as_ref().map(|i| format!(" ({i})")).unwrap_or_default();
    let delegate = ended
        .delegate
        .as_ref()
        .filter(|d| **d != *ended.host)
        .map(|d| format!(" on {d}"))
        .unwrap_or_default();
    let word = paint.status(ended.status, &format!("{:<11}", ended.status.word()));
    let took = if ended.seconds >= 1.0 {
        paint.dim(&format!("  {}", words::seconds(ended.seconds)))
    } else {
        String::new()
    };
    let mut lines = vec![format!("{word} {:<12} {}{item}{delegate}{took}", ended.host, ended.step.name)];
    if ended.status.is_failure() {
        let place = ended
            .step
            .origin
            .as_ref()
            .map(|o| format!("  ({}:{})", o.file.display(), o.line))
            .unwrap_or_default();
        for (i, line) in words::reason(&ended.result).lines().enumerate() {
            lines.push(format!("    {line}{}", if i == 0 { place.as_str() } else { "" }));
        }
    } else if is_debug(ended) && ended.status == Status::Ok {
        lines.extend(debug_lines(ended));
    }
    if ended.diff && !ended.step.no_log {
        for diff in words::diffs(&ended.result) {
            lines.extend(words::paint_diff(paint, &diff).lines().map(|l| format!("    {l}")));
        }
    }
    lines
}

fn debug_lines(ended: &Ended) -> Vec<String> {
    let shown = ended.result.iter().filter(|(k, _)| {
        !matches!(k.as_str(), "changed" | "failed" | "item" | "ansible_loop_var")
            && !k.starts_with("_ansible")
    });
    let mut lines = Vec::new();
    for (name, value) in shown {
        let text = match value {
            Json::String(s) => s.clone(),
            other => serde_json::to_string_pretty(other).unwrap_or_default(),
        };
        let text = if name == "msg" { text } else { format!("{name}: {text}") };
        lines.extend(text.lines().map(|l| format!("    {l}")));
    }
    lines
}

impl Sink for Plain {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Play { name, hosts } => {
                self.play = name.clone();
                println!("play {name}: {} {}", hosts.len(), if hosts.len() == 1 { "host" } else { "hosts" });
            }
            Event::NoHostsMatched => println!("skipped: no host matches the play"),
            Event::NoHostsLeft | Event::AllFailed => println!("no hosts are left"),
            Event::Ended(ended) => self.ended(ended),
            Event::Retrying { step, host, left, .. } => {
                println!("retrying    {host:<12} {} ({left} left)", step.name)
            }
            Event::Warning(text) => eprintln!("warning: {text}"),
            Event::Deprecated(text) => eprintln!("deprecated: {text}"),
            Event::Notice(text) => eprintln!("note: {text}"),
            Event::Recap(recap) => print!("{}", recap_text(self.style, recap)),
            _ => {}
        }
    }
}

/// The table at the end.
pub(crate) fn recap_text(style: Style, recap: &Recap) -> String {
    let width = recap.hosts.keys().map(|h| h.chars().count()).max().unwrap_or(4).max(4);
    let mut out = String::from("\n");
    for (host, c) in &recap.hosts {
        let generation = recap.generations.get(host).map(|g| format!("  generation {g}")).unwrap_or_default();
        let name = style.paint.status(worst(c), &format!("{host:<width$}"));
        out.push_str(&format!("{name}  {}{generation}\n", counts(c)));
    }
    for (host, handlers) in &recap.lost_handlers {
        out.push_str(&format!(
            "{host}: notified but not run, because the host failed: {}\n",
            handlers.join(", ")
        ));
    }
    for (host, undone) in &recap.undone {
        out.push_str(&words::undone(host, undone));
    }
    if recap.interrupted {
        out.push_str("interrupted\n");
    }
    out
}

fn worst(c: &Counters) -> Status {
    if c.unreachable > 0 {
        Status::Unreachable
    } else if c.failed > 0 {
        Status::Failed
    } else if c.changed > 0 {
        Status::Changed
    } else {
        Status::Ok
    }
}

/// The numbers that are not zero; `ok` and `changed` always.
fn counts(c: &Counters) -> String {
    let all = [
        ("ok", c.ok),
        ("changed", c.changed),
        ("unreachable", c.unreachable),
        ("failed", c.failed),
        ("skipped", c.skipped),
        ("rescued", c.rescued),
        ("ignored", c.ignored),
    ];
    let shown: Vec<String> = all
        .iter()
        .filter(|(name, n)| *n > 0 || matches!(*name, "ok" | "changed"))
        .map(|(name, n)| format!("{name}={n}"))
        .collect();
    shown.join("  ")
}
