//! Bringing paths to recorded states: the way of undo, and of the recovery after a crash.
//!
//! What has to go goes first, deepest first; then what is missing is made, from the top; then owners, modes and times
//! are set, deepest first. Every act looks at what is there, so all can be done again from the start.

mod groups;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::content::copy_file;
use crate::differ::{differences, look_beside};
use crate::digest::{Digest, Hasher};
use crate::error::{At, Result};
use crate::exact;
use crate::place::{Place, temporary_of};
use crate::record::Inode;
use crate::recorder::Keep;
use crate::state::{self, Ident, Kind, PathState, Time, inode};
use crate::store::Store;

pub(crate) use groups::agree;

/// A path and what shall be there.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    pub(crate) want: Option<PathState>,
    /// Other names that its inode had.
    pub(crate) peers: Vec<PathBuf>,
    /// When it was changed first, among all.
    pub(crate) order: usize,
    /// The inode that it had then.
    pub(crate) inode: Option<Inode>,
    /// When its content was kept.
    pub(crate) kept: Option<usize>,
}

impl Target {
    /// Something that shall go.
    pub(crate) fn gone(path: PathBuf) -> Self {
        Self { path, want: None, peers: Vec::new(), order: usize::MAX, inode: None, kept: None }
    }
}

/// Who does it: an undo writes down every change, a recovery has all written down.
pub(crate) trait Hands {
    /// This is about to change.
    fn announce(&mut self, place: &Place, keep: Keep, peers: &[PathBuf]) -> Result<()>;
    /// The same, where not even the directory is there yet.
    fn announce_absent(&mut self, path: &Path) -> Result<()>;
    /// The inode of this place is about to be written: what was kept by a link to it becomes a copy.
    fn separate(&mut self, place: &Place, store: &Store) -> Result<()>;
    /// All that was announced is durable.
    fn secure(&mut self) -> Result<()>;
    /// Of the journal by which a temporary file is found again.
    fn id(&self) -> &str;
    /// Whether a file may be written over when there is no room for a new one. Not where the old one could be kept by
    /// a link to it.
    fn may_write_over(&self) -> bool;
    /// It has changed. `digest`: of its new content.
    fn changed(&mut self, path: &Path, digest: Option<Digest>) -> Result<()>;
    /// Whether this object may be moved out of the store, instead of copied.
    fn may_move(&mut self, digest: Digest) -> bool;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Nothing,
    Remove,
    Make,
    /// Something of another type is in the way.
    Exchange,
    /// A new inode with another content, or a link to another inode.
    Fill,
    /// The inode has names that we do not know: its content is written over.
    InPlace,
    Dress,
}

struct Step<'a> {
    target: &'a Target,
    act: Act,
    now: Option<(PathState, Ident)>,
}

impl Step<'_> {
    /// Its inode, if that is one which may stay.
    fn stays(&self) -> Option<Ident> {
        let (now, ident) = self.now.as_ref()?;
        let stays = matches!(self.act, Act::Nothing | Act::Dress | Act::InPlace) && !now.is_dir();
        stays.then_some(*ident)
    }

    /// It came here by a rename: even with the same content, it would make two files of different times one.
    fn has_inode_of_another(&self, claimed: &HashSet<Inode>) -> bool {
        let id = self.now.as_ref().map(|(_, ident)| ident.id());
        id.is_some_and(|id| claimed.contains(&id) && self.target.inode != Some(id))
    }
}

struct Work<'a> {
    store: &'a Store,
    hands: &'a mut dyn Hands,
    /// An inode of each hard-link group that is as it shall be.
    leaders: HashMap<(u64, u64), PathBuf>,
    /// Directories whose flags were taken away for the work.
    unlocked: Vec<(PathBuf, PathState)>,
    /// Directories in which something was renamed: their time before, and whether names came or went.
    times: HashMap<PathBuf, (Time, bool)>,
    /// Inodes whose flags were taken away because one of their names goes.
    relock: Vec<(File, u32)>,
}

/// Bring all to what shall be there; returns the paths that had to be changed. `targets` in the order of their paths.
pub(crate) fn bring(targets: &[Target], store: &Store, hands: &mut dyn Hands) -> Result<Vec<PathBuf>> {
    let mut steps = Vec::with_capacity(targets.len());
    for target in targets {
        let now = match Place::recorded(&target.path)? {
            Some(place) => look_beside(&place, target.want.as_ref(), store)?,
            None => None,
        };
        let act = decide(now.as_ref(), target.want.as_ref());
        steps.push(Step { target, act, now });
    }
    let leaders = groups::lead(&mut steps, store)?;
    dress_parents(&mut steps);
    let mut work =
        Work { store, hands, leaders, unlocked: Vec::new(), times: HashMap::new(), relock: Vec::new() };
    steps.retain(|step| step.act != Act::Nothing);
    work.announce(&steps)?;
    for step in steps.iter().rev() {
        work.remove(step)?;
    }
    for step in &steps {
        work.make(step)?;
    }
    work.put_times_back()?;
    for (file, flags) in std::mem::take(&mut work.relock) {
        exact::lock_again(&file, flags)?;
    }
    for (path, state) in std::mem::take(&mut work.unlocked) {
        if let Some(place) = Place::recorded(&path)? {
            exact::set_flags(&place, &state)?;
        }
    }
    for step in steps.iter().rev() {
        work.dress(step)?;
    }
    for step in &steps {
        let filled = matches!(step.act, Act::Make | Act::Exchange | Act::Fill | Act::InPlace);
        let digest = step.target.want.as_ref().filter(|_| filled).and_then(PathState::digest);
        work.hands.changed(&step.target.path, digest)?;
    }
    Ok(steps.iter().map(|step| step.target.path.clone()).collect())
}

/// A directory that is as it shall be gets another time when names in it change.
fn dress_parents(steps: &mut [Step<'_>]) {
    let work = steps.iter().filter(|step| !matches!(step.act, Act::Nothing | Act::Dress | Act::InPlace));
    let parents: HashSet<PathBuf> =
        work.filter_map(|step| Some(step.target.path.parent()?.to_owned())).collect();
    let dir = |step: &Step<'_>| step.target.want.as_ref().is_some_and(PathState::is_dir);
    for step in steps.iter_mut().filter(|step| step.act == Act::Nothing) {
        if dir(step) && parents.contains(&step.target.path) {
            step.act = Act::Dress;
        }
    }
}

fn decide(now: Option<&(PathState, Ident)>, want: Option<&PathState>) -> Act {
    let (now, want) = match (now, want) {
        (None, None) => return Act::Nothing,
        (Some(_), None) => return Act::Remove,
        (None, Some(_)) => return Act::Make,
        (Some(now), Some(want)) => (now, want),
    };
    let (state, ident) = now;
    let words = differences(Some(state), Some(want));
    if words.iter().any(|w| ["type", "link target", "device"].contains(w)) {
        return Act::Exchange;
    }
    if words.contains(&"content") {
        // The names that we do not know shall have the old content, too.
        let same_inode = want.group.is_some_and(|(_, ino)| ino == ident.ino);
        return if same_inode { Act::InPlace } else { Act::Fill };
    }
    if words.is_empty() && state.mtime == want.mtime { Act::Nothing } else { Act::Dress }
}

impl Work<'_> {
    fn announce(&mut self, steps: &[Step<'_>]) -> Result<()> {
        for step in steps {
            let keep = match step.act {
                Act::InPlace => Keep::Copy,
                Act::Dress => Keep::State,
                _ => Keep::Link,
            };
            match Place::recorded(&step.target.path)? {
                Some(place) => self.hands.announce(&place, keep, &step.target.peers)?,
                None => self.hands.announce_absent(&step.target.path)?,
            }
        }
        self.hands.secure()
    }

    /// A directory that has the names that it had has the time that it had.
    fn put_times_back(&mut self) -> Result<()> {
        for (path, (time, _)) in self.times.drain().filter(|(_, (_, names))| !names) {
            exact::set_dir_mtime(&path, time)?;
        }
        Ok(())
    }

    /// Nothing forbids to change names here. What this takes away is put back at the end.
    fn unlock_dir(&mut self, place: &Place, act: Act) -> Result<()> {
        let dir = Place::open_recorded(place.dir_path())?;
        let Some(state) = state::look(&dir)? else { return Ok(()) };
        let time = self.times.entry(dir.path().to_owned()).or_insert((state.mtime, false));
        time.1 |= matches!(act, Act::Make | Act::Remove);
        self.unlock_for_a_while(&dir, state)
    }

    /// An immutable file gets no other name.
    fn unlock_leader(&mut self, leader: &Path) -> Result<()> {
        let place = Place::open(leader)?;
        match state::look(&place)? {
            Some(state) => self.unlock_for_a_while(&place, state),
            None => Ok(()),
        }
    }

    fn unlock_for_a_while(&mut self, place: &Place, state: PathState) -> Result<()> {
        if state.flags.is_none() {
            return Ok(());
        }
        self.hands.announce(place, Keep::State, &[])?;
        self.hands.secure()?;
        if exact::unlock(place, &state)? {
            self.unlocked.push((place.path().to_owned(), state));
        }
        Ok(())
    }

    /// This name goes away from its inode, whose other names keep its flags.
    fn unlock_what_goes(&mut self, place: &Place, now: Option<&(PathState, Ident)>) -> Result<()> {
        let Some((state, ident)) = now else { return Ok(()) };
        let others = ident.links > 1 && state.is_file() && exact::is_locked(state);
        let file = if others { Some(state::open_file(place)?) } else { None };
        exact::unlock(place, state)?;
        self.relock.extend(file.zip(state.flags));
        Ok(())
    }

    fn remove(&mut self, step: &Step<'_>) -> Result<()> {
        let Some((now, _)) = step.now.as_ref().filter(|_| matches!(step.act, Act::Remove | Act::Exchange))
        else {
            return Ok(());
        };
        let Some(place) = Place::recorded(&step.target.path)? else { return Ok(()) };
        self.unlock_dir(&place, step.act)?;
        self.unlock_what_goes(&place, step.now.as_ref())?;
        let flags = if now.is_dir() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(place.dir(), place.name(), flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).at("remove", place.path()),
        }
    }

    fn make(&mut self, step: &Step<'_>) -> Result<()> {
        let Some(want) = &step.target.want else { return Ok(()) };
        let path = &step.target.path;
        match step.act {
            Act::Make | Act::Exchange => {
                let place = Place::open_recorded(path)?;
                self.unlock_dir(&place, step.act)?;
                self.make_new(&place, want)?;
            }
            Act::Fill => {
                let place = Place::open_recorded(path)?;
                self.unlock_dir(&place, step.act)?;
                self.unlock_what_goes(&place, step.now.as_ref())?;
                self.fill(&place, want, step.now.as_ref())?;
            }
            Act::InPlace => {
                let place = Place::open_recorded(path)?;
                if let Some((now, _)) = &step.now {
                    exact::unlock(&place, now)?;
                }
                self.hands.separate(&place, self.store)?;
                self.write_over(&place, want)?;
            }
            Act::Nothing | Act::Remove | Act::Dress => return Ok(()),
        }
        if let Some(group) = want.group {
            self.leaders.entry(group).or_insert_with(|| path.clone());
        }
        Ok(())
    }

    fn make_new(&mut self, place: &Place, want: &PathState) -> Result<()> {
        let (dir, name) = (place.dir(), place.name());
        let device = |kind, device| rustix::fs::mknodat(dir, name, kind, Mode::RUSR | Mode::WUSR, device);
        if let Some(leader) = self.leader_of(place, want) {
            self.unlock_leader(&leader)?;
            return link(&leader, place, place.name());
        }
        let made = match &want.kind {
            Kind::File { .. } => return self.fill(place, want, None),
            Kind::Dir => rustix::fs::mkdirat(dir, name, Mode::RWXU),
            Kind::Symlink { target } => rustix::fs::symlinkat(target, dir, name),
            Kind::Fifo => device(FileType::Fifo, 0),
            Kind::Char { device: number } => device(FileType::CharacterDevice, *number),
            Kind::Block { device: number } => device(FileType::BlockDevice, *number),
            Kind::Socket => device(FileType::Socket, 0),
        };
        made.at("create", place.path())
    }

    fn leader_of(&self, place: &Place, want: &PathState) -> Option<PathBuf> {
        let leader = self.leaders.get(&want.group?)?;
        (leader != place.path()).then(|| leader.clone())
    }

    /// A file with this content, whole before it has its name.
    fn fill(&mut self, place: &Place, want: &PathState, now: Option<&(PathState, Ident)>) -> Result<()> {
        let path = place.path();
        if self.let_go(want, now)? || self.move_back(place, want)? {
            return Ok(());
        }
        // Another name of the inode may be in the store.
        let own = now.is_some_and(|(_, ident)| ident.links == 1) && self.hands.may_write_over();
        let name = temporary_of(self.hands.id(), path);
        let temporary =
            Place::inside(rustix::io::dup(place.dir()).at("open", path)?, place.dir_path(), &name);
        if let Some(leader) = self.leader_of(place, want) {
            self.unlock_leader(&leader)?;
            link(&leader, place, &name)?;
        } else {
            match self.fill_temporary(&temporary, want, place) {
                Err(error) if own && error.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) => {
                    _ = rustix::fs::unlinkat(place.dir(), &name, AtFlags::empty());
                    return self.write_over(place, want);
                }
                other => other.inspect_err(|_| {
                    _ = rustix::fs::unlinkat(place.dir(), &name, AtFlags::empty());
                })?,
            }
        }
        rustix::fs::renameat(place.dir(), &name, place.dir(), place.name()).at("restore", path)?;
        // A rename between two names of one inode does nothing and leaves both.
        match rustix::fs::unlinkat(place.dir(), &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).at("restore", path),
        }
    }

    /// It is as it was but for a second name, in the store: that one goes.
    fn let_go(&mut self, want: &PathState, now: Option<&(PathState, Ident)>) -> Result<bool> {
        let (Some(digest), Some((now, ident))) = (want.digest(), now) else { return Ok(false) };
        let object = self.store.path(digest);
        let only = want.group.is_none() && ident.links == 2 && inode(&object) == Some(ident.inode());
        if !only || now.digest() != Some(digest) || !self.hands.may_move(digest) {
            return Ok(false);
        }
        std::fs::remove_file(&object).at("remove", &object)?;
        Ok(true)
    }

    /// The object itself becomes the file, in one step: at no time is the content under a name that nobody knows.
    fn move_back(&mut self, place: &Place, want: &PathState) -> Result<bool> {
        let Some(digest) = want.digest() else { return Ok(false) };
        if self.leader_of(place, want).is_some() || !self.hands.may_move(digest) {
            return Ok(false);
        }
        let object = Place::open(&self.store.path(digest))?;
        if state::look_closely(&object)?.is_none_or(|(_, ident)| ident.links != 1) {
            return Ok(false);
        }
        self.store.verify(digest)?;
        exact::dress(&object, want)?;
        match rustix::fs::renameat(object.dir(), object.name(), place.dir(), place.name()) {
            Err(Errno::XDEV) => Ok(false),
            other => other.map(|()| true).at("restore", place.path()),
        }
    }

    fn fill_temporary(&mut self, temporary: &Place, want: &PathState, place: &Place) -> Result<()> {
        let path = temporary.path();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(temporary.dir(), temporary.name(), flags, Mode::RUSR | Mode::WUSR)
            .at("create", path)?;
        let mut file = File::from(fd);
        if let Some(digest) = want.digest() {
            self.store.restore(digest, &mut file)?;
        } else if let Ok(mut now) = state::open_file(place) {
            // Its content was never changed, only shared.
            copy_file(&mut now, &mut file, &mut Hasher::new()).at("copy", place.path())?;
        }
        exact::dress(temporary, want)
    }

    fn write_over(&mut self, place: &Place, want: &PathState) -> Result<()> {
        let flags = OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(place.dir(), place.name(), flags, Mode::empty()).at("write", place.path())?;
        match want.digest() {
            Some(digest) => self.store.restore(digest, &mut File::from(fd)),
            None => Ok(()),
        }
    }

    fn dress(&mut self, step: &Step<'_>) -> Result<()> {
        let Some(want) = &step.target.want else { return Ok(()) };
        let place = Place::open_recorded(&step.target.path)?;
        if let Some(now) = state::look(&place)? {
            exact::unlock(&place, &now)?;
        }
        exact::dress(&place, want)?;
        exact::set_flags(&place, want)
    }
}

fn link(leader: &Path, place: &Place, name: &std::ffi::OsStr) -> Result<()> {
    let leader = Place::open(leader)?;
    rustix::fs::linkat(leader.dir(), leader.name(), place.dir(), name, AtFlags::empty())
        .at("make the hard link", place.path())
}

/// What is in directories that shall go, and is no target itself.
pub(crate) fn foreign(targets: &[Target]) -> Result<Vec<PathBuf>> {
    let known: HashSet<&Path> = targets.iter().map(|t| t.path.as_path()).collect();
    let mut all = Vec::new();
    let mut inside: Option<&Path> = None;
    for target in targets {
        let goes = target.want.as_ref().is_none_or(|want| !want.is_dir());
        if !goes || inside.is_some_and(|top| target.path.starts_with(top)) {
            continue;
        }
        let Some(place) = Place::recorded(&target.path)? else { continue };
        if !state::look(&place)?.is_some_and(|now| now.is_dir()) {
            continue;
        }
        inside = Some(&target.path);
        let below = crate::tree::list(&place)?;
        all.extend(
            below.iter().skip(1).map(|r| place.path().join(r)).filter(|p| !known.contains(p.as_path())),
        );
    }
    Ok(all)
}

/// Targets by their paths, a directory before what is in it.
pub(crate) fn sort(targets: &mut [Target]) {
    targets.sort_unstable_by(|a, b| a.path.cmp(&b.path));
}
