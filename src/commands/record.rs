//! Keeping what was done in the ledger: begun before the first host is touched, ended with what people saw. A ledger
//! that cannot be written is a warning, never the end of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use catalog::{Json, Map};
use ledger::{Counts, GenerationSummary, HostResult, Ledger, RunEnd, RunStart, SqliteLedger};
use link::RunInfo;
use parking_lot::Mutex;
use run::Recap;
use run::event::{Counters, Ended, Event, Sink, Status};

/// How many paths of a generation are named.
const SOME: usize = 10;
/// How much of a failure's reason is kept.
const REASON: usize = 300;

/// A run that is being recorded.
pub(crate) struct Record {
    ledger: Option<SqliteLedger>,
    problem: Option<ledger::Error>,
    id: String,
    notes: Arc<Mutex<Notes>>,
}

/// What is noted on the way, by host.
#[derive(Default)]
struct Notes {
    hosts: BTreeMap<String, HostNotes>,
}

#[derive(Default)]
struct HostNotes {
    reason: Option<String>,
    tasks: Vec<String>,
    paths: BTreeSet<String>,
    facts: Option<Map>,
}

/// The ledger of whoever runs this program.
pub(crate) fn place() -> ledger::Result<PathBuf> {
    ledger::default_path(rustix::process::geteuid().is_root())
}

pub(crate) fn begin(info: &RunInfo, playbooks: &[PathBuf]) -> Record {
    let begun = place().and_then(|path| {
        let mut ledger = SqliteLedger::open(&path)?;
        ledger.begin_run(&start(info, playbooks))?;
        Ok(ledger)
    });
    let (ledger, problem) = match begun {
        Ok(ledger) => (Some(ledger), None),
        Err(problem) => (None, Some(problem)),
    };
    Record { ledger, problem, id: info.run.clone(), notes: Arc::default() }
}

/// Keeps nothing.
pub(crate) fn none() -> Record {
    Record { ledger: None, problem: None, id: String::new(), notes: Arc::default() }
}

fn start(info: &RunInfo, playbooks: &[PathBuf]) -> RunStart {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    RunStart {
        id: info.run.clone(),
        started: info.started.clone(),
        person: format!("{}@{machine}", info.person),
        command: info.command.clone(),
        project: info.project.clone(),
        playbooks_digest: ledger::files_digest(playbooks),
        check: info.check,
    }
}

impl Record {
    /// Notes what passes on its way to the person.
    pub(crate) fn watch(&self, shown: Box<dyn Sink>) -> Box<dyn Sink> {
        Box::new(Watched { shown, notes: self.notes.clone() })
    }

    pub(crate) fn end(mut self, recap: &Recap, code: u8, warn: &dyn Fn(String)) {
        let problem = match self.ledger.take() {
            Some(mut ledger) => self.write(&mut ledger, recap, code).err(),
            None => self.problem.take(),
        };
        if let Some(problem) = problem {
            warn(format!("this run is not recorded: {problem}"));
        }
    }

    fn write(&self, ledger: &mut SqliteLedger, recap: &Recap, code: u8) -> ledger::Result<()> {
        let finished = jiff::Timestamp::now().to_string();
        let mut end = RunEnd { finished: finished.clone(), exit: i32::from(code), ..RunEnd::default() };
        let mut notes = std::mem::take(&mut *self.notes.lock()).hosts;
        for (host, counters) in &recap.hosts {
            let notes = notes.entry(host.clone()).or_default();
            let generation = recap.generations.get(host).copied();
            let made = recap.made.contains(host);
            if let Some(number) = generation.filter(|_| made) {
                end.generations.push((host.clone(), number, notes.summary()));
            }
            let reason = notes.reason.take();
            end.hosts.push(HostResult {
                host: host.clone(),
                counts: counts(counters),
                generation,
                made,
                reason,
            });
        }
        ledger.end_run(&self.id, &end)?;
        for (host, notes) in notes {
            if let Some(facts) = notes.facts.filter(|_| recap.hosts.contains_key(&host)) {
                ledger.note_facts(&host, &finished, &facts)?;
            }
        }
        Ok(())
    }
}

impl HostNotes {
    fn summary(&self) -> GenerationSummary {
        GenerationSummary {
            paths: self.paths.len() as u64,
            some_paths: self.paths.iter().take(SOME).cloned().collect(),
            tasks: self.tasks.clone(),
        }
    }
}

fn counts(c: &Counters) -> Counts {
    Counts {
        ok: c.ok.into(),
        changed: c.changed.into(),
        unreachable: c.unreachable.into(),
        failed: c.failed.into(),
        skipped: c.skipped.into(),
        rescued: c.rescued.into(),
        ignored: c.ignored.into(),
    }
}

struct Watched {
    shown: Box<dyn Sink>,
    notes: Arc<Mutex<Notes>>,
}

impl Sink for Watched {
    fn event(&mut self, event: &Event) {
        if let Event::Ended(ended) = event {
            // Said by the host with its first result of the run, and with those of tasks whose work was taken back.
            for key in ["drifted_before", "kept_drift"] {
                if let Some(text) = ended.result.get(key).and_then(Json::as_str) {
                    self.shown.event(&Event::Warning(format!("{}: {text}", ended.host)));
                }
            }
            note(self.notes.lock().hosts.entry(ended.host.to_string()).or_default(), ended);
        }
        self.shown.event(event);
    }
}

fn note(host: &mut HostNotes, ended: &Ended) {
    host.paths.extend(ended.paths.iter().cloned());
    match ended.status {
        Status::Changed if host.tasks.last() != Some(&ended.step.name) => {
            host.tasks.push(ended.step.name.clone())
        }
        Status::Failed | Status::Unreachable => {
            let reason = crate::report::reason(&ended.result);
            let short: String = reason.lines().next().unwrap_or_default().chars().take(REASON).collect();
            host.reason = Some(format!("{}: {short}", ended.step.name));
        }
        _ => {}
    }
    let gathers = matches!(ended.step.action.rsplit('.').next(), Some("setup" | "gather_facts"));
    if gathers && let Some(Json::Object(facts)) = ended.result.get("ansible_facts") {
        host.facts = Some(ledger::facts_summary(facts));
    }
}
