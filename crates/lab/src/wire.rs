//! A long wire: a process that carries a host's frames to the switch and lets them wait on the way. It needs
//! neither `tc` nor a kernel with netem, and ends with its host.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::Signal;

use crate::cgroup::Layout;
use crate::error::{Doing, Error, Result};
use crate::state::{HostRecord, Process, State};
use crate::{capabilities, daemon, network};

/// The kernel's largest segment, its headers, and its notes on it.
const LARGEST_FRAME: usize = 68 * 1024;
/// What may be under way before frames are lost, as on a real wire.
const MOST_WAITING: usize = 20_000;

/// Gives the host's wire the length asked for. The lock must be held.
pub(crate) fn set(state: &State, record: &mut HostRecord, delay: Duration) -> Result<()> {
    let what = || format!("changing the wire of host {}", record.name);
    if !capabilities::privileged() {
        return Err(Error::Impossible("a delay needs root: without it hosts have no network".to_owned()));
    }
    let init = record.init.ok_or_else(|| Error::NoSuchHost(record.name.clone()))?;
    let switch = network::open_switch(state, &record.pool)?;
    if let Some(handle) = record.wire.and_then(|wire| wire.open().ok()) {
        rustix::process::pidfd_send_signal(&handle, Signal::KILL).doing(what())?;
    }
    network::join_again(switch.as_fd(), record.number).doing(what())?;
    record.wire = None;
    if !delay.is_zero() {
        let (port, near) = network::cut(switch.as_fd(), record.number).doing(what())?;
        let host = init.open().doing(what())?;
        let id = format!("{}.{}", record.pool, record.name);
        record.wire = Some(start(&id, &Wire { port, near, host, delay }).doing(what())?);
    }
    state.save_host(record)
}

struct Wire {
    port: OwnedFd,
    near: OwnedFd,
    host: OwnedFd,
    delay: Duration,
}

fn start(id: &str, wire: &Wire) -> io::Result<Process> {
    let keep = [&wire.port, &wire.near, &wire.host].map(AsFd::as_fd);
    daemon::start(c"lab-wire", &keep, || {
        // So that it is found with the host's processes, whatever becomes of its record.
        let _ = Layout::of_machine().join_entered(id);
        carry(wire);
    })
}

/// Carries frames until the host ends.
fn carry(wire: &Wire) {
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut buffer = vec![0; LARGEST_FRAME];
    loop {
        let now = Instant::now();
        while waiting.front().is_some_and(|(due, _)| *due <= now) {
            let (_, frame) = waiting.pop_front().expect("a first frame was just seen");
            let _ = send(&wire.near, &frame, SendFlags::empty());
        }
        let pause = waiting.front().map(|(due, _)| due.saturating_duration_since(now));
        let limit = pause.and_then(|pause| Timespec::try_from(pause).ok());
        let mut events = [&wire.port, &wire.near, &wire.host].map(|fd| PollFd::new(fd, PollFlags::IN));
        let _ = poll(&mut events, limit.as_ref());
        let [from_host, from_switch, ended] = events.map(|event| !event.revents().is_empty());
        if ended {
            return;
        }
        if from_host {
            each_frame(wire.port.as_fd(), &mut buffer, |frame| {
                if waiting.len() < MOST_WAITING {
                    waiting.push_back((Instant::now() + wire.delay, frame.to_vec()));
                }
            });
        }
        if from_switch {
            each_frame(wire.near.as_fd(), &mut buffer, |frame| {
                let _ = send(&wire.port, frame, SendFlags::empty());
            });
        }
    }
}

/// All frames that have arrived, but no more than a few at a time, so that none keeps the others waiting.
fn each_frame(socket: BorrowedFd<'_>, buffer: &mut [u8], mut take: impl FnMut(&[u8])) {
    for _ in 0..64 {
        match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((length, _)) => take(&buffer[..length]),
            Err(_) => return,
        }
    }
}
