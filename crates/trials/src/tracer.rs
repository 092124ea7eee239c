//! Runs a process tree step by step: at the begin and end of each system call that changes something, a watcher decides.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::calls::{self, Call};

/// What shall become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// The whole tree of processes ends now.
    Kill,
    /// The first process ends now, what it started goes on.
    KillFirst,
    /// It is not made; the program is told this error (0: success).
    Instead(i32),
}

/// Decides about calls that change something.
pub(crate) trait Watcher {
    fn begins(&mut self, call: &Call) -> Verdict;
    /// Only [`Verdict::Go`] and [`Verdict::Kill`] make sense here.
    fn ended(&mut self, _call: &Call, _result: i64) -> Verdict {
        Verdict::Go
    }
}

/// What is known of a thread between its stops.
#[derive(Default)]
struct Thread {
    inside: bool,
    call: Option<Call>,
    instead: Option<i32>,
}

struct Tracer<'a> {
    first: Pid,
    place: &'a Path,
    watcher: &'a mut dyn Watcher,
    threads: HashMap<Pid, Thread>,
    killed: bool,
}

/// Take hold of a process that waits for its first input, before it is given any.
pub(crate) fn seize(pid: Pid) -> Result<()> {
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).context("ptrace")?;
    ptrace::interrupt(pid).context("ptrace")
}

/// How a tree of processes ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ended {
    /// The watcher had it killed.
    pub(crate) killed: bool,
    /// What its first process ended with.
    pub(crate) code: Option<i32>,
}

/// Follow a seized process and all that it starts to their end.
pub(crate) fn follow(pid: Pid, place: &Path, watcher: &mut dyn Watcher) -> Result<Ended> {
    let mut tracer = Tracer { first: pid, place, watcher, threads: HashMap::new(), killed: false };
    let mut code = None;
    tracer.threads.insert(pid, Thread::default());
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(status) => {
                if let WaitStatus::Exited(who, with) = status
                    && who == pid
                {
                    code = Some(with);
                }
                tracer.stopped(status)?;
            }
            Err(Errno::ECHILD) => return Ok(Ended { killed: tracer.killed, code }),
            Err(Errno::EINTR) => {}
            Err(error) => bail!("waitpid: {error}"),
        }
    }
}

impl Tracer<'_> {
    fn stopped(&mut self, status: WaitStatus) -> Result<()> {
        let Some(pid) = status.pid() else { return Ok(()) };
        match status {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                self.threads.remove(&pid);
                Ok(())
            }
            WaitStatus::PtraceSyscall(_) => {
                let verdict = self.syscall(pid)?;
                match verdict {
                    Verdict::Kill => self.kill_all(),
                    Verdict::KillFirst => {
                        self.killed = true;
                        _ = kill(self.first, Signal::SIGKILL);
                    }
                    Verdict::Go | Verdict::Instead(_) => {}
                }
                self.resume(pid, None)
            }
            // A new thread, an exec, or the stop that we asked for.
            WaitStatus::PtraceEvent(..) => {
                self.threads.entry(pid).or_default();
                self.resume(pid, None)
            }
            WaitStatus::Stopped(_, signal) => {
                self.threads.entry(pid).or_default();
                self.resume(pid, Some(signal))
            }
            _ => Ok(()),
        }
    }

    fn resume(&mut self, pid: Pid, signal: Option<Signal>) -> Result<()> {
        match ptrace::syscall(pid, signal) {
            // Gone meanwhile: its end is reported next.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => bail!("ptrace: {error}"),
        }
    }

    fn syscall(&mut self, pid: Pid) -> Result<Verdict> {
        if self.killed {
            return Ok(Verdict::Go);
        }
        let mut regs = match ptrace::getregs(pid) {
            Ok(regs) => regs,
            Err(Errno::ESRCH) => return Ok(Verdict::Go),
            Err(error) => bail!("ptrace: {error}"),
        };
        let thread = self.threads.entry(pid).or_default();
        let result = regs.rax.cast_signed();
        if !thread.inside && result == -i64::from(libc::ENOSYS) {
            thread.inside = true;
            let number = regs.orig_rax.cast_signed();
            let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
            let Some(mut call) = calls::look(pid, number, args, self.place) else { return Ok(Verdict::Go) };
            call.own = group_of(pid) == self.first;
            let verdict = self.watcher.begins(&call);
            if let Verdict::Instead(error) = verdict {
                thread.instead = Some(error);
                regs.orig_rax = libc::SYS_getpid.cast_unsigned();
                set(pid, regs)?;
            }
            thread.call = Some(call);
            return Ok(verdict);
        }
        thread.inside = false;
        let Some(call) = thread.call.take() else { return Ok(Verdict::Go) };
        if let Some(error) = thread.instead.take() {
            regs.rax = (-i64::from(error)).cast_unsigned();
            set(pid, regs)?;
            return Ok(Verdict::Go);
        }
        Ok(self.watcher.ended(&call, result))
    }

    /// Everything at once, as near as one can come to it from outside.
    fn kill_all(&mut self) {
        self.killed = true;
        let groups: HashSet<Pid> = self.threads.keys().map(|thread| group_of(*thread)).collect();
        for pid in groups {
            _ = kill(pid, Signal::SIGKILL);
        }
    }
}

fn set(pid: Pid, regs: libc::user_regs_struct) -> Result<()> {
    match ptrace::setregs(pid, regs) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => bail!("ptrace: {error}"),
    }
}

/// The process that a thread belongs to.
pub(crate) fn group_of(thread: Pid) -> Pid {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|text| text.trim().parse().ok()).map_or(thread, Pid::from_raw)
}
