//! Does one call of our own: what is around it, the module, what came of it. Calls of one step for different names of
//! this machine may be done at the same time.

use std::sync::Arc;
use std::time::Instant;

use catalog::Map;
use catalog::protocol::{Call, FromAgent, RunInfo};

use super::call::{Tools, perform};
use super::desk::Desk;
use super::executor::{failure, stopped_by};
use super::record::{Kept, Record};
use super::shared::{Begun, Contents, Shared};
use crate::cache::Cache;
use crate::jobs;

#[derive(Clone)]
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) record: Arc<Record>,
    pub(super) run: Arc<RunInfo>,
}

/// What came of a call of our own.
struct Did {
    result: Map,
    paths: Vec<String>,
    /// For the record of the one that watches us.
    told: Vec<(String, bool)>,
    /// Why this run may not change the host.
    blocked: Option<String>,
}

impl Worker {
    /// Do it and answer. False: the agent cannot go on.
    pub(super) fn call(&self, begun: &Begun, epoch: u32, call: &Call, cache: &mut Cache) -> bool {
        let start = Instant::now();
        let Some(Did { result, paths, told, blocked }) = self.perform(begun, call, cache) else {
            return false;
        };
        let failed = result.get("failed").is_some_and(|f| f == true);
        if let Some(stop) = stopped_by(call, epoch).filter(|_| failed) {
            self.shared.stop(Some(stop));
        }
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        for (what, irreversible) in told {
            self.shared.send(&FromAgent::Told { what, irreversible });
        }
        self.shared.send(&FromAgent::Done { id: begun.id, result, paths, micros });
        if let Some(reason) = blocked {
            self.shared.send(&FromAgent::Fatal { reason });
            return false;
        }
        true
    }

    /// `None`: the run is over.
    fn perform(&self, begun: &Begun, call: &Call, cache: &mut Cache) -> Option<Did> {
        let (mark, ours) = self.record.with_as(begun.doer, |kept| {
            // Who watches us does all that is to be done around a task.
            let ours = !begun.too_late && !kept.recorder.is_witnessed();
            if ours && !call.check {
                kept.around.begin();
            }
            (kept.recorder.mark(), ours)
        })?;
        let mut result = if begun.too_late {
            failure("the task was interrupted before it began")
        } else {
            self.result(begun, call, cache)?
        };
        self.record.with_as(begun.doer, |kept| {
            if call.module == "layers" {
                kept.around.undone();
            }
            let aside = call.module == "layers" || call.check || !ours;
            let paths = kept.settle(mark, &mut result, aside, &self.shared);
            let Kept { recorder, .. } = kept;
            Did { result, paths, told: recorder.take_told(), blocked: recorder.blocked().map(str::to_owned) }
        })
    }

    fn result(&self, begun: &Begun, call: &Call, cache: &mut Cache) -> Option<Map> {
        if call.async_seconds > 0 && !call.check {
            // It goes on when nobody watches it any more: it has a record of its own.
            let run = RunInfo { witnessed: false, ..(*self.run).clone() };
            let state_dir = self.record.with(|kept| kept.recorder.state_dir().to_owned())?;
            return Some(jobs::start(call, &run, &state_dir));
        }
        let contents = Contents { shared: self.shared.clone(), cancelled: begun.cancelled.clone() };
        let tools = Tools {
            recorder: Desk::shared(&self.record, begun.doer),
            watch: super::watch_mode(&self.run),
            cache,
            blobs: &contents,
            cancelled: &begun.cancelled,
        };
        Some(perform(call, tools))
    }
}
