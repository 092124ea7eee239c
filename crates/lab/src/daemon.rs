//! Small processes of the lab's own that outlive the call that starts them and are nobody's child to wait for.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::pipe::PipeFlags;
use rustix::process::WaitOptions;

use crate::state::Process;
use crate::sys;

/// Starts `work` in a process of its own that keeps only the given descriptors.
pub(crate) fn start(name: &CStr, keep: &[BorrowedFd<'_>], work: impl FnOnce()) -> io::Result<Process> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    match sys::fork()? {
        sys::Forked::Parent(between) => {
            drop(write);
            let told = io::read_to_string(File::from(read));
            let _ =
                rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(between), WaitOptions::empty()));
            let process = told?.trim().parse().ok().and_then(Process::of);
            process.ok_or_else(|| io::Error::other("a helper process ended at once"))
        }
        sys::Forked::Child => {
            sys::block_signals();
            sys::default_child_signal();
            let mut kept: Vec<i32> = keep.iter().map(AsRawFd::as_raw_fd).collect();
            kept.push(write.as_raw_fd());
            sys::close_except(&kept);
            let _ = detach();
            match sys::fork() {
                Ok(sys::Forked::Child) => {
                    drop(write);
                    let _ = rustix::thread::set_name(name);
                    work();
                    sys::exit_now(0)
                }
                Ok(sys::Forked::Parent(pid)) => {
                    let _ = writeln!(File::from(write), "{}", pid.as_raw_nonzero());
                    sys::exit_now(0)
                }
                Err(_) => sys::exit_now(1),
            }
        }
    }
}

fn detach() -> io::Result<()> {
    quiet_stdio()?;
    rustix::process::setsid()?;
    Ok(rustix::process::chdir("/")?)
}

/// In a process without descriptors: nothing of its creator's terminal or pipes may be held by one that outlives it.
pub(crate) fn quiet_stdio() -> io::Result<()> {
    for _ in 0..3 {
        std::mem::forget(File::options().read(true).write(true).open("/dev/null")?);
    }
    Ok(())
}
