//! Ties hosts to the life of the process that made them: a small watcher sees the process end, however it ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};

use crate::state::{Process, State};
use crate::{cleanup, daemon};

/// A host's pool, name and process 1.
pub(crate) type Tied = (String, String, Process);

/// Starts the watcher over hosts of this process.
pub(crate) fn to_this_process(state: &State, hosts: &[Tied]) -> io::Result<()> {
    let owner = Process::this().open()?;
    let inits: Vec<OwnedFd> = hosts.iter().filter_map(|(_, _, init)| init.open().ok()).collect();
    let keep: Vec<_> = inits.iter().chain([&owner]).map(AsFd::as_fd).collect();
    daemon::start(c"lab-tie", &keep, || watch(state, hosts, &owner, &inits)).map(drop)
}

/// Returns once the owner or all of its hosts have ended.
fn watch(state: &State, hosts: &[Tied], owner: &OwnedFd, inits: &[OwnedFd]) {
    let mut waiting: Vec<&OwnedFd> = inits.iter().collect();
    while !waiting.is_empty() {
        let mut events: Vec<PollFd<'_>> =
            [owner].into_iter().chain(waiting.iter().copied()).map(watched).collect();
        let _ = poll(&mut events, None);
        if ended(&events[0]) {
            for (pool, name, init) in hosts {
                let _ = cleanup::remove_if_same(state, pool, name, *init);
            }
            return;
        }
        let still =
            waiting.iter().zip(&events[1..]).filter(|(_, event)| !ended(event)).map(|(init, _)| *init);
        waiting = still.collect();
    }
}

fn watched(process: &OwnedFd) -> PollFd<'_> {
    PollFd::new(process, PollFlags::IN)
}

fn ended(event: &PollFd<'_>) -> bool {
    !event.revents().is_empty()
}
