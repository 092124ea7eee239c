//! The loop: a stopped call in, the layer's recorder told, the call goes on.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use layer::{Recorder, Touch};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};

use crate::judge::Judge;
use crate::sys;
use crate::target::Target;

/// Who keeps what is about to change: the layer's recorder.
pub trait Keeper {
    fn foresee(&mut self, path: &Path, touch: Touch) -> layer::Result<()>;
    fn foresee_moved(&mut self, from: &Path, to: &Path) -> layer::Result<()>;
    /// What undo cannot take back.
    fn irreversible(&mut self, what: String) -> layer::Result<()>;
    /// What nobody saw.
    fn unseen(&mut self, what: String) -> layer::Result<()>;
    /// Whether one thing that could not be kept stops everything after it.
    fn gives_up(&self) -> bool {
        true
    }
}

impl Keeper for Recorder {
    fn foresee(&mut self, path: &Path, touch: Touch) -> layer::Result<()> {
        Self::foresee(self, path, touch)
    }
    fn foresee_moved(&mut self, from: &Path, to: &Path) -> layer::Result<()> {
        Self::foresee_moved(self, from, to)
    }
    fn irreversible(&mut self, what: String) -> layer::Result<()> {
        Self::irreversible(self, what)
    }
    fn unseen(&mut self, what: String) -> layer::Result<()> {
        self.opaque(what)
    }
}

/// Hears one process tree.
pub struct Listener {
    fd: OwnedFd,
    over: OwnedFd,
    /// The threads whose calls were stopped, as far as they may still run.
    heard: Mutex<HashSet<u32>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// How many calls were stopped.
    pub calls: u64,
    /// Something could not be kept: from then on no change was let through.
    pub error: Option<layer::Error>,
    /// Processes live on: see [`crate::supervise`].
    pub alive: bool,
    /// Those of them that are known, as number and name.
    pub strays: Vec<(u32, String)>,
}

impl Seen {
    /// Whoever served has come to an end that it should not have.
    pub fn lost() -> Self {
        Self { error: Some(internal(io::Error::other("the watch broke off"))), ..Self::default() }
    }
}

/// When the command has ended, its last processes may still be ending.
const GRACE: Duration = Duration::from_millis(100);

impl Listener {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        sys::wake_at_once(fd.as_fd());
        let over = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd, over, heard: Mutex::default() })
    }

    /// The command has ended: [`Listener::serve`] returns soon, even if some of its processes live on.
    pub fn end(&self) {
        // A counter at its limit would be readable already.
        _ = rustix::io::write(&self.over, &1_u64.to_ne_bytes());
    }

    /// What a supervisor of strays needs.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Hear until the last process has ended, or until [`Listener::end`]. To be run on a thread of its own.
    pub fn serve(&self, keeper: &mut dyn Keeper) -> Seen {
        let mut hearing = Hearing { judge: Judge::new(), seen: Seen::default() };
        let mut ended: Option<Instant> = None;
        loop {
            let left = ended.map(|since| GRACE.saturating_sub(since.elapsed()));
            let (call, hung_up, over) = match self.wait(left) {
                Ok(heard) => heard,
                Err(error) => {
                    hearing.fail(error);
                    break;
                }
            };
            if call {
                if let Err(error) = self.one(&mut hearing, keeper) {
                    hearing.fail(error);
                    break;
                }
            } else if hung_up {
                return hearing.seen;
            }
            if over && ended.is_none() {
                ended = Some(Instant::now());
            }
            if ended.is_some_and(|since| since.elapsed() >= GRACE) {
                break;
            }
        }
        hearing.seen.alive = true;
        hearing.seen.strays = self.alive();
        hearing.seen
    }

    /// The processes that still run, of those that were heard, as number and name.
    pub fn alive(&self) -> Vec<(u32, String)> {
        let mut all = Vec::new();
        self.heard().retain(|thread| {
            let name = Target(*thread).name();
            let runs = name.is_some();
            all.extend(name);
            runs
        });
        all.sort_unstable();
        all.dedup();
        all
    }

    fn heard(&self) -> MutexGuard<'_, HashSet<u32>> {
        // A set is whole whoever panicked.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call waits, whether nobody is left, whether the command has ended.
    fn wait(&self, limit: Option<Duration>) -> io::Result<(bool, bool, bool)> {
        let mut polled = [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(&self.over, PollFlags::IN)];
        // Readable for good: then only the time counts.
        let count = if limit.is_some() { 1 } else { 2 };
        let time = limit.map(|limit| Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) });
        match rustix::event::poll(&mut polled[..count], time.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let listened = polled[0].revents();
        let over = limit.is_some() || polled[1].revents().contains(PollFlags::IN);
        Ok((listened.contains(PollFlags::IN), listened.intersects(PollFlags::HUP | PollFlags::ERR), over))
    }

    fn one(&self, hearing: &mut Hearing, keeper: &mut dyn Keeper) -> io::Result<()> {
        let Some(call) = sys::receive(&self.fd)? else { return Ok(()) };
        hearing.seen.calls += 1;
        self.heard().insert(call.pid);
        if hearing.seen.error.is_none() {
            let waits = || sys::still_waits(&self.fd, call.id);
            let heard = catch_unwind(AssertUnwindSafe(|| hearing.judge.hear(&call, keeper, waits)));
            hearing.seen.error = match heard {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error),
                Err(_) => Some(internal(io::Error::other("an internal error of Theseus, please report it"))),
            };
        }
        // What cannot be kept must not be changed.
        let number = hearing.seen.error.as_ref().map(|error| error.raw_os_error().unwrap_or(libc::EIO));
        if !keeper.gives_up() {
            hearing.seen.error = None;
        }
        sys::answer(&self.fd, call.id, number)
    }
}

struct Hearing {
    judge: Judge,
    seen: Seen,
}

impl Hearing {
    fn fail(&mut self, error: io::Error) {
        self.seen.error.get_or_insert(internal(error));
    }
}

fn internal(source: io::Error) -> layer::Error {
    layer::Error::Io { doing: "watch", path: PathBuf::from("the program"), source }
}
