//! The working thread: one thing after the other.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use catalog::Map;
use catalog::protocol::{
    AgentId, Call, CallId, Escalate, FromAgent, NEVER_REFUSED, RunInfo, Sealed, ToAgent, Undone,
};
use layer::Recorder;
use serde_json::json;

use super::around::Around;
use super::call::{Tools, perform};
use super::relay;
use super::shared::{Contents, Item, Outstanding, Shared, Stopped};
use crate::cache::Cache;
use crate::escalate::Refused;
use crate::jobs;

pub(super) struct Executor {
    shared: Arc<Shared>,
    recorder: Recorder,
    cache: Cache,
    run: RunInfo,
    children: Vec<relay::Child>,
    /// Agents that were ended in the middle of the run, to be opened again if they are needed.
    released: HashMap<AgentId, Escalate>,
    any_failed: bool,
    around: Around,
}

impl Executor {
    pub(super) fn new(shared: Arc<Shared>, recorder: Recorder, cache: Cache, run: RunInfo) -> Self {
        let around = Around::new(recorder.state_dir().to_owned(), &run);
        Self {
            shared,
            recorder,
            cache,
            run,
            children: Vec::new(),
            released: HashMap::new(),
            any_failed: false,
            around,
        }
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        while let Some(item) = self.shared.next() {
            match item {
                Item::Call { id, agent: 0, epoch, call } => {
                    if !self.own_call(id, epoch, &call) {
                        return Ok(());
                    }
                }
                Item::Call { id, agent, epoch, call } => self.others_call(id, agent, epoch, call),
                Item::Open { agent, escalate } => self.open(agent, escalate),
                Item::Resume { epoch } => {
                    self.shared.wait_for_others(None);
                    self.shared.stop(None);
                    for agent in self.shared.children() {
                        self.shared.to_child(agent, &ToAgent::Resume { epoch }, &[]);
                    }
                }
                Item::Bye { failed, undo } => {
                    self.bye(failed, undo);
                    return Ok(());
                }
            }
        }
        // The controller is gone without a goodbye.
        relay::end_all(self.children);
        let sealed = self.around.seal(self.recorder, true, self.run.undo_when_lost, &self.shared);
        sealed.map(drop).map_err(io::Error::other)
    }

    /// False: the agent cannot go on.
    fn own_call(&mut self, id: CallId, epoch: u32, call: &Call) -> bool {
        self.shared.wait_for_others(None);
        if self.shared.refuses(epoch, call.group) {
            self.shared.send(&FromAgent::Refused { id });
            return true;
        }
        self.release_removed(call);
        let start = Instant::now();
        let mark = self.recorder.mark();
        let begun = self.shared.begin(id);
        if begun && !call.check {
            self.around.begin();
        }
        let mut result =
            if begun { self.result(call) } else { failure("the task was interrupted before it began") };
        self.shared.end();
        if call.module == "layers" {
            self.around.undone();
        } else if begun && !call.check {
            self.around.settle(&mut self.recorder, mark, &mut result, &self.shared);
        }
        let failed = result.get("failed").is_some_and(|f| f == true);
        if failed && !call.keep_going && epoch != NEVER_REFUSED {
            self.shared.stop(Some(Stopped { epoch, group: call.group }));
        }
        self.any_failed |= failed;
        let paths =
            self.recorder.touched_since(mark).iter().map(|p| p.to_string_lossy().into_owned()).collect();
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shared.send(&FromAgent::Done { id, result, paths, micros });
        if let Some(reason) = self.recorder.blocked() {
            self.shared.send(&FromAgent::Fatal { reason: reason.to_owned() });
            return false;
        }
        true
    }

    fn release_removed(&mut self, call: &Call) {
        let text = |name: &str| call.args.get(name).and_then(|value| value.as_str());
        if call.module != "user" || text("state") != Some("absent") || self.children.is_empty() || call.check
        {
            return;
        }
        let Some(name) = text("name").or_else(|| text("user")) else { return };
        if let Some(user) = crate::accounts::Accounts::read().user(name) {
            self.released.extend(relay::release(&self.shared, &mut self.children, user.uid));
        }
    }

    fn result(&mut self, call: &Call) -> Map {
        if call.async_seconds > 0 && !call.check {
            return jobs::start(call, &self.run, self.recorder.state_dir());
        }
        let contents = Contents(self.shared.clone());
        let tools = Tools {
            recorder: &mut self.recorder,
            watch: super::watch_mode(&self.run),
            cache: &mut self.cache,
            blobs: &contents,
            cancelled: &self.shared.cancelled,
        };
        perform(call, tools)
    }

    fn others_call(&mut self, id: CallId, agent: AgentId, epoch: u32, call: Box<Call>) {
        self.shared.wait_for_others(Some(agent));
        if self.shared.refuses(epoch, call.group) {
            self.shared.send(&FromAgent::Refused { id });
            return;
        }
        if let Some(how) = self.released.remove(&agent)
            && let Ok((child, _)) = relay::open(&self.shared, agent, &how, &self.run)
        {
            self.children.push(child);
        }
        let stop =
            (!call.keep_going && epoch != NEVER_REFUSED).then_some(Stopped { epoch, group: call.group });
        let handed = if self.shared.has_child(agent) {
            self.shared.hand_over(id, Outstanding { agent, stop })
        } else {
            Err(format!("there is no agent {agent} on this host"))
        };
        match handed {
            Ok(()) => self.shared.to_child(agent, &ToAgent::Call { id, agent: 0, epoch, call }, &[]),
            Err(reason) => {
                self.shared.stop(stop);
                self.shared.send(&FromAgent::Done {
                    id,
                    result: failure(&reason),
                    paths: Vec::new(),
                    micros: 0,
                });
            }
        }
    }

    fn open(&mut self, agent: AgentId, escalate: Escalate) {
        match relay::open(&self.shared, agent, &escalate, &self.run) {
            Ok((child, hello)) => {
                self.children.push(child);
                self.shared.send(&FromAgent::Opened { agent, hello });
            }
            Err(refused) => {
                let Refused { reason, password, timed_out } = refused;
                self.shared.send(&FromAgent::OpenFailed { agent, reason, password, timed_out });
            }
        }
    }

    fn bye(self, failed: bool, undo: bool) {
        self.shared.wait_for_others(None);
        let agents = self.shared.children();
        for agent in &agents {
            self.shared.to_child(*agent, &ToAgent::Bye { failed, undo }, &[]);
        }
        // Ours first: one that became our own user in another way seals behind us.
        let sealed = self.around.seal(self.recorder, failed, undo, &self.shared);
        let others = self.shared.wait_for_seals(&agents);
        let root = self.children.iter().filter(|c| c.uid == 0).find_map(|c| others.get(&c.agent));
        // The controller's word: a failure that the play rescued is no failure of the run.
        let message = match sealed {
            Ok(own) => {
                // The host's own history is root's.
                let ours = own.generation.filter(|_| root.is_none() || rustix::process::geteuid().is_root());
                let generation = root.and_then(|root| root.generation).max(ours);
                let all = || others.values().chain([&own]);
                FromAgent::Sealed(Sealed {
                    generation,
                    made: all().any(|one| one.made),
                    guarded: all().any(|one| one.guarded),
                    undone: all().filter_map(|one| one.undone.clone()).reduce(both),
                })
            }
            Err(error) => {
                FromAgent::Fatal { reason: format!("the record of this run could not be completed: {error}") }
            }
        };
        relay::end_all(self.children);
        self.shared.cancelled.store(true, Ordering::Relaxed);
        self.shared.send(&message);
    }
}

/// What two users' agents put back on one host.
fn both(mut one: Undone, other: Undone) -> Undone {
    one.to = one.to.max(other.to);
    one.paths.extend(other.paths);
    one.services.extend(other.services);
    one.irreversible.extend(other.irreversible);
    one.problem = one.problem.or(other.problem);
    one
}

/// A result for what could not even be begun.
pub(crate) fn failure(message: &str) -> Map {
    Map::from_iter([
        ("failed".to_owned(), json!(true)),
        ("changed".to_owned(), json!(false)),
        ("msg".to_owned(), json!(message)),
    ])
}
