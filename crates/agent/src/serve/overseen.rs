//! Other users' agents under watch: root's agent starts them, so it can hear what they and their programs change, and a
//! run is one layer whichever users its tasks are done as. Only while such an agent has a task is anything kept: what
//! lives on after it, a daemon say, is let go, and said.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use catalog::Map;
use catalog::protocol::{Call, CallId, Hello};
use layer::{Error, Touch};
use rustix::io::Errno;
use serde_json::json;
use witness::{Gate, Keeper, Listener, Seen};

use super::call::cause;
use super::record::{Busy, Kept, Record};
use super::shared::Shared;
use crate::children;

/// How long the keeper waits before it looks again whether the record is free.
const MOMENT: Duration = Duration::from_micros(200);

pub(super) struct Overseen {
    hearing: Arc<Hearing>,
    listener: Arc<Listener>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The agent itself and what it was started by: they live on after each task.
    own: OnceLock<HashSet<u32>>,
    /// Those that lived on after a task and were said.
    said: Mutex<HashSet<u32>>,
}

/// What the hearing thread shares with those that send and receive.
struct Hearing {
    record: Arc<Record>,
    call: Mutex<Option<Under>>,
    /// Whether there is one.
    has_call: AtomicBool,
    /// Of the agent's own notes: no part of the host.
    state_dir: OnceLock<PathBuf>,
    error: Mutex<Option<String>>,
}

/// The call that the agent has. It gets the next when this one is over and was looked at.
struct Under {
    id: CallId,
    check: bool,
    mark: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one assignment or insertion.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Overseen {
    /// Begin to hear those that come through this gate, which somebody has passed just now. `None`: that cannot be.
    pub(super) fn begin(gate: Gate, record: Arc<Record>) -> Option<Self> {
        let listener = Arc::new(gate.listener().ok()?);
        let hearing = Arc::new(Hearing {
            record,
            call: Mutex::default(),
            has_call: AtomicBool::new(false),
            state_dir: OnceLock::new(),
            error: Mutex::default(),
        });
        let (heard, through) = (hearing.clone(), listener.clone());
        let thread = std::thread::Builder::new().name("overseer".to_owned());
        let thread = thread.spawn(move || hear(&heard, &through)).ok()?;
        Some(Self {
            hearing,
            listener,
            thread: Mutex::new(Some(thread)),
            own: OnceLock::new(),
            said: Mutex::default(),
        })
    }

    /// The agent is there.
    pub(super) fn greeted(&self, hello: &Hello) {
        _ = self.own.set(crate::nested::line_to_us(hello.pid).collect());
        if !hello.state_dir.is_empty() {
            _ = self.hearing.state_dir.set(hello.state_dir.clone().into());
        }
    }

    /// The agent gets a call. Before it is sent.
    pub(super) fn call(&self, id: CallId, call: &Call) {
        let mark = self.hearing.record.with(|kept| {
            if !call.check {
                kept.around.begin();
            }
            kept.recorder.begin(cause(call));
            kept.recorder.mark()
        });
        *lock(&self.hearing.call) = mark.map(|mark| Under { id, check: call.check, mark });
        self.hearing.has_call.store(true, Ordering::Release);
    }

    /// A call was not done.
    pub(super) fn refused(&self, id: CallId) {
        self.over(id, |_, _| ());
    }

    /// A call has ended: what it changed is looked at, and the paths are told. An error: the agent cannot go on.
    pub(super) fn done(&self, id: CallId, result: &mut Map, shared: &Shared) -> Result<Vec<String>, String> {
        let paths = self.over(id, |kept, under| {
            if let Err(error) = self.settle(kept) {
                fail(result, &format!("what the task did could not be recorded: {error}"));
            }
            if let Some(error) = lock(&self.hearing.error).take() {
                fail(
                    result,
                    &format!(
                        "what was about to change could not be kept, so it was not let through: {error}"
                    ),
                );
            }
            let paths = kept.settle(under.mark, result, under.check, shared);
            kept.recorder.blocked().map_or(Ok(paths), |reason| Err(reason.to_owned()))
        });
        paths.unwrap_or(Ok(Vec::new()))
    }

    fn over<T>(&self, id: CallId, settle: impl FnOnce(&mut Kept, &Under) -> T) -> Option<T> {
        let under = lock(&self.hearing.call).take_if(|under| under.id == id)?;
        let told = self.hearing.record.with(|kept| settle(kept, &under));
        self.hearing.has_call.store(false, Ordering::Release);
        told
    }

    fn settle(&self, kept: &mut Kept) -> layer::Result<()> {
        kept.recorder.settle_watched()?;
        let Some(own) = self.own.get() else { return Ok(()) };
        let mut said = lock(&self.said);
        for (pid, name) in self.listener.alive() {
            if !own.contains(&pid) && said.insert(pid) {
                kept.recorder.opaque(format!("{name} ({pid}) lives on and is not watched any more"))?;
            }
        }
        Ok(())
    }

    /// What the agent did that cannot be heard.
    pub(super) fn told(&self, what: String, irreversible: bool) {
        let said = self.hearing.record.with(|kept| match irreversible {
            true => kept.recorder.irreversible(what),
            false => kept.recorder.opaque(what),
        });
        if let Some(Err(error)) = said {
            lock(&self.hearing.error).get_or_insert(error.to_string());
        }
    }

    /// The agent has ended: nobody is heard any more.
    pub(super) fn end(&self) {
        self.listener.end();
        if let Some(thread) = lock(&self.thread).take() {
            // It panics never: its mistakes are caught where they happen.
            _ = thread.join();
        }
    }
}

fn fail(result: &mut Map, message: &str) {
    result.insert("failed".to_owned(), json!(true));
    result.insert("msg".to_owned(), json!(message));
}

/// Hear until the last one has ended or lives on alone.
fn hear(hearing: &Hearing, listener: &Listener) {
    let Seen { alive, error, .. } = listener.serve(&mut Keeping(hearing));
    if let Some(error) = error {
        lock(&hearing.error).get_or_insert(error.to_string());
    }
    if alive && let Err(error) = children::leave(listener) {
        lock(&hearing.error).get_or_insert(error.to_string());
    }
}

struct Keeping<'a>(&'a Hearing);

impl Keeping<'_> {
    /// `Ok` at once when there is no call: then whoever does something has outlived its task, and the working thread,
    /// which may wait for it, has the record.
    fn keep(&self, keep: impl Fn(&mut Kept) -> layer::Result<()>) -> layer::Result<()> {
        loop {
            if !self.0.has_call.load(Ordering::Acquire) {
                return Ok(());
            }
            match self.0.record.try_with(&keep) {
                Ok(kept) => {
                    return kept.unwrap_or(Ok(())).inspect_err(|error| self.noticed(error));
                }
                Err(Busy) => std::thread::sleep(MOMENT),
            }
        }
    }

    /// Where there is no such place, the kernel tells the program.
    fn noticed(&self, error: &Error) {
        let no_such = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG];
        if !no_such.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) {
            lock(&self.0.error).get_or_insert(error.to_string());
        }
    }

    fn is_note(&self, path: &Path) -> bool {
        self.0.state_dir.get().is_some_and(|dir| path.starts_with(dir))
    }
}

impl Keeper for Keeping<'_> {
    fn foresee(&mut self, path: &Path, touch: Touch) -> layer::Result<()> {
        if self.is_note(path) {
            return Ok(());
        }
        self.keep(|kept| kept.recorder.foresee(path, touch))
    }
    fn foresee_moved(&mut self, from: &Path, to: &Path) -> layer::Result<()> {
        self.keep(|kept| kept.recorder.foresee_moved(from, to))
    }
    fn irreversible(&mut self, what: String) -> layer::Result<()> {
        self.keep(|kept| kept.recorder.irreversible(what.clone()))
    }
    fn unseen(&mut self, what: String) -> layer::Result<()> {
        self.keep(|kept| kept.recorder.opaque(what.clone()))
    }
    /// It hears more than one task.
    fn gives_up(&self) -> bool {
        false
    }
}
