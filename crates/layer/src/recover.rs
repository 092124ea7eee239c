//! After a run that never ended (killed, lost power): everything that it did is put back.
//!
//! The journal says what each path was. What the run had made is kept aside in the store and recorded, before anything
//! is put back; then a recovery that is itself killed begins again and comes to the same end.

mod lost;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::AtFlags;

use self::lost::Listing;
use crate::digest::Digest;
use crate::durable::Dirty;
use crate::error::{At, Error, Result};
use crate::exact;
use crate::history;
use crate::journal::{self, Entry, Left};
use crate::lock;
use crate::place::{Place, temporary_of};
use crate::record::{Cause, DirTime, FORMAT, Layer, Opaque, Run, Step};
use crate::recorder::Keep;
use crate::restore::{self, Hands, Target};
use crate::state::{self, PathState, Time};
use crate::store::{Kept, Store};

/// What a recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Runs that never ended, and were put back.
    pub runs: Vec<Interrupted>,
    /// The host's generation.
    pub generation: u64,
}

/// A run that never ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupted {
    pub run: Run,
    /// What it had changed, and is again as it was before.
    pub restored: Vec<PathBuf>,
    /// What another run changed since: left as it is.
    pub left: Vec<PathBuf>,
    /// What it did that cannot be taken back.
    pub irreversible: Vec<String>,
    /// Something in its journal could not be read.
    pub damaged: Option<String>,
}

/// Bring the host to a generation, if a run left it between two. Cheap when there is nothing to do.
pub fn recover(state_dir: &Path) -> Result<Recovered> {
    if journals(state_dir)?.next().is_none() {
        return Ok(Recovered { runs: Vec::new(), generation: history::head(state_dir)? });
    }
    let run = Run { command: "recovery".to_owned(), ..Run::default() };
    let lock = state_dir.join("lock");
    let _lock = lock::take(&lock, &run, Duration::from_secs(10))?;
    recover_locked(state_dir)
}

/// Journals, of the living and the dead.
pub(crate) fn journals(state_dir: &Path) -> Result<impl Iterator<Item = PathBuf>> {
    let entries = match std::fs::read_dir(state_dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        other => Some(other.at("list", state_dir)?),
    };
    Ok(entries.into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_name().to_str()?.starts_with("journal").then(|| entry.path())
    }))
}

/// As [`recover`], for who has the lock.
pub(crate) fn recover_locked(state_dir: &Path) -> Result<Recovered> {
    let mut runs = Vec::new();
    for path in journals(state_dir)?.collect::<Vec<_>>() {
        let Some(mut left) = journal::read(&path)? else { continue };
        if !is_sealed(state_dir, &left)? {
            runs.push(put_back(state_dir, &mut left)?);
        }
        journal::remove(&path)?;
    }
    Ok(Recovered { runs, generation: history::head(state_dir)? })
}

/// Its layer is under the head: only the journal was still there.
fn is_sealed(state_dir: &Path, left: &Left) -> Result<bool> {
    for generation in left.begin.base + 1..=history::head(state_dir)? {
        if history::summary(state_dir, generation)?.layer.id == left.begin.id {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a journal says.
#[derive(Default)]
struct Undone {
    /// So many until now.
    entries: usize,
    causes: Vec<Cause>,
    opaque: Vec<Opaque>,
    paths: BTreeMap<PathBuf, (usize, Target)>,
    temporaries: Vec<PathBuf>,
    dirs: HashMap<PathBuf, Time>,
    listings: HashMap<PathBuf, Listing>,
    linked: HashSet<Digest>,
}

impl Undone {
    fn of(entries: Vec<Entry>) -> Self {
        let mut all = Self::default();
        for entry in entries {
            all.add(entry);
        }
        all
    }

    fn add(&mut self, entry: Entry) {
        self.entries += 1;
        match entry {
            Entry::Begin(_) => {}
            Entry::Cause(cause) => self.causes.push(cause),
            Entry::Opaque(opaque) => self.opaque.push(opaque),
            Entry::Temporary { path } => self.temporaries.push(path),
            Entry::Linked { digest } => _ = self.linked.insert(digest),
            Entry::Guard { path, mtime, names, inodes } => {
                self.dirs.entry(path.clone()).or_insert(mtime);
                if let Some(names) = names {
                    let inodes = inodes.into_iter().chain(std::iter::repeat(0));
                    let names = names.into_iter().zip(inodes).collect();
                    self.listings.entry(path).or_insert(Listing { order: self.entries, names });
                }
            }
            Entry::Change { path, cause, before, peers, inode } => match self.paths.get_mut(&path) {
                None => {
                    let order = self.paths.len();
                    let kept = before.as_ref().and_then(PathState::digest).map(|_| self.entries);
                    let target = Target { path: path.clone(), want: before, peers, order, inode, kept };
                    self.paths.insert(path, (cause, target));
                }
                Some((_, known)) => {
                    if known.want.as_ref().is_none_or(|want| want.group.is_none()) {
                        known.peers.extend(peers);
                    }
                    if learn(known.want.as_mut(), before.as_ref()) {
                        known.kept = Some(self.entries);
                    }
                }
            },
        }
    }
}

/// A later entry knows a content that the first one did not need (true then), or flags.
fn learn(known: Option<&mut PathState>, later: Option<&PathState>) -> bool {
    let (Some(known), Some(later)) = (known, later) else { return false };
    let content = known.is_file() && later.digest().is_some() && known.digest().is_none();
    if content {
        known.set_digest(later.digest());
        known.secret = later.secret;
    }
    // Those that are always looked at are known already.
    let locks = |flags: Option<u32>| flags.unwrap_or(0) & state::lock_flags().bits();
    if known.flags == Some(locks(known.flags)).filter(|f| *f != 0) && locks(later.flags) == locks(known.flags)
    {
        known.flags = later.flags;
    }
    content
}

fn put_back(state_dir: &Path, left: &mut Left) -> Result<Interrupted> {
    let entries = std::mem::take(&mut left.entries);
    let Left { begin, damaged, .. } = left;
    let store = Store::new(state_dir);
    let mut undone = Undone::of(entries);
    if begin.boot != journal::boot_id() {
        let kept = store.by_inode()?;
        undone.add_replaced(begin, &store, &kept)?;
        undone.add_appeared(begin, &kept)?;
        undone.linked.extend(store.remove_lost(begin.at)?);
    }
    let taken = changed_by_others(state_dir, begin.base)?;
    let mut interrupted = Interrupted {
        run: begin.run.clone(),
        irreversible: undone.opaque.iter().map(|o| o.what.clone()).collect(),
        damaged: damaged.clone(),
        ..Interrupted::default()
    };
    let (others, own): (Vec<_>, Vec<_>) =
        std::mem::take(&mut undone.paths).into_values().partition(|(_, target)| taken.contains(&target.path));
    interrupted.left = others.into_iter().map(|(_, target)| target.path).collect();
    let (causes, mut targets): (Vec<usize>, Vec<Target>) = own.into_iter().unzip();
    crate::devices::renumber(&mut targets, &store)?;
    restore::agree(&mut targets);
    remove_temporaries(&undone.temporaries)?;
    remove_temporaries_beside(&targets, &begin.id)?;
    for path in restore::foreign(&targets)? {
        targets.push(Target::gone(path));
    }
    let record = history::interrupted_path(state_dir, &begin.id);
    if !record.exists() {
        set_aside(&record, begin, &undone, &causes, &targets, &store)?;
    }
    let explicit: HashSet<&Path> = targets.iter().map(|target| target.path.as_path()).collect();
    for dir in dirs_aside(&record)?.into_iter().filter(|dir| !explicit.contains(dir.path.as_path())) {
        undone.dirs.entry(dir.path).or_insert(dir.before);
    }
    restore::sort(&mut targets);
    let mut hands = Recovering {
        id: begin.id.clone(),
        linked: undone.linked,
        uses: uses(&targets),
        dirty: Dirty::default(),
    };
    let groups: HashSet<(u64, u64)> = targets.iter().filter_map(|t| t.want.as_ref()?.group).collect();
    let held: Vec<_> = groups.into_iter().filter(|group| !store.held(*group).exists()).collect();
    interrupted.restored = restore::bring(&targets, &store, &mut hands)?;
    // What was held only for the work.
    held.into_iter().try_for_each(|group| store.release(group))?;
    for (path, time) in &undone.dirs {
        exact::set_dir_mtime(path, *time)?;
        hands.dirty.dir(path);
    }
    hands.dirty.sync()?;
    // What was kept by a link, and then did not change.
    let still = hands.linked.iter().filter(|digest| store.path(**digest).exists());
    still.copied().try_for_each(|digest| hands.separate_object(digest, &store))?;
    remove_unfinished(state_dir)?;
    Ok(interrupted)
}

/// How often each content is needed.
fn uses(targets: &[Target]) -> HashMap<Digest, usize> {
    let mut uses = HashMap::new();
    for digest in targets.iter().filter_map(|t| t.want.as_ref()?.digest()) {
        *uses.entry(digest).or_default() += 1;
    }
    uses
}

/// Paths that other runs changed, and sealed, since this one began.
fn changed_by_others(state_dir: &Path, base: u64) -> Result<HashSet<PathBuf>> {
    let mut all = HashSet::new();
    for generation in base + 1..=history::head(state_dir)? {
        history::each_step(state_dir, generation, |step, _| {
            if step.changes() {
                all.insert(step.path.clone());
            }
        })?;
    }
    Ok(all)
}

fn remove_temporaries(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        match std::fs::remove_file(path) {
            Err(e)
                if !matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                return Err(e).at("remove", path);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Those of the run, and those of a recovery that was itself interrupted.
fn remove_temporaries_beside(targets: &[Target], id: &str) -> Result<()> {
    for target in targets {
        let Some(place) = Place::recorded(&target.path)? else { continue };
        let name = temporary_of(id, place.path());
        // Looked at first: a read-only file system would refuse even where there is nothing.
        if rustix::fs::statat(place.dir(), &name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            rustix::fs::unlinkat(place.dir(), &name, AtFlags::empty())
                .at("remove", &place.dir_path().join(&name))?;
        }
    }
    Ok(())
}

/// The times of the directories in which the recovery itself renames.
fn dirs_aside(record: &Path) -> Result<Vec<DirTime>> {
    if record.exists() { Ok(history::read_file(record)?.dirs) } else { Ok(Vec::new()) }
}

/// Keep what the run had made, and write down what it did.
fn set_aside(
    record: &Path,
    begin: &journal::Begin,
    undone: &Undone,
    causes: &[usize],
    targets: &[Target],
    store: &Store,
) -> Result<()> {
    let mut steps = Vec::with_capacity(targets.len());
    for (i, target) in targets.iter().enumerate() {
        let after = match Place::recorded(&target.path)? {
            Some(place) => aside(&place, target.want.as_ref(), store)?,
            None => None,
        };
        if after != target.want {
            steps.push(Step {
                path: target.path.clone(),
                cause: causes.get(i).copied().unwrap_or_default(),
                before: target.want.clone(),
                after,
                peers: target.peers.clone(),
                inode: target.inode,
            });
        }
    }
    let parents: BTreeSet<&Path> = targets.iter().filter_map(|t| t.path.parent()).collect();
    let dirs = parents.into_iter().filter_map(|path| {
        let time = state::dir_time(path)?;
        Some(DirTime { path: path.to_owned(), before: time, after: time })
    });
    let layer = Layer {
        format: FORMAT,
        dirs: dirs.collect(),
        generation: begin.base,
        parent: begin.base,
        run: begin.run.clone(),
        sealed: crate::time::now(),
        failed: true,
        interrupted: true,
        id: begin.id.clone(),
        causes: undone.causes.clone(),
        steps,
        opaque: undone.opaque.clone(),
        ..Layer::default()
    };
    match history::write_record(record, layer) {
        // Nothing may keep us from putting things back, not even a full disk.
        Err(Error::Io { source, .. }) if is_full(&source) => Ok(()),
        other => other,
    }
}

fn is_full(error: &std::io::Error) -> bool {
    let full = [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT];
    error.raw_os_error().is_some_and(|code| full.iter().any(|e| e.raw_os_error() == code))
}

fn aside(place: &Place, want: Option<&PathState>, store: &Store) -> Result<Option<PathState>> {
    let Some(mut now) = state::look(place)? else { return Ok(None) };
    if now.is_file() {
        now.secret = want.is_some_and(|want| want.secret);
        let mut file = state::open_file(place)?;
        let kept = if now.secret {
            store.keep_secret(&mut file).map(|digest| (digest, Kept::Copied))
        } else {
            // A link needs no room. The name goes away next, or gets another inode.
            let by_link = want.is_none_or(|want| !want.is_file()) && !crate::lease::may_be_written(&file);
            store.keep(&mut file, by_link)
        };
        match kept {
            Ok((digest, _)) => now.set_digest(Some(digest)),
            Err(Error::Full { .. }) => {}
            Err(Error::Io { source, .. }) if is_full(&source) => {}
            Err(error) => return Err(error.with_path(place.path())),
        }
    }
    Ok(Some(now))
}

/// A layer that was written, but never became the head.
fn remove_unfinished(state_dir: &Path) -> Result<()> {
    let path = history::layer_path(state_dir, history::head(state_dir)? + 1);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.at("remove", &path),
    }
}

struct Recovering {
    id: String,
    linked: HashSet<Digest>,
    uses: HashMap<Digest, usize>,
    dirty: Dirty,
}

impl Recovering {
    /// It shares its inode with a name that lives, perhaps: then it becomes a copy.
    fn separate_object(&self, digest: Digest, store: &Store) -> Result<()> {
        match store.separate(digest) {
            // What the run had made is worth less than what there was before it.
            Err(Error::Io { source, .. }) if is_full(&source) && !self.uses.contains_key(&digest) => {
                let object = store.path(digest);
                std::fs::remove_file(&object).at("remove", &object)
            }
            other => other.map(drop),
        }
    }
}

impl Hands for Recovering {
    fn announce(&mut self, _: &Place, _: Keep, _: &[PathBuf]) -> Result<()> {
        Ok(())
    }
    fn announce_absent(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }
    fn separate(&mut self, place: &Place, store: &Store) -> Result<()> {
        let here = state::inode(place.path());
        for digest in self.linked.iter().filter(|digest| state::inode(&store.path(**digest)) == here) {
            self.separate_object(*digest, store)?;
        }
        Ok(())
    }
    fn secure(&mut self) -> Result<()> {
        Ok(())
    }
    fn id(&self) -> &str {
        &self.id
    }
    fn may_write_over(&self) -> bool {
        true
    }
    fn changed(&mut self, path: &Path, _: Option<Digest>) -> Result<()> {
        self.dirty.file(path);
        if let Some(dir) = path.parent() {
            self.dirty.dir(dir);
        }
        Ok(())
    }
    /// It came by a link in this very run, no layer refers to it, and nobody else needs it.
    fn may_move(&mut self, digest: Digest) -> bool {
        self.linked.contains(&digest) && self.uses.get(&digest) == Some(&1)
    }
}
