//! What outlives its command (a daemon that a script started): its stopped calls would fail when nobody listens any
//! more. So a small process stays and lets each go on, until the last of them has ended.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags};

use crate::sys;

/// The number under which the supervisor gets the listener.
pub const LISTENER: RawFd = 3;

/// Let every call go on until nobody is left. Ends with the last process.
pub fn supervise() -> io::Result<()> {
    let listener = sys::inherited(LISTENER)?;
    // They depend on us; a machine short of memory shall not choose this process, which has none. May be refused.
    _ = std::fs::write("/proc/self/oom_score_adj", "-900");
    _ = std::env::set_current_dir("/");
    let_all_go_on(&listener)
}

fn let_all_go_on(listener: &OwnedFd) -> io::Result<()> {
    loop {
        let mut polled = [PollFd::new(listener, PollFlags::IN)];
        match rustix::event::poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let heard = polled[0].revents();
        if heard.contains(PollFlags::IN) {
            if let Some(call) = sys::receive(listener.as_fd())? {
                sys::answer(listener.as_fd(), call.id, None)?;
            }
        } else if heard.intersects(PollFlags::HUP | PollFlags::ERR) {
            return Ok(());
        }
    }
}
