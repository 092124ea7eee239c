//! Running child processes: without a shell unless asked, in a process group of their own, which ends with the
//! task's timeout, with Ctrl-C and with the agent.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use witness::{Gate, Keeper, Listener, Refused, Seen};

use crate::module::{Failure, plain};
use crate::spawn::{Start, prepare};

/// How often a waiting loop looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(100);
/// After a process has ended, its children may hold its output open; so long without a byte ends the wait.
const QUIET: Duration = Duration::from_secs(1);
/// After SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// For so long a program file that is open for writing is tried again: a process that another thread starts at the same
/// moment has what we wrote open until it becomes its program.
const BUSY: Duration = Duration::from_secs(2);

/// A process to run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    pub argv: Vec<OsString>,
    pub cwd: Option<PathBuf>,
    /// `None`: removed.
    pub env: BTreeMap<OsString, Option<OsString>>,
    pub stdin: Option<Vec<u8>>,
    pub umask: Option<u32>,
    pub deadline: Option<Instant>,
    pub cancelled: Option<&'a AtomicBool>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code; `-n` where signal n ended it.
    pub rc: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub start: SystemTime,
    pub end: SystemTime,
}

/// How a watched process ended, and what was seen of it (nothing, where it could not even be started).
pub(crate) struct Watched {
    pub(crate) result: Result<Output, RunError>,
    pub(crate) seen: Option<Result<(Seen, Listener), Refused>>,
}

pub(crate) const TIME_OVER: &str = "was ended because the time for it is over";

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("could not run {program}: {}", plain(source))]
    NotStarted { program: String, source: io::Error },
    #[error("{program} {TIME_OVER}")]
    TimedOut { program: String, output: Box<Output> },
    #[error("{program} was interrupted")]
    Cancelled { program: String },
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let failure = Failure::new(error.to_string());
        match error {
            // As Ansible: rc is the error's number.
            RunError::NotStarted { program, source } => failure
                .with("rc", source.raw_os_error().unwrap_or(257))
                .with("cmd", program)
                .with("stdout", "")
                .with("stderr", ""),
            RunError::TimedOut { output, .. } => failure
                .with("stdout", output.stdout_text())
                .with("stderr", output.stderr_text())
                .with("rc", output.rc),
            RunError::Cancelled { .. } => failure,
        }
    }
}

impl<'a> Run<'a> {
    /// A program, found by PATH when it has no slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            argv: vec![program.as_ref().to_owned()],
            cwd: None,
            env: BTreeMap::new(),
            stdin: None,
            umask: None,
            deadline: None,
            cancelled: None,
        }
    }
    /// A line for a shell.
    pub fn shell(executable: impl AsRef<OsStr>, line: impl AsRef<OsStr>) -> Self {
        Self::new(executable).arg("-c").arg(line)
    }
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.argv.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }
    #[must_use]
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = Some(dir.as_ref().to_owned());
        self
    }
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), None);
        self
    }
    #[must_use]
    pub fn envs(mut self, all: &BTreeMap<String, String>) -> Self {
        self.env.extend(all.iter().map(|(k, v)| (k.into(), Some(v.into()))));
        self
    }
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }
    #[must_use]
    pub fn umask(mut self, mask: Option<u32>) -> Self {
        self.umask = mask;
        self
    }
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        let end = Instant::now() + time;
        self.deadline = Some(self.deadline.map_or(end, |old| old.min(end)));
        self
    }
    #[must_use]
    pub fn deadline(mut self, end: Option<Instant>) -> Self {
        self.deadline = end;
        self
    }
    #[must_use]
    pub fn cancelled(mut self, flag: &'a AtomicBool) -> Self {
        self.cancelled = Some(flag);
        self
    }

    /// Run it to its end.
    pub fn output(self) -> Result<Output, RunError> {
        let start = SystemTime::now();
        let mut busy = Busy::default();
        loop {
            match self.start(None).map_err(|source| self.not_started(source)) {
                Err(error) if busy.try_again(&error) => {}
                started => return self.finish(started?, start),
            }
        }
    }

    /// Run it to its end under watch: the keeper is told of everything that it and its children change.
    pub(crate) fn watched(&self, keeper: &mut (dyn Keeper + Send), gate: Gate) -> Watched {
        let start = SystemTime::now();
        let child = match self.start(Some(gate.door())) {
            Ok(child) => child,
            Err(source) => return Watched { result: Err(self.not_started(source)), seen: None },
        };
        let listener = match gate.listener() {
            Ok(listener) => listener,
            Err(refused) => return Watched { result: self.finish(child, start), seen: Some(Err(refused)) },
        };
        let seen = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("witness".to_owned());
            let serving = match thread.spawn_scoped(scope, || listener.serve(keeper)) {
                Ok(serving) => serving,
                Err(source) => {
                    let mut child = child;
                    let pid = Pid::from_child(&child);
                    return (
                        end_group(&mut child, pid).and(Err(source)).map_err(|e| self.not_started(e)),
                        None,
                    );
                }
            };
            let result = self.finish(child, start);
            listener.end();
            (result, Some(serving.join().unwrap_or_else(|_| Seen::lost())))
        });
        let (result, seen) = seen;
        Watched { result, seen: seen.map(|seen| Ok((seen, listener))) }
    }

    fn not_started(&self, source: io::Error) -> RunError {
        RunError::NotStarted { program: self.argv[0].to_string_lossy().into_owned(), source }
    }

    fn finish(&self, mut child: Child, start: SystemTime) -> Result<Output, RunError> {
        let program = self.argv[0].to_string_lossy().into_owned();
        let not_started = |source| self.not_started(source);
        let mut pipes = Pipes::of(&mut child, self.stdin.clone().unwrap_or_default()).map_err(not_started)?;
        let ended = self.wait(&mut child, &mut pipes).map_err(not_started)?;
        let (rc, why) = match ended {
            Ended::ByItself(rc) => (rc, None),
            Ended::Cut(rc, why) => (rc, Some(why)),
        };
        let output = Output {
            rc,
            stdout: pipes.stdout.bytes,
            stderr: pipes.stderr.bytes,
            start,
            end: SystemTime::now(),
        };
        match why {
            None => Ok(output),
            Some(Why::Time) => Err(RunError::TimedOut { program, output: Box::new(output) }),
            Some(Why::Cancelled) => Err(RunError::Cancelled { program }),
        }
    }

    fn start(&self, door: Option<witness::Door>) -> io::Result<Child> {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        let (name, value) = crate::nested::mark();
        command.env(name, value);
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        prepare(&mut command, Start { umask: self.umask, die_with_us: true, door, ..Start::default() });
        command.spawn()
    }

    fn wait(&self, child: &mut Child, pipes: &mut Pipes) -> io::Result<Ended> {
        let pid = Pid::from_child(child);
        let watch = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
        let mut over: Option<(i32, Instant)> = None;
        loop {
            if over.is_none()
                && let Some(why) = self.stop_reason()
            {
                return Ok(Ended::Cut(end_group(child, pid)?, why));
            }
            let heard = pipes.turn(watch.as_ref().filter(|_| over.is_none()).map(AsFd::as_fd))?;
            if over.is_none()
                && let Some(status) = child.try_wait()?
            {
                over = Some((code(status), Instant::now()));
            }
            if let Some((rc, since)) = &mut over {
                if heard {
                    *since = Instant::now();
                }
                if pipes.closed() || since.elapsed() >= QUIET || self.stop_reason().is_some() {
                    return Ok(Ended::ByItself(*rc));
                }
            }
        }
    }

    fn stop_reason(&self) -> Option<Why> {
        if self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Some(Why::Cancelled);
        }
        self.deadline.is_some_and(|end| Instant::now() >= end).then_some(Why::Time)
    }
}

/// Since when a program file is busy.
#[derive(Default)]
pub(crate) struct Busy(Option<Instant>);

impl Busy {
    /// Waits a moment.
    pub(crate) fn try_again(&mut self, error: &RunError) -> bool {
        let RunError::NotStarted { source, .. } = error else { return false };
        let since = self.0.get_or_insert_with(Instant::now);
        if source.kind() != io::ErrorKind::ExecutableFileBusy || since.elapsed() > BUSY {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
        true
    }
}

enum Ended {
    ByItself(i32),
    Cut(i32, Why),
}

#[derive(Clone, Copy)]
enum Why {
    Time,
    Cancelled,
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|s| -s)).unwrap_or(-1)
}

/// End a process and everything in its group: first asked, then forced.
fn end_group(child: &mut Child, pid: Pid) -> io::Result<i32> {
    _ = rustix::process::kill_process_group(pid, Signal::TERM);
    let end = Instant::now() + GRACE;
    let mut status = None;
    while Instant::now() < end && status.is_none() {
        status = child.try_wait()?;
        std::thread::sleep(Duration::from_millis(10));
    }
    // Also when the leader has ended: others of its group may not have.
    _ = rustix::process::kill_process_group(pid, Signal::KILL);
    match status {
        Some(status) => Ok(code(status)),
        None => child.wait().map(code),
    }
}

/// The child's three streams.
struct Pipes {
    stdin: Option<std::process::ChildStdin>,
    input: Vec<u8>,
    written: usize,
    stdout: Stream<std::process::ChildStdout>,
    stderr: Stream<std::process::ChildStderr>,
}

struct Stream<T> {
    pipe: Option<T>,
    bytes: Vec<u8>,
}

impl Pipes {
    fn of(child: &mut Child, input: Vec<u8>) -> io::Result<Self> {
        let pipes = Self {
            stdin: child.stdin.take(),
            input,
            written: 0,
            stdout: Stream { pipe: child.stdout.take(), bytes: Vec::new() },
            stderr: Stream { pipe: child.stderr.take(), bytes: Vec::new() },
        };
        for fd in [pipes.stdin.as_ref().map(AsFd::as_fd), pipes.stdout.fd(), pipes.stderr.fd()]
            .into_iter()
            .flatten()
        {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(pipes)
    }

    fn closed(&self) -> bool {
        self.stdout.pipe.is_none() && self.stderr.pipe.is_none()
    }

    /// Wait a moment for anything, and do it. Returns whether there was output.
    fn turn(&mut self, process: Option<std::os::fd::BorrowedFd<'_>>) -> io::Result<bool> {
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(4);
        for fd in [self.stdout.fd(), self.stderr.fd()].into_iter().flatten() {
            polled.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        if let Some(stdin) = &self.stdin {
            polled.push(PollFd::new(stdin, PollFlags::OUT));
        }
        if let Some(process) = process {
            polled.push(PollFd::from_borrowed_fd(process, PollFlags::IN));
        }
        let time = Timespec { tv_sec: 0, tv_nsec: TICK.as_nanos() as i64 };
        // Without a descriptor for the process only a short sleep tells its end.
        let short = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        match rustix::event::poll(
            &mut polled,
            Some(if process.is_some() || !self.closed() { &time } else { &short }),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.feed();
        let out = self.stdout.drain()?;
        Ok(self.stderr.drain()? || out)
    }

    fn feed(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        while self.written < self.input.len() {
            match stdin.write(&self.input[self.written..]) {
                Ok(n) => self.written += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // It does not want to read: no fault of ours.
                Err(_) => break,
            }
        }
        self.stdin = None;
    }
}

impl<T: Read + AsFd> Stream<T> {
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    fn drain(&mut self) -> io::Result<bool> {
        let before = self.bytes.len();
        let Some(pipe) = &mut self.pipe else { return Ok(false) };
        match pipe.read_to_end(&mut self.bytes) {
            Ok(_) => self.pipe = None,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        Ok(self.bytes.len() > before)
    }
}

impl Output {
    pub fn ok(&self) -> bool {
        self.rc == 0
    }
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
    /// `0:00:01.234567`, as Ansible's `delta`.
    pub fn delta(&self) -> String {
        let all = self.end.duration_since(self.start).unwrap_or_default();
        let seconds = all.as_secs();
        format!("{}:{:02}:{:02}.{:06}", seconds / 3600, seconds / 60 % 60, seconds % 60, all.subsec_micros())
    }
    /// Local time, as Ansible's `start`: `2026-01-31 12:00:00.123456`.
    pub fn start_text(&self) -> String {
        local_time(self.start)
    }
    pub fn end_text(&self) -> String {
        local_time(self.end)
    }
}

/// `2026-01-31 12:00:00.123456` in the host's time zone.
pub fn local_time(time: SystemTime) -> String {
    let Ok(time) = jiff::Timestamp::try_from(time) else { return String::new() };
    let zoned = time.to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// A program's path by PATH (and the directories for administrators, as Ansible's `get_bin_path`).
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.extend(["/sbin", "/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    dirs.into_iter().map(|dir| dir.join(name)).find(|path| is_executable(path))
}

pub fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
