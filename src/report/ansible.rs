//! As `ansible-playbook` prints with its default callback, so that scripts which grep it go on working.

use std::sync::Arc;

use anstyle::AnsiColor;
use catalog::{Json, Map};
use run::event::{Ended, Event, Recap, Sink, Status, Step, StepKind};

use super::blamed::Blamed;
use super::warned::Warned;
use super::{Style, python_json, words};

pub(crate) struct Ansible {
    style: Style,
    /// The header is printed with the first result that is shown.
    header: Option<Arc<Step>>,
    /// Includes of one step, shown together.
    included: Vec<Inclusion>,
    /// The hosts of the play, in its order.
    hosts: Vec<Arc<str>>,
    warned: Warned,
    blamed: Blamed,
}

/// A file or role, and the hosts that include it for an item.
struct Inclusion {
    file: String,
    item: Option<String>,
    hosts: Vec<String>,
}

impl Ansible {
    pub(crate) fn new(style: Style) -> Self {
        let (warned, blamed) = (Warned::default(), Blamed::default());
        Self { style, header: None, included: Vec::new(), hosts: Vec::new(), warned, blamed }
    }

    fn banner(&self, text: &str) {
        println!("\n{text} {}", "*".repeat(79usize.saturating_sub(text.chars().count()).max(3)));
    }

    fn header(&mut self) {
        let Some(step) = self.header.take() else { return };
        let word = if step.kind == StepKind::Handler { "RUNNING HANDLER" } else { "TASK" };
        let check = if step.check && self.style.verbosity > 0 { " [CHECK MODE]" } else { "" };
        self.banner(&format!("{word} [{}]{check}", step.name));
        if self.style.verbosity >= 2
            && let Some(origin) = &step.origin
        {
            println!("task path: {}:{}", origin.file.display(), origin.line);
        }
    }

    fn flush_included(&mut self) {
        for Inclusion { file, item, mut hosts } in std::mem::take(&mut self.included) {
            hosts.sort_by_key(|host| self.hosts.iter().position(|of_play| **of_play == **host));
            let item = item.map(|item| format!(" => (item={item})")).unwrap_or_default();
            let line = format!("included: {file} for {}{item}", hosts.join(", "));
            println!("{}", self.style.paint.color(AnsiColor::Cyan, &line));
        }
    }

    fn ended(&mut self, ended: &Ended) {
        // An include is shown by what it includes.
        let action = ended.step.action.rsplit('.').next().unwrap_or_default();
        if is_include(ended) && ended.status == Status::Ok {
            return self.header();
        }
        if ended.status == Status::Skipped && !self.style.display_skipped {
            return;
        }
        self.header();
        // A loop's items were printed one by one; of the whole, that it is skipped, that nobody is there, or that a
        // `debug` failed, whose result does not tell its items.
        let told = matches!(ended.status, Status::Skipped | Status::Unreachable)
            || (action == "debug" && ended.status.is_failure() && ended.result.contains_key("results"));
        if ended.looped && ended.item.is_none() && !told {
            return self.ignoring(ended);
        }
        self.job(ended);
        self.warned.of(ended, self.style.paint);
        if let Some(text) = self.blamed.of(ended) {
            println!("{}", self.style.paint.color(AnsiColor::Red, &text));
        }
        let changed = ended.result.get("changed").and_then(Json::as_bool) == Some(true);
        if ended.diff && changed && !ended.step.no_log {
            let diffs: String = words::diffs(&ended.result).concat();
            if !diffs.is_empty() {
                println!("{}", words::paint_diff(self.style.paint, &diffs));
            }
        }
        let address =
            ended.delegate_address.as_ref().map(|address| format!("({address})")).unwrap_or_default();
        let host = delegated(&ended.host, ended.delegate.as_deref(), &address);
        let color =
            words::status_color(if ended.status == Status::Ignored { Status::Failed } else { ended.status });
        println!("{}", self.style.paint.color(color, &self.line(ended, &host)));
        self.ignoring(ended);
    }

    /// A job that ran in the background and was waited for.
    fn job(&self, ended: &Ended) {
        let result = ended.result.get("async_result").and_then(Json::as_object).unwrap_or(&ended.result);
        let over = ended.status.is_failure() || run_is_over(result);
        let job = result.get("ansible_job_id").and_then(Json::as_str).filter(|_| over);
        if let (Some(job), false) = (job, ended.step.action.ends_with("async_status")) {
            let word = if ended.status.is_failure() { "FAILED" } else { "OK" };
            let line = format!("ASYNC {word} on {}: jid={job}", ended.host);
            println!("{}", self.style.paint.color(AnsiColor::BrightBlack, &line));
        }
    }

    fn ignoring(&self, ended: &Ended) {
        if (ended.status == Status::Ignored || ended.goes_on) && ended.item.is_none() {
            println!("{}", self.style.paint.color(AnsiColor::Cyan, "...ignoring"));
        }
    }

    fn line(&self, ended: &Ended, host: &str) -> String {
        let item = ended.item.as_ref().map(|item| format!("(item={item})"));
        let dump = self.dump(ended);
        let shown = match (&dump, &item) {
            (Some(dump), Some(item)) => format!(" => {item} => {dump}"),
            (Some(dump), None) => format!(" => {dump}"),
            (None, Some(item)) => format!(" => {item}"),
            (None, None) => String::new(),
        };
        match ended.status {
            Status::Ok => format!("ok: [{host}]{shown}"),
            Status::Changed => format!("changed: [{host}]{shown}"),
            Status::Skipped => {
                let item = item.map(|i| format!(" => {i} ")).unwrap_or_default();
                format!(
                    "skipping: [{}]{item}{}",
                    ended.host,
                    dump.map(|d| format!(" => {d}")).unwrap_or_default()
                )
            }
            Status::Failed | Status::Ignored | Status::Rescued | Status::Unreachable => {
                let word = if ended.status == Status::Unreachable { "UNREACHABLE" } else { "FAILED" };
                match item {
                    Some(item) => format!("failed: [{host}] {item} => {}", dump.unwrap_or_default()),
                    None => format!("fatal: [{host}]: {word}! => {}", dump.unwrap_or_default()),
                }
            }
        }
    }

    /// The result, where this format shows it.
    fn dump(&self, ended: &Ended) -> Option<String> {
        let action = ended.step.action.rsplit('.').next().unwrap_or_default();
        let debug = action == "debug";
        let always = ended.result.get("_ansible_verbose_always").and_then(serde_json::Value::as_bool);
        let told = always == Some(true);
        let failed = ended.status.is_failure();
        // Facts are too many to be shown even to who wants to see more.
        let facts = matches!(action, "setup" | "gather_facts");
        if !(failed || told || self.style.verbosity > 0 && !facts)
            || (ended.status == Status::Skipped && self.style.verbosity == 0)
        {
            return None;
        }
        let mut shown: Map = ended
            .result
            .iter()
            .filter(|(k, _)| {
                !k.starts_with("_ansible")
                    && !matches!(k.as_str(), "diff" | "failed" | "exception" | "warnings")
                    && (k.as_str() != "invocation" || self.style.verbosity > 2)
            })
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let whole = ended.looped && ended.item.is_none();
        if whole {
            let hidden = if ended.status == Status::Unreachable { "skipped" } else { "results" };
            shown.retain(|k, _| k != hidden);
        }
        if ended.status == Status::Skipped {
            shown.retain(|k, _| k != "skipped" && k != "results");
        }
        if debug && shown.contains_key("msg") {
            shown.retain(|k, _| k == "msg");
        } else if debug && !failed {
            const HIDDEN: [&str; 7] = [
                "changed",
                "failed",
                "skipped",
                "failed_when_result",
                "skip_reason",
                "ansible_loop_var",
                "ansible_index_var",
            ];
            shown.retain(|k, _| !HIDDEN.contains(&k.as_str()));
        }
        let value = Json::Object(shown);
        Some(if told && !whole || self.style.verbosity > 2 {
            python_json::indented(&value)
        } else {
            python_json::line(&value)
        })
    }

    fn recap(&self, recap: &Recap) {
        self.banner("PLAY RECAP");
        let paint = self.style.paint;
        for (host, c) in &recap.hosts {
            let color = if c.failed + c.unreachable > 0 {
                AnsiColor::Red
            } else if c.changed > 0 {
                AnsiColor::Yellow
            } else {
                AnsiColor::Green
            };
            let number = |name: &str, n: u32, color: AnsiColor| {
                let text = format!("{:<width$}", format!("{name}={n}"), width = name.len() + 5);
                if n > 0 { paint.color(color, &text) } else { text }
            };
            println!(
                "{} : {} {} {} {} {} {} {}",
                paint.color(color, &format!("{host:<26}")),
                number("ok", c.ok, AnsiColor::Green),
                number("changed", c.changed, AnsiColor::Yellow),
                number("unreachable", c.unreachable, AnsiColor::Red),
                number("failed", c.failed, AnsiColor::Red),
                number("skipped", c.skipped, AnsiColor::Cyan),
                number("rescued", c.rescued, AnsiColor::Magenta),
                number("ignored", c.ignored, AnsiColor::Magenta),
            );
        }
        if self.style.custom_stats && !recap.custom.is_empty() {
            self.custom(recap);
        }
        for (host, undone) in &recap.undone {
            eprint!("{}", words::undone(host, undone));
        }
        println!();
    }
}

impl Ansible {
    /// What `set_stats` left: of hosts, then of the run.
    fn custom(&self, recap: &Recap) {
        self.banner("CUSTOM STATS:");
        let of_run = recap.custom.iter().filter(|(name, _)| *name == "_run").map(|(_, stats)| ("RUN", stats));
        let of_hosts = recap.custom.iter().filter(|(name, _)| *name != "_run");
        for (name, stats) in of_hosts.map(|(name, stats)| (name.as_str(), stats)).chain(of_run) {
            let shown = python_json::indented(&Json::Object(stats.clone()));
            println!("\t{name}: {}", shown.lines().map(str::trim_start).collect::<Vec<_>>().join(" "));
        }
    }
}

/// A host, and where its task was done instead.
fn delegated(host: &str, delegate: Option<&str>, address: &str) -> String {
    let delegate = delegate.filter(|name| *name != host);
    delegate.map_or_else(|| host.to_owned(), |name| format!("{host} -> {name}{address}"))
}

fn run_is_over(result: &Map) -> bool {
    result.get("finished").is_some_and(|over| over == true || over == 1)
}

fn is_include(ended: &Ended) -> bool {
    let action = ended.step.action.rsplit('.').next().unwrap_or_default();
    matches!(action, "include_tasks" | "include_role")
}

impl Sink for Ansible {
    fn event(&mut self, event: &Event) {
        // Each host tells of the include itself before it tells of its files.
        let include = matches!(event, Event::Included { .. })
            || matches!(event, Event::Ended(ended) if is_include(ended) && (ended.status == Status::Ok || ended.item.is_some()));
        if !include {
            self.flush_included();
        }
        if let Event::Play { hosts, .. } = event {
            self.hosts.clone_from(hosts);
        }
        match event {
            Event::Playbook { file } if self.style.verbosity >= 2 => println!("\nPLAYBOOK: {file}"),
            Event::Play { name, .. } | Event::Batch { play: name } => {
                self.banner(&if name.is_empty() { "PLAY".to_owned() } else { format!("PLAY [{name}]") })
            }
            Event::NoHostsMatched => println!("skipping: no hosts matched"),
            Event::NoHostsLeft => self.banner("NO MORE HOSTS LEFT"),
            Event::Step(step) => {
                self.header = Some(step.clone());
                self.header();
            }
            Event::Ended(ended) => self.ended(ended),
            Event::Retrying { step, host, delegate, left, .. } => {
                let host = delegated(host, delegate.as_deref(), "");
                println!("FAILED - RETRYING: [{host}]: {} ({left} retries left).", step.name);
            }
            Event::Included { host, file, item, .. } => {
                let known = self.included.iter_mut().find(|known| known.file == *file && known.item == *item);
                match known {
                    Some(known) => known.hosts.push(host.to_string()),
                    None => self.included.push(Inclusion {
                        file: file.clone(),
                        item: item.clone(),
                        hosts: vec![host.to_string()],
                    }),
                }
            }
            Event::Warning(text) => {
                eprintln!("{}", self.style.paint.color(AnsiColor::Magenta, &format!("[WARNING]: {text}")))
            }
            Event::Deprecated(text) => eprintln!(
                "{}",
                self.style.paint.color(AnsiColor::Magenta, &format!("[DEPRECATION WARNING]: {text}"))
            ),
            Event::Mistake(text) => {
                eprintln!("{}", self.style.paint.color(AnsiColor::Red, &format!("[ERROR]: {text}")))
            }
            Event::Notice(text) => eprintln!("{text}"),
            Event::Meta(text) if self.style.verbosity >= 2 => println!("META: {text}"),
            Event::Recap(recap) => self.recap(recap),
            Event::Playbook { .. }
            | Event::AllFailed
            | Event::Now { .. }
            | Event::Stats(_)
            | Event::Meta(_) => {}
        }
    }
}
