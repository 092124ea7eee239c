//! Other users' agents: started, spoken to, ended.

use std::io::Read;
use std::process::Child as Process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::protocol::{self, AgentId, Escalate, FromAgent, Hello, RunInfo, ToAgent, VERSION};

use super::executor::failure;
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
}

/// Start an agent for another user and greet it.
pub(super) fn open(
    shared: &Arc<Shared>,
    agent: AgentId,
    how: &Escalate,
    run: &RunInfo,
) -> Result<(Child, Hello), Refused> {
    let end = Instant::now() + Duration::from_secs(u64::from(how.timeout_seconds.max(1)));
    let Opened { mut process, mut input, mut output } = if escalate::is_own(how) {
        escalate::open_own()
    } else {
        escalate::open(how, &shared.cancelled, end)
    }?;
    let mut run = run.clone();
    run.directory = how.chdir.clone().unwrap_or(run.directory);
    let greeting = ToAgent::Hello { version: VERSION, run };
    let greeted =
        protocol::write_frame(&mut input, &greeting, &[]).and_then(|()| protocol::read_frame(&mut output));
    let hello = match greeted {
        Ok(Some((FromAgent::Hello(hello), _))) => hello,
        Ok(Some((FromAgent::Fatal { reason }, _))) => return Err(give_up(&mut process, reason)),
        Ok(_) => return Err(give_up(&mut process, format!("the agent of user {} did not answer", how.user))),
        Err(error) => return Err(give_up(&mut process, format!("the agent of user {}: {error}", how.user))),
    };
    shared.add_child(agent, Box::new(input));
    let (shared, user) = (shared.clone(), how.user.clone());
    let listener = std::thread::Builder::new().name(format!("agent {agent}"));
    let started = listener.spawn(move || listen(&shared, agent, &user, &mut output));
    if let Err(error) = started {
        return Err(give_up(&mut process, format!("no thread for the agent of user {}: {error}", how.user)));
    }
    Ok((Child { agent, uid: hello.uid, how: how.clone(), process }, hello))
}

fn give_up(process: &mut Process, reason: String) -> Refused {
    _ = process.kill();
    _ = process.wait();
    Refused { reason, ..Refused::default() }
}

/// Pass on what it says, under its number.
fn listen(shared: &Shared, agent: AgentId, user: &str, output: &mut impl Read) {
    let reason = loop {
        let (message, body) = match protocol::read_frame::<FromAgent>(output) {
            Ok(Some(frame)) => frame,
            Ok(None) => break format!("the agent of user {user} ended unexpectedly"),
            Err(error) => break format!("the agent of user {user} cannot be understood: {error}"),
        };
        match message {
            FromAgent::Need { digest, .. } => shared.send(&FromAgent::Need { agent, digest }),
            FromAgent::Done { id, ref result, .. } => {
                let failed = result.get("failed").is_some_and(|f| f == true);
                shared.handed_back(id, failed);
                shared.send_with(&message, &body);
            }
            FromAgent::Refused { id } => {
                shared.handed_back(id, false);
                shared.send(&message);
            }
            FromAgent::Sealed(sealed) => shared.child_sealed(agent, sealed),
            FromAgent::Fatal { reason } => {
                shared.send(&FromAgent::Fatal { reason: reason.clone() });
                break reason;
            }
            FromAgent::Hello(_)
            | FromAgent::Opened { .. }
            | FromAgent::OpenFailed { .. }
            | FromAgent::Alive => {}
        }
    };
    for id in shared.died(agent, &reason) {
        shared.handed_back(id, true);
        shared.send(&FromAgent::Done { id, result: failure(&reason), paths: Vec::new(), micros: 0 });
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
    }
}
