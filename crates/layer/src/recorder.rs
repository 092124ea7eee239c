//! The only way to write to a host: keeps what was there, changes, notes what is there now.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::digest::Digest;
use crate::durable::Dirty;
use crate::error::{At, Result};
use crate::guards::Guard;
use crate::history;
use crate::journal::{Entry, Journal};
use crate::keeping::{Known, Secrets};
use crate::lock;
use crate::record::{Cause, Opaque, Run, ServiceChange, Step};
use crate::state::PathState;
use crate::store::{self, Store};
use crate::watched::Watched;

type Waits = Box<dyn Fn(&str) + Send>;

/// One for each agent (user) and run. Nothing is created on disk before the first change.
pub struct Recorder {
    pub(crate) dir: PathBuf,
    pub(crate) run: Run,
    pub(crate) lock_wait: Duration,
    pub(crate) waits: Waits,
    /// A run beside another one (an async job): takes the lock only to seal.
    pub(crate) detached: bool,
    /// A run that a task of another run started: that one has the lock until this one is over.
    pub(crate) nested: bool,
    /// Another recorder hears of all that this process does and records it.
    pub(crate) witnessed: bool,
    /// What that one cannot see.
    pub(crate) told: Vec<Opaque>,
    pub(crate) open: Option<Open>,
    /// Who changes something now, and what each of them is at.
    doer: Doer,
    doings: HashMap<Doer, Doing>,
    pub(crate) causes: Vec<Cause>,
    cause_noted: usize,
    pub(crate) steps: Vec<Step>,
    /// The newest step of each path.
    pub(crate) latest: HashMap<PathBuf, usize>,
    /// What this run knows of each path that it changed.
    pub(crate) known: HashMap<PathBuf, Known>,
    /// The directories in which it changed names.
    pub(crate) guards: HashMap<PathBuf, Guard>,
    /// The journal must be durable before the next change.
    pub(crate) urgent: bool,
    /// The contents that are changed now are secret.
    pub(crate) secret: bool,
    pub(crate) secrets: Secrets,
    pub(crate) undoes: Vec<u64>,
    pub(crate) opaque: Vec<Opaque>,
    /// Inodes that are in the store as a hard link.
    pub(crate) linked: HashMap<(u64, u64), Digest>,
    /// Inodes that are held because not all their names were found.
    pub(crate) held: HashSet<(u64, u64)>,
    pub(crate) watched: Watched,
    /// Names that inodes had when this run gave them another one.
    pub(crate) names: HashMap<(u64, u64), Vec<PathBuf>>,
    /// Every path of every change and who made it, in order, for [`Recorder::touched_since`].
    touched: Vec<(Doer, PathBuf)>,
    pub(crate) dirty: Dirty,
    blocked: Option<String>,
    pub(crate) services: Vec<ServiceChange>,
    pub(crate) services_count: bool,
}

/// One of several tasks of a run that are done at the same time; less than 64.
pub type Doer = u8;

/// What somebody is at.
enum Doing {
    /// Nothing has come of it yet: a cause that changes nothing leaves no trace.
    Begun(Cause),
    /// Its place among the causes.
    Noted(usize),
}

pub(crate) struct Open {
    /// Held until the recorder goes.
    _lock: Option<File>,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
}

/// What is kept of a path before it changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The content stays as it is (owner, mode, times).
    State,
    /// The name goes away or gets another inode.
    Link,
    /// The inode is written in place, or lives on under another name.
    Copy,
}

impl Recorder {
    pub fn new(state_dir: PathBuf, run: Run) -> Self {
        Self {
            dir: state_dir,
            run,
            lock_wait: Duration::from_secs(60),
            waits: Box::new(|_| ()),
            detached: false,
            nested: false,
            witnessed: false,
            told: Vec::new(),
            open: None,
            doer: 0,
            doings: HashMap::new(),
            causes: Vec::new(),
            cause_noted: 0,
            steps: Vec::new(),
            latest: HashMap::new(),
            known: HashMap::new(),
            guards: HashMap::new(),
            urgent: false,
            secret: false,
            secrets: Secrets::default(),
            undoes: Vec::new(),
            opaque: Vec::new(),
            linked: HashMap::new(),
            held: HashSet::new(),
            watched: Watched::default(),
            names: HashMap::new(),
            touched: Vec::new(),
            dirty: Dirty::default(),
            blocked: None,
            services: Vec::new(),
            services_count: false,
        }
    }

    /// How long to wait for another run that changes this host.
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Told once, while another run is waited for, which.
    pub fn when_waiting(mut self, say: impl Fn(&str) + Send + 'static) -> Self {
        self.waits = Box::new(say);
        self
    }

    /// For a run that goes on beside others: it takes the lock only to seal its layer.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// For a run that a task of another run on this host started, and which that one waits for: it never takes the lock.
    pub fn nested(mut self, nested: bool) -> Self {
        self.nested = nested;
        self.detached |= nested;
        self
    }

    pub fn state_dir(&self) -> &Path {
        &self.dir
    }

    /// From now on it is this one who changes something; each has its own cause and its own programs under watch.
    pub fn turn(&mut self, doer: Doer) {
        debug_assert!(u32::from(doer) < u64::BITS);
        self.doer = doer;
    }

    pub(crate) fn doer_bit(&self) -> u64 {
        1 << self.doer
    }

    /// The cause of the following changes.
    pub fn begin(&mut self, cause: Cause) {
        self.doings.insert(self.doer, Doing::Begun(cause));
    }

    /// From now on contents are secret (from a vault, say), or no longer: they are kept so that nobody can read them.
    /// Those of a cause with `no_log` always are, and so is, later, what a secret path contained.
    pub fn secret(&mut self, secret: bool) {
        self.secret = secret;
    }

    /// Something ran that is not watched: said in the layer.
    pub fn opaque(&mut self, what: impl Into<String>) -> Result<()> {
        self.say(what.into(), false)
    }

    /// Something happened that undo cannot take back: a mount, a write to a device, a reboot.
    pub fn irreversible(&mut self, what: impl Into<String>) -> Result<()> {
        self.say(what.into(), true)
    }

    fn say(&mut self, what: String, irreversible: bool) -> Result<()> {
        let opaque = Opaque { cause: self.cause(), what, irreversible };
        if self.witnessed {
            self.told.push(opaque);
            return Ok(());
        }
        self.open()?;
        self.note(&Entry::Opaque(opaque.clone()))?;
        self.opaque.push(opaque);
        // No look at the host tells a recovery of it.
        if irreversible { self.barrier() } else { Ok(()) }
    }

    /// Refuse if the file system of this path has not room for so many bytes more, before anything begins.
    pub fn reserve(&self, path: &Path, bytes: u64) -> Result<()> {
        let there = path.ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("/"));
        crate::space::need_exactly(there, bytes)
    }

    /// What was noted until now is durable, also what a recovery would find by itself.
    pub(crate) fn barrier(&mut self) -> Result<()> {
        self.open.as_mut().map_or(Ok(()), |open| open.journal.sync())
    }

    /// A place in the list of changes, for [`Recorder::touched_since`].
    pub fn mark(&self) -> usize {
        self.touched.len()
    }

    /// The paths that the present doer changed since then, each once.
    pub fn touched_since(&self, mark: usize) -> Vec<PathBuf> {
        let mut seen = HashSet::new();
        let ours = self.touched[mark.min(self.touched.len())..].iter().filter(|(who, _)| *who == self.doer);
        ours.filter(|(_, path)| seen.insert(path.as_path())).map(|(_, path)| path.clone()).collect()
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Why this run may not change the host at all: another one does.
    pub fn blocked(&self) -> Option<&str> {
        self.blocked.as_deref()
    }

    /// Everything changed until now reaches the disk (before a reboot, say; sealing does it anyway).
    pub fn flush(&mut self) -> Result<()> {
        self.dirty.sync()
    }

    pub(crate) fn cause(&mut self) -> usize {
        let cause = match self.doings.get_mut(&self.doer) {
            Some(Doing::Noted(at)) => return *at,
            Some(Doing::Begun(cause)) => std::mem::take(cause),
            None => Cause::default(),
        };
        if self.causes.last() != Some(&cause) {
            self.causes.push(cause);
        }
        let at = self.causes.len() - 1;
        self.doings.insert(self.doer, Doing::Noted(at));
        at
    }

    /// What the present cause touches is not to be seen.
    pub(crate) fn is_unlogged(&self) -> bool {
        match self.doings.get(&self.doer) {
            Some(Doing::Begun(cause)) => cause.no_log,
            Some(Doing::Noted(at)) => self.causes.get(*at).is_some_and(|cause| cause.no_log),
            None => false,
        }
    }

    /// Take the lock and make the directories, at the first change.
    pub(crate) fn open(&mut self) -> Result<&mut Open> {
        debug_assert!(!self.witnessed, "another one has the record");
        if self.open.is_none() {
            std::fs::create_dir_all(self.dir.parent().unwrap_or(Path::new("/"))).at("create", &self.dir)?;
            store::make_private_dir(&self.dir)?;
            // Without a record nothing is changed.
            crate::space::need(&self.dir, crate::journal::ROOM)?;
            store::make_private_dir(&self.dir.join("objects"))?;
            // Neither would end before the other.
            self.detached |= !self.detached && lock::with_same_run(&self.dir.join("lock"), &self.run);
            let (lock, name) = if self.detached {
                (None, crate::place::temporary_name("journal".as_ref()).to_string_lossy()[1..].to_owned())
            } else {
                let lock = lock::take_saying(&self.dir.join("lock"), &self.run, self.lock_wait, &self.waits);
                let lock = lock.inspect_err(|error| self.blocked = Some(error.to_string()))?;
                crate::recover::recover_locked(&self.dir)?;
                if crate::recover::journals(&self.dir)?.next().is_none() {
                    Store::new(&self.dir).remove_leftovers()?;
                }
                (Some(lock), "journal".to_owned())
            };
            let base = history::head(&self.dir)?;
            let journal = Journal::create(&self.dir.join(name), &self.run, base)?;
            self.secrets.load(&self.dir)?;
            self.open = Some(Open { _lock: lock, store: Store::new(&self.dir), journal });
        }
        Ok(self.open.as_mut().expect("opened above"))
    }

    pub(crate) fn note(&mut self, entry: &Entry) -> Result<()> {
        if self.witnessed {
            return Ok(());
        }
        self.cause();
        let new_causes = self.cause_noted..self.causes.len();
        self.cause_noted = self.causes.len();
        let causes: Vec<Entry> = self.causes[new_causes].iter().cloned().map(Entry::Cause).collect();
        let open = self.open()?;
        causes.iter().chain([entry]).try_for_each(|entry| open.journal.note(entry))
    }

    /// One step; those of one path and one cause are one.
    pub(crate) fn step(&mut self, path: PathBuf, before: Option<PathState>, after: Option<PathState>) {
        let cause = self.cause();
        self.step_of(cause, path, before, after);
    }

    pub(crate) fn step_of(
        &mut self,
        cause: usize,
        path: PathBuf,
        before: Option<PathState>,
        after: Option<PathState>,
    ) {
        if self.witnessed {
            return self.touched.push((self.doer, path));
        }
        // Of a directory, the first step tells the time before the run: one that changes nothing is none.
        let is_dir = before.as_ref().is_some_and(PathState::is_dir);
        if is_dir && before == after && !self.latest.contains_key(&path) {
            return;
        }
        self.touched.push((self.doer, path.clone()));
        let known = self.known.get(&path);
        let inode = known.and_then(|known| known.inode);
        let peers = known.map(|known| known.peers.clone()).unwrap_or_default();
        if let Some(step) = self.latest.get(&path).map(|i| &mut self.steps[*i])
            && step.cause == cause
        {
            // Until now the content was left alone, and not kept.
            if let Some(first) = step.before.as_mut().filter(|b| b.is_file() && b.digest().is_none()) {
                first.set_digest(before.as_ref().and_then(PathState::digest));
            }
            let known = step.after.as_ref().and_then(PathState::digest);
            step.after = after;
            // And now it was left alone.
            if before.as_ref().is_some_and(|b| b.is_file() && b.digest().is_none())
                && let Some(last) = step.after.as_mut().filter(|a| a.is_file() && a.digest().is_none())
            {
                last.set_digest(known);
            }
            step.peers.extend(peers.into_iter().filter(|p| !step.peers.contains(p)).collect::<Vec<_>>());
            return;
        }
        self.latest.insert(path.clone(), self.steps.len());
        self.steps.push(Step { path, cause, before, after, peers, inode });
    }
}
