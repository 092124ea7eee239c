//! Ties hosts to the life of the process that made them: a small watcher sees the process end, however it ends.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;

use rustix::pipe::PipeFlags;

use crate::state::{Process, State};
use crate::{birth, cleanup, sys};

/// Starts the watcher over hosts (pool, name, process 1) of this process.
pub(crate) fn to_this_process(state: &State, hosts: &[(String, String, Process)]) -> io::Result<()> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    match sys::fork()? {
        sys::Forked::Child => watch(state, hosts, File::from(read)),
        sys::Forked::Parent(_) => {
            // Stays open for as long as this process lives: its end is the signal.
            std::mem::forget(write);
            Ok(())
        }
    }
}

fn watch(state: &State, hosts: &[(String, String, Process)], mut end: File) -> ! {
    sys::block_signals();
    sys::default_child_signal();
    sys::close_except(&[end.as_raw_fd()]);
    let _ = birth::detach_stdio();
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    let _ = rustix::thread::set_name(c"lab-tie");
    while end.read(&mut [0]).is_err() {}
    for (pool, name, init) in hosts {
        let _ = cleanup::remove_if_same(state, pool, name, *init);
    }
    sys::exit_now(0)
}
