//! What a child does between `fork` and `exec`.
#![expect(unsafe_code, reason = "`pre_exec` is unsafe; only async-signal-safe system calls are made in it")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How a child begins.
#[derive(Clone, Default)]
pub(crate) struct Start {
    pub(crate) umask: Option<u32>,
    /// The child ends when the thread that started it ends (also when the agent is killed).
    pub(crate) die_with_us: bool,
    /// A session of its own instead of a process group of its own.
    pub(crate) session: bool,
    /// The controlling terminal (a descriptor of a pseudo-terminal; needs `session`).
    pub(crate) terminal_on: Option<i32>,
    /// Descriptors that the child has under these numbers.
    pub(crate) give: Vec<(i32, i32)>,
    /// Where the watch begins.
    pub(crate) door: Option<witness::Door>,
}

pub(crate) fn prepare(command: &mut Command, start: Start) {
    if !start.session {
        command.process_group(0);
    }
    let begin = move || -> io::Result<()> {
        if start.session {
            rustix::process::setsid()?;
        }
        if let Some(fd) = start.terminal_on {
            // SAFETY: the descriptor is open in the child: the caller passes one that it holds until after the spawn.
            let terminal = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
            rustix::process::ioctl_tiocsctty(terminal)?;
        }
        for (fd, number) in &start.give {
            // SAFETY: the source is held open by the caller; the number belongs to the child alone, which keeps it.
            let (fd, mut number) = unsafe {
                use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
                (BorrowedFd::borrow_raw(*fd), std::mem::ManuallyDrop::new(OwnedFd::from_raw_fd(*number)))
            };
            rustix::io::dup2(fd, &mut number)?;
        }
        if start.die_with_us {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        }
        if let Some(mask) = start.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        }
        // The last thing: what comes before it need not be watched.
        start.door.map_or(Ok(()), witness::Door::enter)
    };
    // SAFETY: the closure makes system calls only: it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(begin);
    }
}
