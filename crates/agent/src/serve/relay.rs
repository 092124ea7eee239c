//! Other users' agents: started, spoken to, ended.

use std::io::Read;
use std::process::Child as Process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::Map;
use catalog::protocol::{self, AgentId, CallId, Escalate, FromAgent, Hello, RunInfo, ToAgent, VERSION};
use witness::Gate;

use super::executor::failure;
use super::overseen::Overseen;
use super::record::Record;
use super::shared::Shared;
use crate::escalate::{self, Opened, Refused};

/// How long a child may take to end after its input was closed.
const GRACE: Duration = Duration::from_secs(10);

pub(super) struct Child {
    pub(super) agent: AgentId,
    pub(super) uid: u32,
    /// How it was opened, to open it again.
    how: Escalate,
    process: Process,
    /// It can watch what others do.
    pub(super) watches: bool,
    /// What hears it.
    pub(super) overseen: Option<Arc<Overseen>>,
}

/// Start an agent for another user and greet it.
pub(super) fn open(
    shared: &Arc<Shared>,
    record: &Arc<Record>,
    agent: AgentId,
    how: &Escalate,
    run: &RunInfo,
) -> Result<(Child, Hello), Refused> {
    let (opened, overseen) = start(shared, record, how, run)?;
    let Opened { mut process, mut input, mut output } = opened;
    let greeting = ToAgent::Hello { version: VERSION, run: its_run(run, how, overseen.is_some()) };
    let greeted =
        protocol::write_frame(&mut input, &greeting, &[]).and_then(|()| protocol::read_frame(&mut output));
    let hello = match greeted {
        Ok(Some((FromAgent::Hello(hello), _))) => hello,
        Ok(Some((FromAgent::Fatal { reason }, _))) => return Err(give_up(&mut process, reason)),
        Ok(_) => return Err(give_up(&mut process, format!("the agent of user {} did not answer", how.user))),
        Err(error) => return Err(give_up(&mut process, format!("the agent of user {}: {error}", how.user))),
    };
    let overseen = overseen.map(Arc::new);
    if let Some(overseen) = &overseen {
        overseen.greeted(&hello);
    }
    shared.add_child(agent, Box::new(input));
    let other = Other { agent, user: how.user.clone(), overseen: overseen.clone() };
    let shared = shared.clone();
    let listener = std::thread::Builder::new().name(format!("agent {agent}"));
    let started = listener.spawn(move || other.listen(&shared, &mut output));
    if let Err(error) = started {
        return Err(give_up(&mut process, format!("no thread for the agent of user {}: {error}", how.user)));
    }
    let (uid, watches) = (hello.uid, hello.watches);
    Ok((Child { agent, uid, how: how.clone(), process, watches, overseen }, hello))
}

/// Only root can hear what others do.
fn start(
    shared: &Shared,
    record: &Arc<Record>,
    how: &Escalate,
    run: &RunInfo,
) -> Result<(Opened, Option<Overseen>), Refused> {
    if escalate::is_own(how) {
        return Ok((escalate::open_own()?, None));
    }
    let end = Instant::now() + Duration::from_secs(u64::from(how.timeout_seconds.max(1)));
    let gate = Gate::new(super::watch_mode(run)).ok();
    let door = gate.as_ref().map(Gate::door);
    let mut overseen = None;
    let begin = || overseen = gate.and_then(|gate| Overseen::begin(gate, record.clone()));
    let opened = escalate::open(how, &shared.cancelled, end, door, begin)?;
    Ok((opened, overseen))
}

/// What another user's agent is told of the run. One that is overseen has no record of its own.
fn its_run(run: &RunInfo, how: &Escalate, overseen: bool) -> RunInfo {
    let mut run = run.clone();
    run.directory = how.chdir.clone().unwrap_or(run.directory);
    if overseen {
        run.witnessed = true;
        run.guard_seconds = 0;
        run.tell_drift = false;
        run.keep_drifted = false;
    }
    run
}

fn give_up(process: &mut Process, reason: String) -> Refused {
    _ = process.kill();
    _ = process.wait();
    Refused { reason, ..Refused::default() }
}

/// Who is listened to.
struct Other {
    agent: AgentId,
    user: String,
    overseen: Option<Arc<Overseen>>,
}

impl Other {
    /// Pass on what it says, under its number.
    fn listen(&self, shared: &Shared, output: &mut impl Read) {
        let user = &self.user;
        let reason = loop {
            let heard = match protocol::read_frame::<FromAgent>(output) {
                Ok(Some((message, body))) => self.hear(shared, message, &body),
                Ok(None) => Err(format!("the agent of user {user} ended unexpectedly")),
                Err(error) => Err(format!("the agent of user {user} cannot be understood: {error}")),
            };
            if let Err(reason) = heard {
                break reason;
            }
        };
        for id in shared.died(self.agent, &reason) {
            self.done(shared, id, failure(&reason), Vec::new(), 0, &[]);
        }
    }

    /// An error: nothing more will come.
    fn hear(&self, shared: &Shared, message: FromAgent, body: &[u8]) -> Result<(), String> {
        match message {
            FromAgent::Need { agent, digest } => {
                let agent = if agent == 0 { self.agent } else { agent };
                shared.send(&FromAgent::Need { agent, digest });
            }
            FromAgent::Done { id, result, paths, micros } => {
                self.done(shared, id, result, paths, micros, body);
            }
            FromAgent::Refused { id } => {
                if let Some(overseen) = &self.overseen {
                    overseen.refused(id);
                }
                shared.handed_back(id, false);
                shared.send(&message);
            }
            FromAgent::Told { what, irreversible } => {
                if let Some(overseen) = &self.overseen {
                    overseen.told(what, irreversible);
                }
            }
            FromAgent::Waits { .. } => shared.send(&message),
            FromAgent::Sealed(sealed) => shared.child_sealed(self.agent, sealed),
            FromAgent::Fatal { reason } => {
                shared.send(&FromAgent::Fatal { reason: reason.clone() });
                return Err(reason);
            }
            FromAgent::Opened { agent, .. } => {
                shared.root_opened(agent);
                shared.send(&message);
            }
            FromAgent::OpenFailed { agent, .. } => shared.root_refused(agent),
            FromAgent::Hello(_) | FromAgent::Alive => {}
        }
        Ok(())
    }

    /// A call has ended. Whoever comes next finds what it changed in the record.
    fn done(
        &self,
        shared: &Shared,
        id: CallId,
        mut result: Map,
        mut paths: Vec<String>,
        micros: u64,
        body: &[u8],
    ) {
        let settled = self.overseen.as_ref().map(|overseen| overseen.done(id, &mut result, shared));
        let fatal = match settled {
            Some(Ok(found)) => {
                paths = found;
                None
            }
            Some(Err(reason)) => Some(reason),
            None => None,
        };
        let failed = result.get("failed").is_some_and(|f| f == true);
        shared.handed_back(id, failed);
        shared.send_with(&FromAgent::Done { id, result, paths, micros }, body);
        if let Some(reason) = fatal {
            shared.send(&FromAgent::Fatal { reason });
        }
    }
}

/// Agents of a user that is about to be removed: nobody can be removed while a process of theirs runs.
pub(super) fn release(shared: &Shared, children: &mut Vec<Child>, uid: u32) -> Vec<(AgentId, Escalate)> {
    let (going, staying) = std::mem::take(children).into_iter().partition(|child| child.uid == uid);
    *children = staying;
    let going: Vec<Child> = going;
    let agents: Vec<AgentId> = going.iter().map(|child| child.agent).collect();
    for agent in &agents {
        shared.to_child(*agent, &ToAgent::Bye { failed: false, undo: false }, &[]);
    }
    shared.wait_for_seals(&agents);
    let opened = going.iter().map(|child| (child.agent, child.how.clone())).collect();
    for agent in agents {
        shared.died(agent, "it was ended because its user was removed");
    }
    end_all(going);
    opened
}

/// Their input is closed by now, or they have been told goodbye.
pub(super) fn end_all(children: Vec<Child>) {
    let end = Instant::now() + GRACE;
    for mut child in children {
        while Instant::now() < end && !matches!(child.process.try_wait(), Ok(Some(_)) | Err(_)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        _ = child.process.kill();
        _ = child.process.wait();
        if let Some(overseen) = child.overseen {
            overseen.end();
        }
    }
}
