//! A run in check mode, and what its results say would change.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use run::event::{Ended, Event, Sink, Status};

use super::change::{self, Foreseen};
use crate::arguments::Playing;
use crate::commands::apply;
use crate::commands::stage::{self, Stage};
use crate::report;
use crate::setup::{self, Base, Problem};

/// Results tell what they were asked for from this verbosity on.
const TELLS_ARGUMENTS: u8 = 3;

/// What would change.
pub(crate) struct Foretold {
    /// The hosts of the run, and the generation at which each is.
    pub(crate) hosts: BTreeMap<String, Option<u64>>,
    /// In the order of the run, host by host.
    pub(crate) changes: Vec<Foreseen>,
    /// Where it could not be foretold: host, task, reason.
    pub(crate) failures: Vec<(String, String, String)>,
}

impl Foretold {
    pub(crate) fn of(playing: &Playing, base: &mut Base, command: &str) -> Result<Self, Problem> {
        let looking = Playing { check: true, diff: true, step: false, ..playing.clone() };
        let mut settings = setup::settings(&looking, base, command)?;
        settings.verbosity = settings.verbosity.max(TELLS_ARGUMENTS);
        let stage = Stage::set(&looking, settings, base, |base| {
            let project = base.project(&looking.playbooks)?;
            apply::refuse_unknown(&project)?;
            Ok(project)
        })?;
        let info = stage::run_info(&stage.settings, base);
        let gathered: Arc<Mutex<Gathered>> = Arc::default();
        let sink = Box::new(Gatherer(Arc::clone(&gathered)));
        let performed = stage.perform(base, info, stage::unrecorded(), sink, &looking.playbooks)?;
        let (recap, outcome) = (performed.recap.clone(), performed.outcome.clone());
        performed.close(0);
        outcome?;
        if recap.interrupted {
            return Err(Problem::Other("interrupted".to_owned()));
        }
        let hosts = recap.hosts.keys().map(|host| (host.clone(), recap.generations.get(host).copied()));
        let Gathered { mut changes, failures } = std::mem::take(&mut *gathered.lock());
        changes.sort_by(|a, b| a.host.cmp(&b.host));
        Ok(Self { hosts: hosts.collect(), changes, failures })
    }

    /// Each once.
    pub(crate) fn failed_hosts(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.failures.iter().map(|(host, ..)| host.as_str()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[derive(Default)]
struct Gathered {
    changes: Vec<Foreseen>,
    failures: Vec<(String, String, String)>,
}

struct Gatherer(Arc<Mutex<Gathered>>);

impl Sink for Gatherer {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Ended(ended) => self.0.lock().ended(ended),
            Event::Warning(text) => eprintln!("warning: {text}"),
            Event::Notice(text) => eprintln!("note: {text}"),
            _ => {}
        }
    }
}

impl Gathered {
    fn ended(&mut self, ended: &Ended) {
        // Its items were told one by one.
        let whole_loop = ended.looped && ended.item.is_none();
        match ended.status {
            Status::Failed | Status::Unreachable if !whole_loop => {
                let reason = report::reason(&ended.result);
                self.failures.push((ended.host.to_string(), ended.step.name.clone(), reason));
            }
            Status::Changed if !whole_loop => self.changes.extend(change::of(ended)),
            Status::Skipped if !whole_loop => self.changes.extend(change::not_foretold(ended)),
            _ => {}
        }
    }
}
