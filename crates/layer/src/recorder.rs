//! The only way to write to a host: keeps what was there, changes, notes what is there now.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::digest::Digest;
use crate::durable::Dirty;
use crate::error::{At, Result};
use crate::history;
use crate::journal::{self, Entry, Journal};
use crate::lock;
use crate::record::{Cause, FORMAT, Layer, Opaque, Run, ServiceChange, Step};
use crate::state::{self, PathState};
use crate::store::{self, Kept, Store};
use crate::watched::Watched;

/// One for each agent (user) and run. Nothing is created on disk before the first change.
pub struct Recorder {
    dir: PathBuf,
    run: Run,
    lock_wait: Duration,
    /// A run beside another one (an async job): takes the lock only to seal.
    detached: bool,
    open: Option<Open>,
    causes: Vec<Cause>,
    cause_noted: usize,
    steps: Vec<Step>,
    /// The newest step of each path.
    latest: HashMap<PathBuf, usize>,
    opaque: Vec<Opaque>,
    /// Inodes that are in the store as a hard link.
    pub(crate) linked: HashMap<(u64, u64), Digest>,
    pub(crate) watched: Watched,
    /// Every path of every change, in order, for [`Recorder::touched_since`].
    touched: Vec<PathBuf>,
    pub(crate) dirty: Dirty,
    blocked: Option<String>,
    pub(crate) services: Vec<ServiceChange>,
}

struct Open {
    /// Held until the recorder goes.
    _lock: Option<File>,
    store: Store,
    journal: Journal,
}

/// How a run ended on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The host's generation now; `None`: never changed.
    pub generation: Option<u64>,
    /// Whether this run made it.
    pub made: bool,
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
            detached: false,
            open: None,
            causes: Vec::new(),
            cause_noted: 0,
            steps: Vec::new(),
            latest: HashMap::new(),
            opaque: Vec::new(),
            linked: HashMap::new(),
            watched: Watched::default(),
            touched: Vec::new(),
            dirty: Dirty::default(),
            blocked: None,
            services: Vec::new(),
        }
    }

    /// How long to wait for another run that changes this host.
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// For a run that goes on beside others: it takes the lock only to seal its layer.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    pub fn state_dir(&self) -> &Path {
        &self.dir
    }

    /// The cause of the following changes.
    pub fn begin(&mut self, cause: Cause) {
        if self.causes.last() == Some(&cause) {
            return;
        }
        // A cause that changed nothing leaves no trace.
        let used = |i: usize| {
            self.steps.iter().rev().any(|s| s.cause == i) || self.opaque.iter().rev().any(|o| o.cause == i)
        };
        if let Some(last) = self.causes.len().checked_sub(1)
            && self.cause_noted <= last
            && !used(last)
        {
            self.causes.pop();
        }
        self.causes.push(cause);
    }

    /// Something ran that is not watched: said in the layer.
    pub fn opaque(&mut self, what: impl Into<String>) -> Result<()> {
        let opaque = Opaque { cause: self.cause(), what: what.into() };
        self.open()?;
        self.note(&Entry::Opaque(opaque.clone()))?;
        self.opaque.push(opaque);
        Ok(())
    }

    /// A place in the list of changes, for [`Recorder::touched_since`].
    pub fn mark(&self) -> usize {
        self.touched.len()
    }

    /// The paths changed since then, each once.
    pub fn touched_since(&self, mark: usize) -> Vec<PathBuf> {
        let mut seen = std::collections::HashSet::new();
        self.touched[mark.min(self.touched.len())..]
            .iter()
            .filter(|p| seen.insert(p.as_path()))
            .cloned()
            .collect()
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

    /// Make the layer whole and durable. Without a change nothing is written.
    pub fn seal(mut self, failed: bool) -> Result<Sealed> {
        self.settle_watched()?;
        let Some(open) = self.open.take() else {
            let head = history::head(&self.dir)?;
            return Ok(Sealed { generation: (head > 0).then_some(head), made: false });
        };
        self.dirty.sync()?;
        for digest in self.linked.values() {
            open.store.separate(*digest)?;
        }
        let _lock = if self.detached {
            Some(lock::take(&self.dir.join("lock"), &self.run, self.lock_wait)?)
        } else {
            None
        };
        let parent = history::head(&self.dir)?;
        // Steps that came back to where they began, and reads that were announced as writes, are none.
        let steps: Vec<Step> = self.steps.into_iter().filter(|s| s.before != s.after).collect();
        let made = !steps.is_empty() || !self.opaque.is_empty();
        if made {
            let layer = Layer {
                format: FORMAT,
                generation: parent + 1,
                parent,
                run: self.run,
                sealed: now(),
                failed,
                interrupted: false,
                causes: self.causes,
                steps,
                opaque: self.opaque,
                services: self.services,
            };
            history::append(&self.dir, &layer)?;
        }
        std::fs::remove_file(open.journal.path()).at("remove", open.journal.path())?;
        let head = parent + u64::from(made);
        Ok(Sealed { generation: (head > 0).then_some(head), made })
    }

    fn cause(&mut self) -> usize {
        if self.causes.is_empty() {
            self.causes.push(Cause::default());
        }
        self.causes.len() - 1
    }

    /// Take the lock and make the directories, at the first change.
    fn open(&mut self) -> Result<&mut Open> {
        if self.open.is_none() {
            std::fs::create_dir_all(self.dir.parent().unwrap_or(Path::new("/"))).at("create", &self.dir)?;
            store::make_private_dir(&self.dir)?;
            store::make_private_dir(&self.dir.join("objects"))?;
            // Neither would end before the other.
            self.detached |= lock::with_same_run(&self.dir.join("lock"), &self.run);
            let (lock, name) = if self.detached {
                (None, format!("journal-{}", std::process::id()))
            } else {
                let lock = lock::take(&self.dir.join("lock"), &self.run, self.lock_wait);
                let lock = lock.inspect_err(|error| self.blocked = Some(error.to_string()))?;
                recover(&self.dir)?;
                (Some(lock), "journal".to_owned())
            };
            let journal = Journal::create(&self.dir.join(name), &self.run)?;
            self.open = Some(Open { _lock: lock, store: Store::new(&self.dir), journal });
        }
        Ok(self.open.as_mut().expect("opened above"))
    }

    fn note(&mut self, entry: &Entry) -> Result<()> {
        let new_causes = self.cause_noted..self.causes.len();
        self.cause_noted = self.causes.len();
        let causes: Vec<Entry> = self.causes[new_causes].iter().cloned().map(Entry::Cause).collect();
        let open = self.open()?;
        causes.iter().chain([entry]).try_for_each(|entry| open.journal.note(entry))
    }

    /// Before a change: what is there, kept.
    pub(crate) fn before(&mut self, place: &crate::place::Place, keep: Keep) -> Result<Option<PathState>> {
        self.open()?;
        let mut before = state::look(place)?;
        if let Some(state) = before.as_mut().filter(|s| s.is_file()) {
            let known = self.latest.get(place.path()).and_then(|i| self.steps[*i].after.clone());
            // Times and size unchanged since our own last step: the content is known.
            let known = known.filter(|k| same_but_digest(k, state)).and_then(|k| k.digest());
            state.set_digest(known);
            if keep != Keep::State {
                let digest = self.keep(place, keep == Keep::Link)?;
                state.set_digest(Some(digest));
            }
        }
        let cause = self.cause();
        self.note(&Entry::Change { path: place.path().to_owned(), cause, before: before.clone() })?;
        Ok(before)
    }

    /// A content that is known already.
    pub(crate) fn keep_bytes(&mut self, content: &[u8]) -> Result<Digest> {
        self.open()?.store.put(content)
    }

    /// Write down that a path changes.
    pub(crate) fn note_change(&mut self, path: &Path, before: Option<PathState>) -> Result<()> {
        self.open()?;
        let cause = self.cause();
        self.note(&Entry::Change { path: path.to_owned(), cause, before })
    }

    fn keep(&mut self, place: &crate::place::Place, name_goes_away: bool) -> Result<Digest> {
        let mut file = state::open_file(place)?;
        let (digest, kept) = self.open()?.store.keep(&mut file, name_goes_away)?;
        if kept == Kept::Linked {
            let metadata = file.metadata().at("look at", place.path())?;
            self.linked.insert((metadata.dev(), metadata.ino()), digest);
        }
        if kept != Kept::Present {
            let object = self.open()?.store.path(digest);
            self.dirty.dir(object.parent().unwrap_or(Path::new("/")));
        }
        Ok(digest)
    }

    /// Nothing is at this path; something will be.
    pub(crate) fn note_absent(&mut self, path: &Path) -> Result<()> {
        let cause = self.cause();
        self.note(&Entry::Change { path: path.to_owned(), cause, before: None })
    }

    pub(crate) fn separate(&mut self, digest: Digest) -> Result<()> {
        self.open()?.store.separate(digest)
    }

    pub(crate) fn sync_journal(&mut self) -> Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.journal.sync())
    }

    /// After a change: what is there now. `digest`: of the new content, if the change knows it.
    pub(crate) fn after(
        &mut self,
        place: &crate::place::Place,
        before: Option<PathState>,
        digest: Option<Digest>,
    ) -> Result<()> {
        let mut after = state::look(place)?;
        if let Some(state) = &mut after {
            let kept = before.as_ref().and_then(PathState::digest);
            state.set_digest(digest.or(kept));
        }
        self.step(place.path().to_owned(), before, after);
        Ok(())
    }

    /// One step; those of one path and one cause are one.
    pub(crate) fn step(&mut self, path: PathBuf, before: Option<PathState>, after: Option<PathState>) {
        let cause = self.cause();
        self.touched.push(path.clone());
        if let Some(step) = self.latest.get(&path).map(|i| &mut self.steps[*i])
            && step.cause == cause
        {
            step.after = after;
            return;
        }
        self.latest.insert(path.clone(), self.steps.len());
        self.steps.push(Step { path, cause, before, after });
    }
}

fn same_but_digest(known: &PathState, seen: &PathState) -> bool {
    let mut known = known.clone();
    known.set_digest(None);
    known == *seen
}

/// A run that never ended left its journal: what it did becomes a layer of its own, so that nothing is lost.
fn recover(dir: &Path) -> Result<()> {
    let path = dir.join("journal");
    let Some(entries) = journal::read(&path)? else { return Ok(()) };
    let parent = history::head(dir)?;
    let mut layer = Layer {
        format: FORMAT,
        generation: parent + 1,
        parent,
        sealed: now(),
        failed: true,
        interrupted: true,
        ..Layer::default()
    };
    let mut latest: HashMap<PathBuf, usize> = HashMap::new();
    for entry in entries {
        match entry {
            Entry::Run(run) => layer.run = run,
            Entry::Cause(cause) => layer.causes.push(cause),
            Entry::Opaque(opaque) => layer.opaque.push(opaque),
            Entry::Change { path, cause, before } => {
                if let Some(last) = latest.get(&path).map(|i| &mut layer.steps[*i]) {
                    if last.cause == cause {
                        continue;
                    }
                    last.after.clone_from(&before);
                }
                latest.insert(path.clone(), layer.steps.len());
                layer.steps.push(Step { path, cause, before, after: None });
            }
        }
    }
    for index in latest.into_values() {
        let step = &mut layer.steps[index];
        step.after = state::observe(&step.path)?;
    }
    layer.steps.retain(|s| s.before != s.after);
    if !layer.steps.is_empty() || !layer.opaque.is_empty() {
        history::append(dir, &layer)?;
    }
    std::fs::remove_file(&path).at("remove", &path)
}

/// RFC 3339, UTC.
fn now() -> String {
    let time = state::Time::now();
    let (days, seconds) = (time.0.div_euclid(86400), time.0.rem_euclid(86400));
    // Days since 1970 to a date (the era starts on 1 March, so that the leap day is last).
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
