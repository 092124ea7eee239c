//! Commands that run inside a host: the child enters all of its namespaces, forks once more to be in the pid
//! namespace too, and the part that stays outside mirrors signals and exit status.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::ThreadNameSpaceType as Kind;

use crate::cgroup::Layout;
use crate::host::LabHost;
use crate::{capabilities, sys};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(crate) fn command(host: &LabHost, program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("HOME", "/root").env("LANG", "C.UTF-8");
    command.env("USER", "root").env("LOGNAME", "root");
    let privileged = capabilities::privileged();
    let mut kinds =
        Kind::MOUNT | Kind::HOST_NAME_AND_NIS_DOMAIN_NAME | Kind::INTER_PROCESS_COMMUNICATION | Kind::NETWORK;
    kinds |= Kind::PROCESS_ID;
    kinds |= if privileged { Kind::CONTROL_GROUP } else { Kind::USER };
    let layout = if privileged { Layout::of_machine() } else { Layout::default() };
    let mut entrances = layout.entrances(&format!("{}.{}", host.pool, host.name));
    let handle = open(host);
    sys::before_exec(&mut command, move || {
        let handle = handle.as_ref().map_err(|code| io::Error::from_raw_os_error(*code))?;
        for entrance in &mut entrances {
            write_here(entrance)?;
        }
        rustix::thread::move_into_thread_name_spaces(handle.as_fd(), kinds)?;
        enter_pid_namespace()?;
        if rustix::process::chdir("/root").is_err() {
            rustix::process::chdir("/")?;
        }
        capabilities::restrict()
    });
    command
}

pub(crate) fn network_command(host: &LabHost, program: &OsStr) -> Command {
    let mut command = Command::new(program);
    let handle = open(host);
    sys::before_exec(&mut command, move || {
        let handle = handle.as_ref().map_err(|code| io::Error::from_raw_os_error(*code))?;
        Ok(rustix::thread::move_into_thread_name_spaces(handle.as_fd(), Kind::NETWORK)?)
    });
    command
}

/// A handle on process 1, or the error's number: only that can be reported between fork and exec.
fn open(host: &LabHost) -> Result<OwnedFd, i32> {
    let gone = rustix::io::Errno::SRCH.raw_os_error();
    let process = host.process.ok_or(gone)?;
    process.open().map_err(|error| error.raw_os_error().unwrap_or(gone))
}

fn write_here(entrance: &mut File) -> io::Result<()> {
    entrance.write_all(b"0")
}

/// Does a little work with files in a forked child that keeps only the given descriptors.
pub(crate) fn in_child(keep: &[BorrowedFd<'_>], work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match sys::fork()? {
        sys::Forked::Child => {
            sys::block_signals();
            sys::close_except(&keep.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>());
            let done = work().map_err(|error| error.raw_os_error().unwrap_or(libc::EIO));
            sys::exit_now(done.err().unwrap_or(0))
        }
        sys::Forked::Parent(child) => {
            let ended =
                rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(child), WaitOptions::empty()))?;
            match ended.and_then(|(_, status)| status.exit_status()) {
                Some(0) => Ok(()),
                Some(code) => Err(io::Error::from_raw_os_error(code)),
                None => Err(io::ErrorKind::Interrupted.into()),
            }
        }
    }
}

/// Returns in a child inside the pid namespace; the process that was there before waits for it.
fn enter_pid_namespace() -> io::Result<()> {
    sys::block_signals();
    match sys::fork()? {
        sys::Forked::Parent(child) => stand_for(child),
        sys::Forked::Child => {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            sys::unblock_signals();
            Ok(())
        }
    }
}

/// Passes signals on to the child and ends as it ends.
fn stand_for(child: Pid) -> ! {
    sys::close_except(&[]);
    sys::default_child_signal();
    loop {
        while let Ok(Some((_, status))) = rustix::process::waitpid(Some(child), WaitOptions::NOHANG) {
            if let Some(code) = status.exit_status() {
                sys::exit_now(code);
            }
            if let Some(signal) = status.terminating_signal() {
                sys::die_by_signal(signal);
            }
        }
        let signal = sys::next_signal();
        if signal > 0 && signal != Signal::CHILD.as_raw() {
            sys::forward_signal(child, signal);
        }
    }
}
