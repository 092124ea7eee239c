//! The working thread: one thing after the other, except what may be done side by side.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use catalog::Map;
use catalog::protocol::{
    AgentId, Call, CallId, Escalate, FromAgent, NEVER_REFUSED, OnBehalfOf, RunInfo, Sealed, ToAgent, Undone,
};
use layer::Recorder;
use serde_json::json;

use super::around::Around;
use super::overseen::Overseen;
use super::record::{Kept, Record};
use super::relay;
use super::shared::{Item, Outstanding, Shared, Stopped};
use super::worker::Worker;
use crate::cache::Cache;
use crate::escalate::{self, Refused};

pub(super) struct Executor {
    shared: Arc<Shared>,
    record: Arc<Record>,
    cache: Cache,
    run: Arc<RunInfo>,
    children: Vec<relay::Child>,
    /// Agents that were ended in the middle of the run, to be opened again if they are needed.
    released: HashMap<AgentId, Escalate>,
}

impl Executor {
    pub(super) fn new(shared: Arc<Shared>, recorder: Recorder, cache: Cache, run: RunInfo) -> Self {
        let around = Around::new(recorder.state_dir().to_owned(), &run);
        Self {
            shared,
            record: Arc::new(Record::new(recorder, around)),
            cache,
            run: Arc::new(run),
            children: Vec::new(),
            released: HashMap::new(),
        }
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        while let Some(item) = self.shared.next() {
            match item {
                Item::Call { id, agent: 0, epoch, call } => {
                    if !self.own_call(id, epoch, call) {
                        return Ok(());
                    }
                }
                Item::Call { id, agent, epoch, call } => self.others_call(id, agent, epoch, call),
                Item::Open { agent, escalate, through_root } => {
                    if !(through_root && self.open_through_root(agent, &escalate)) {
                        self.open(agent, &escalate);
                    }
                }
                Item::Resume { epoch } => {
                    self.shared.wait_for_others(None);
                    self.shared.resume(epoch);
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
        self.shared.wait_for_ours();
        if self.shared.is_blocked() {
            return Ok(());
        }
        // The controller is gone without a goodbye.
        relay::end_all(self.children);
        let Some(Kept { recorder, around }) = self.record.take() else { return Ok(()) };
        let sealed = around.seal(recorder, true, self.run.undo_when_lost, &self.shared);
        sealed.map(drop).map_err(io::Error::other)
    }

    /// False: the agent cannot go on.
    fn own_call(&mut self, id: CallId, epoch: u32, call: Box<Call>) -> bool {
        self.shared.wait_for_others(None);
        if self.shared.refuses(epoch, call.group) {
            self.shared.send(&FromAgent::Refused { id });
            return true;
        }
        self.release_removed(&call);
        let begun = self.shared.begin(id, call.beside);
        let worker =
            Worker { shared: self.shared.clone(), record: self.record.clone(), run: self.run.clone() };
        if call.beside.is_none() {
            return worker.call(&begun, epoch, &call, &mut self.cache);
        }
        let stop = stopped_by(&call, epoch);
        // It may change whatever was learned.
        self.cache.forget_all();
        let beside = move || {
            if !worker.call(&begun, epoch, &call, &mut Cache::default()) {
                worker.shared.block();
            }
        };
        let thread = std::thread::Builder::new().name("beside".to_owned()).spawn(beside);
        if let Err(error) = thread {
            let result = failure(&format!("no thread could be started for this task: {error}"));
            self.shared.stop(stop);
            self.shared.send(&FromAgent::Done { id, result, paths: Vec::new(), micros: 0 });
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

    fn others_call(&mut self, id: CallId, agent: AgentId, epoch: u32, call: Box<Call>) {
        // What it changes is looked at after each call: it must not have begun with the next.
        let may_have_more = self.overseen(agent).is_none();
        self.shared.wait_for_others(may_have_more.then_some(agent));
        if self.shared.refuses(epoch, call.group) {
            self.shared.send(&FromAgent::Refused { id });
            return;
        }
        if let Some(how) = self.released.remove(&agent)
            && let Ok((child, _)) = relay::open(&self.shared, &self.record, agent, &how, &self.run)
        {
            self.children.push(child);
        }
        let stop = stopped_by(&call, epoch);
        let handed = if self.shared.has_child(agent) {
            self.shared.hand_over(id, Outstanding { agent, stop })
        } else {
            Err(format!("there is no agent {agent} on this host"))
        };
        match handed {
            Ok(()) => {
                if let Some(overseen) = self.overseen(agent) {
                    overseen.call(id, &call);
                }
                self.shared.to_child(agent, &ToAgent::Call { id, agent: 0, epoch, call }, &[]);
            }
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

    fn overseen(&self, agent: AgentId) -> Option<&Arc<Overseen>> {
        self.children.iter().find(|child| child.agent == agent)?.overseen.as_ref()
    }

    /// What an agent does that root's started is watched. False: there is no such way.
    fn open_through_root(&self, agent: AgentId, escalate: &Escalate) -> bool {
        let root = self.children.iter().find(|child| child.watches && self.shared.has_child(child.agent));
        let mut accounts = crate::accounts::Accounts::read();
        let is_root = accounts.user(&escalate.user).is_none_or(|user| user.uid == 0);
        match root {
            Some(root) if !is_root && !escalate::is_own(escalate) => {
                let on_behalf_of = Some(OnBehalfOf {
                    user: crate::accounts::own_name(),
                    uid: rustix::process::getuid().as_raw(),
                    gid: rustix::process::getgid().as_raw(),
                });
                self.shared.ask_root(root.agent, agent, Escalate { on_behalf_of, ..escalate.clone() });
                true
            }
            _ => false,
        }
    }

    fn open(&mut self, agent: AgentId, escalate: &Escalate) {
        match relay::open(&self.shared, &self.record, agent, escalate, &self.run) {
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

    fn bye(mut self, failed: bool, undo: bool) {
        self.shared.wait_for_others(None);
        let agents = self.shared.children();
        for agent in &agents {
            self.shared.to_child(*agent, &ToAgent::Bye { failed, undo }, &[]);
        }
        // Of those that have no record of their own, all is known when they have ended.
        let (overseen, others) =
            std::mem::take(&mut self.children).into_iter().partition(|c| c.overseen.is_some());
        self.children = others;
        relay::end_all(overseen);
        let Some(Kept { recorder, around }) = self.record.take() else { return };
        // Ours first: one that became our own user in another way seals behind us.
        let sealed = around.seal(recorder, failed, undo, &self.shared);
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
        self.shared.cancel_all();
        self.shared.send(&message);
    }
}

/// What the failure of a call stops.
pub(super) fn stopped_by(call: &Call, epoch: u32) -> Option<Stopped> {
    (!call.keep_going && epoch != NEVER_REFUSED).then_some(Stopped { epoch, group: call.group })
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
