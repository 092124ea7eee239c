//! Bringing paths to recorded states: the way of undo, and of the recovery after a crash.
//!
//! What has to go goes first, deepest first; then what is missing is made, from the top; then owners, modes and times
//! are set, deepest first. Every act looks at what is there, so all can be done again from the start.

use std::collections::{BTreeMap, HashMap, HashSet};
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
    let leaders = lead(&mut steps, store)?;
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

/// Hard-link groups stay groups, and what was none gets inodes of its own.
fn lead(steps: &mut [Step<'_>], store: &Store) -> Result<HashMap<(u64, u64), PathBuf>> {
    let leaders = leaders(steps, store)?;
    let taken: HashSet<(u64, u64)> = leaders.values().filter_map(|leader| inode(leader)).collect();
    let targets: HashSet<&Path> = steps.iter().map(|s| s.target.path.as_path()).collect();
    let mut owned: HashSet<(u64, u64)> = HashSet::new();
    let claimed = claimed(steps);
    let mut fill = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let (Some(want), Some(ident)) = (&step.target.want, step.stays()) else { continue };
        let good = match want.group {
            Some(group) => leaders.get(&group).and_then(|leader| inode(leader)) == Some(ident.inode()),
            None => {
                let others = step.target.peers.iter().filter(|p| !targets.contains(p.as_path()));
                let stranger = ident.links > 1 && others.filter_map(|p| inode(p)).any(|i| i == ident.inode());
                // It had an inode of its own; where its content is known, it gets one again.
                let shared = ident.links > 1 && want.digest().is_some();
                !shared
                    && !stranger
                    && !step.has_inode_of_another(&claimed)
                    && !taken.contains(&ident.inode())
                    && owned.insert(ident.inode())
            }
        };
        if !good {
            fill.push(i);
        }
    }
    for i in fill {
        // Only a file has a content to be filled with.
        let file = steps[i].target.want.as_ref().is_some_and(PathState::is_file);
        steps[i].act = if file { Act::Fill } else { Act::Exchange };
    }
    Ok(leaders)
}

/// The inodes that the targets had.
fn claimed(steps: &[Step<'_>]) -> HashSet<Inode> {
    let known = steps.iter().filter_map(|step| step.target.inode);
    known.filter(|inode| (inode.2, inode.3) != (0, 0)).collect()
}

/// A name of each group that is on its inode, or can be taken for it.
fn leaders(steps: &[Step<'_>], store: &Store) -> Result<HashMap<(u64, u64), PathBuf>> {
    let targets: HashSet<&Path> = steps.iter().map(|s| s.target.path.as_path()).collect();
    let mut groups: BTreeMap<(u64, u64), Vec<&Step<'_>>> = BTreeMap::new();
    for step in steps {
        if let Some(group) = step.target.want.as_ref().and_then(|want| want.group) {
            groups.entry(group).or_default().push(step);
        }
    }
    let claimed = claimed(steps);
    let mut leaders = HashMap::new();
    let mut here: HashMap<(u64, u64), u32> = HashMap::new();
    for (_, ident) in steps.iter().filter_map(|step| step.now.as_ref()) {
        *here.entry(ident.inode()).or_default() += 1;
    }
    let mut taken: HashSet<(u64, u64)> = groups.keys().copied().collect();
    for (group, names) in groups {
        let still = names.iter().find(|step| step.stays().is_some_and(|ident| ident.inode() == group));
        let leader = match still {
            Some(step) => Some(step.target.path.clone()),
            None => peer_of(&names, &targets, store, group)?,
        };
        let leader = match leader {
            None => hold_what_goes(&names, steps, store, group)?,
            known => known,
        };
        let leader = match leader {
            None if names.iter().any(|step| !matches!(step.act, Act::Nothing | Act::Dress)) => {
                elsewhere(&names, &targets, store)?
            }
            known => known,
        };
        // None is on it any more: one that shares its inode with nobody else will do.
        let leader = leader.or_else(|| {
            let own = names.iter().filter(|step| !step.has_inode_of_another(&claimed));
            let mut stay = own.filter_map(|step| Some((step, step.stays()?)));
            let (step, _) = stay.find(|(_, ident)| {
                here.get(&ident.inode()).is_some_and(|names| *names >= ident.links)
                    && taken.insert(ident.inode())
            })?;
            Some(step.target.path.clone())
        });
        leaders.extend(leader.map(|leader| (group, leader)));
    }
    Ok(leaders)
}

/// It is still there, but under a name that goes: we hold it until it has its own name again.
fn hold_what_goes(
    names: &[&Step<'_>],
    steps: &[Step<'_>],
    store: &Store,
    group: (u64, u64),
) -> Result<Option<PathBuf>> {
    let Some(target) =
        names.iter().map(|step| step.target).find(|t| t.inode.is_some_and(|i| i.number() == group))
    else {
        return Ok(None);
    };
    let is_it = |step: &&Step<'_>| {
        step.stays().is_none() && step.now.as_ref().is_some_and(|(_, ident)| Some(ident.id()) == target.inode)
    };
    let Some(step) = steps.iter().find(is_it) else { return Ok(None) };
    let Some(place) = Place::recorded(&step.target.path)? else { return Ok(None) };
    let there = look_beside(&place, target.want.as_ref(), store)?;
    if !differences(there.as_ref().map(|(there, _)| there), target.want.as_ref()).is_empty() {
        return Ok(None);
    }
    store.hold(&place, group)?;
    let held = store.held(group);
    Ok((inode(&held) == Some(group)).then_some(held))
}

/// A name that nobody knew, and that could not be held either: looked for on its file system, from near to far.
fn elsewhere(names: &[&Step<'_>], targets: &HashSet<&Path>, store: &Store) -> Result<Option<PathBuf>> {
    let Some(target) = names.iter().map(|step| step.target).find(|target| target.inode.is_some()) else {
        return Ok(None);
    };
    let Some(inode) = target.inode.filter(|inode| (inode.2, inode.3) != (0, 0)) else { return Ok(None) };
    // An immutable file gets no link from us.
    if store.can_hold(inode.0) && target.want.as_ref().is_none_or(|want| !exact::is_locked(want)) {
        return Ok(None);
    }
    let mut done: Option<&Path> = None;
    for dir in target.path.ancestors().skip(1) {
        match crate::state::inode(dir) {
            None => continue,
            Some((device, _)) if device != inode.0 => break,
            Some(_) => {}
        }
        for path in crate::tree::names_of(dir, inode.number(), done) {
            let same = match Place::find(&path)? {
                Some(place) => state::look_closely(&place)?.is_some_and(|(_, ident)| ident.id() == inode),
                None => false,
            };
            if same && !targets.contains(path.as_path()) {
                return Ok(Some(path));
            }
        }
        done = Some(dir);
    }
    Ok(None)
}

/// A name that is no target, but was of the group, and is as it was.
fn peer_of(
    names: &[&Step<'_>],
    targets: &HashSet<&Path>,
    store: &Store,
    group: (u64, u64),
) -> Result<Option<PathBuf>> {
    let held = store.held(group);
    let Some(want) = names.iter().find_map(|step| step.target.want.as_ref()) else { return Ok(None) };
    let peers = names.iter().flat_map(|step| &step.target.peers).map(PathBuf::as_path);
    let mut others: Vec<&Path> =
        peers.chain([held.as_path()]).filter(|peer| !targets.contains(peer)).collect();
    others.sort_by_key(|peer| inode(peer) != Some(group));
    for peer in others {
        let Some(place) = Place::find(peer)? else { continue };
        let there = look_beside(&place, Some(want), store)?;
        if there.is_some_and(|(there, _)| differences(Some(&there), Some(want)).is_empty()) {
            return Ok(Some(peer.to_owned()));
        }
    }
    Ok(None)
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

/// The names of one inode had one state: the one that was seen first, before a change through another name.
pub(crate) fn agree(targets: &mut [Target]) {
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_unstable_by_key(|i| targets[*i].order);
    join_by_peers(targets, &order);
    join_by_inode(targets, &order);
    let mut groups: HashMap<(u64, u64), PathState> = HashMap::new();
    let mut contents: HashMap<(u64, u64), (usize, PathState)> = HashMap::new();
    for target in order.iter().map(|i| &targets[*i]) {
        let Some((group, want)) = target.want.as_ref().and_then(|want| Some((want.group?, want))) else {
            continue;
        };
        groups.entry(group).or_insert_with(|| want.clone());
        if let Some(kept) = target.kept
            && contents.get(&group).is_none_or(|(first, _)| kept < *first)
        {
            contents.insert(group, (kept, want.clone()));
        }
    }
    for (group, first) in &mut groups {
        // Whoever changes a content keeps it before: the one that was kept first is the one that was there.
        if let Some((_, kept)) = contents.get(group).filter(|(_, kept)| kept.size() == first.size()) {
            first.set_digest(kept.digest());
            first.secret = kept.secret;
        }
    }
    for want in targets.iter_mut().filter_map(|t| t.want.as_mut()) {
        if let Some(first) = want.group.and_then(|group| groups.get(&group)) {
            want.clone_from(first);
        }
    }
}

/// A path has one inode until it is changed first. So those that had the same one then, had it in the beginning.
fn join_by_inode(targets: &mut [Target], order: &[usize]) {
    let mut names: HashMap<Inode, Vec<usize>> = HashMap::new();
    for i in order {
        let target = &targets[*i];
        if let Some(inode) = target.inode.filter(|_| target.want.as_ref().is_some_and(|want| !want.is_dir()))
        {
            names.entry(inode).or_default().push(*i);
        }
    }
    for (inode, mut names) in names {
        // One that had no other name when it was changed first: whoever has its inode later has got it since.
        let shared = |i: &usize| targets[*i].want.as_ref().is_some_and(|want| want.group.is_some());
        let alone = names.iter().take_while(|i| !shared(i)).count();
        names.drain(..alone.min(names.len().saturating_sub(1)));
        let group = names.iter().find_map(|i| targets[*i].want.as_ref()?.group);
        if names.len() > 1 || group.is_some() {
            for i in names {
                if let Some(want) = targets[i].want.as_mut() {
                    want.group = Some(group.unwrap_or(inode.number()));
                }
            }
        }
    }
}

/// A name that was changed later was of the group as well, whatever inode a recovery gave it meanwhile.
fn join_by_peers(targets: &mut [Target], order: &[usize]) {
    let places: HashMap<PathBuf, usize> =
        targets.iter().enumerate().map(|(i, target)| (target.path.clone(), i)).collect();
    // The peers of one that had no other name then are of a later time, even if it turns out to belong to a group.
    let own: Vec<bool> =
        targets.iter().map(|t| t.want.as_ref().is_some_and(|want| want.group.is_some())).collect();
    for i in order.iter().filter(|i| own[**i]) {
        let Some(group) = targets[*i].want.as_ref().and_then(|want| want.group) else { continue };
        let first = targets[*i].order;
        for peer in targets[*i].peers.clone() {
            let Some(other) = places.get(&peer).map(|other| &mut targets[*other]) else { continue };
            let later = other.order > first;
            let want = other.want.as_mut().filter(|want| later && !want.is_dir());
            if let Some(want) = want {
                want.group = Some(group);
            }
        }
    }
}

/// Targets by their paths, a directory before what is in it.
pub(crate) fn sort(targets: &mut [Target]) {
    targets.sort_unstable_by(|a, b| a.path.cmp(&b.path));
}
