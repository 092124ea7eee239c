//! What a watched process is about to do: its paths are kept before its system calls go on, and looked at when it ended.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;

use crate::error::Result;
use crate::place::Place;
use crate::recorder::{Keep, Recorder};
use crate::state::{self, Ident, PathState};

/// What a watched process is about to do to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Its name goes away or gets another inode: unlink, rmdir, rename of it or over it.
    NameGoes,
    /// Its inode is written: open for writing, truncate.
    Content,
    /// Its inode's owner, mode, times, flags or extended attributes change, or it gets another name.
    Metadata,
    /// A name appears.
    New,
}

/// Of a file with more names than this, only those that are touched themselves are kept.
const MANY_NAMES: usize = 256;

/// The paths that were foreseen and not settled since, as they were given.
#[derive(Default)]
pub(crate) struct Watched {
    seen: HashMap<PathBuf, Seen>,
    /// How many were foreseen until now.
    foreseen: usize,
}

struct Seen {
    place: PathBuf,
    before: Option<PathState>,
    ident: Option<Ident>,
    cause: usize,
    /// Whose programs may change it, one bit each.
    by: u64,
    /// In which order they were foreseen.
    order: usize,
    kept: bool,
    gone_kept: bool,
}

/// What is there now.
type Now = (Option<PathState>, Option<Ident>);

impl Watched {
    fn next(&mut self) -> usize {
        self.foreseen += 1;
        self.foreseen
    }
}

impl Seen {
    /// The inode, if it has other names.
    fn shared(&self) -> Option<(u64, u64)> {
        self.before.as_ref()?.group
    }

    fn enough_for(&self, touch: Touch) -> bool {
        match touch {
            Touch::Metadata | Touch::New => true,
            Touch::Content => self.kept || !self.before.as_ref().is_some_and(PathState::is_file),
            // Not only the content: also the time of the directory.
            Touch::NameGoes => self.gone_kept || self.before.is_none(),
        }
    }
}

impl Recorder {
    /// Call it before the system call continues. `path` is absolute, its directory part without links; a link at its
    /// end is meant itself. A path that is known already costs a look into a hash table.
    pub fn foresee(&mut self, path: &Path, touch: Touch) -> Result<()> {
        if self.witnessed || path.starts_with(self.state_dir()) {
            return Ok(());
        }
        if matches!(touch, Touch::Content | Touch::Metadata) {
            self.separate_from_kept(path)?;
        }
        let by = self.doer_bit();
        if let Some(seen) = self.watched.seen.get_mut(path) {
            seen.by |= by;
            if seen.enough_for(touch) {
                return Ok(());
            }
        }
        // A directory that is not there: the system call will say so itself.
        let Some(place) = Place::find(path)? else { return Ok(()) };
        let keep = match touch {
            Touch::NameGoes => Keep::Link,
            Touch::Content => Keep::Copy,
            Touch::Metadata | Touch::New => Keep::State,
        };
        let (before, ident) = self.before_closely(&place, keep, &[])?;
        // One that changed just now could change again without its time telling.
        let ident = ident.filter(Ident::is_settled);
        let (cause, order) = (self.cause(), self.watched.next());
        let seen = match self.watched.seen.remove(path) {
            Some(mut seen) => {
                if let Some(state) = seen.before.as_mut().filter(|_| !seen.kept) {
                    state.set_digest(before.as_ref().and_then(PathState::digest));
                }
                Seen { kept: true, gone_kept: seen.gone_kept || keep == Keep::Link, ..seen }
            }
            None => Seen {
                place: place.path().to_owned(),
                before,
                ident,
                cause,
                by,
                order,
                kept: keep != Keep::State,
                gone_kept: keep == Keep::Link,
            },
        };
        let inode = seen.shared();
        self.watched.seen.insert(path.to_owned(), seen);
        match inode {
            Some(inode) if matches!(touch, Touch::Content | Touch::Metadata) => {
                self.foresee_peers(&place, inode, touch)
            }
            _ => Ok(()),
        }
    }

    /// What is about to happen to an inode happens to its other names, too, as far as they are known.
    pub(crate) fn foresee_peers(&mut self, place: &Place, inode: (u64, u64), touch: Touch) -> Result<()> {
        let found = self.known.get(place.path()).map(|known| known.peers.as_slice()).unwrap_or_default();
        let given = self.names.get(&inode).map(Vec::as_slice).unwrap_or_default();
        if found.len() + given.len() > MANY_NAMES {
            return Ok(());
        }
        let peers: Vec<PathBuf> = found.iter().chain(given).cloned().collect();
        for peer in peers {
            if peer != place.path() && state::inode(&peer) == Some(inode) {
                self.foresee(&peer, touch)?;
            }
        }
        Ok(())
    }

    /// A directory with everything below it is about to be renamed.
    pub fn foresee_moved(&mut self, from: &Path, to: &Path) -> Result<()> {
        let Some(place) = Place::find(from)? else { return Ok(()) };
        self.foresee(to, Touch::NameGoes)?;
        // What is there already makes the rename fail, or goes the other way. Not what is there by way of a link.
        let there: HashSet<PathBuf> = match Place::find(to)? {
            Some(place) if state::look(&place)?.is_some() => crate::tree::list(&place)?.into_iter().collect(),
            _ => HashSet::new(),
        };
        for relative in crate::tree::list(&place)? {
            let end = |top: &Path| {
                if relative.as_os_str().is_empty() { top.to_owned() } else { top.join(&relative) }
            };
            self.foresee(&end(from), Touch::NameGoes)?;
            let new = end(to);
            if there.contains(&relative) {
                self.foresee(&new, Touch::NameGoes)?;
            } else {
                self.note_new(&new)?;
            }
        }
        // A listing tells nothing of names whose directory is elsewhere. One that this run made goes with all that is in it.
        if self.is_new(&place)? { Ok(()) } else { self.barrier() }
    }

    /// The run made what is here, at a name where nothing was.
    fn is_new(&mut self, place: &Place) -> Result<bool> {
        let was_absent = self.known.get(place.path()).is_some_and(|known| known.absent);
        let begun = self.open()?.journal.begun();
        let born = state::look_closely(place)?.and_then(|(_, ident)| ident.born);
        Ok(was_absent && born.is_some_and(|born| born >= begun))
    }

    /// The process tree has ended: note what is there now at all paths that were foreseen for it. What another one that
    /// still runs may change, too, is noted when that has ended.
    pub fn settle_watched(&mut self) -> Result<()> {
        self.settle_watched_of(self.doer_bit())
    }

    pub(crate) fn settle_watched_of(&mut self, by: u64) -> Result<()> {
        let over = self.watched.seen.extract_if(|_, seen| {
            seen.by &= !by;
            seen.by == 0
        });
        let mut all: Vec<Seen> = over.map(|(_, seen)| seen).collect();
        all.sort_unstable_by_key(|seen| seen.order);
        let others = self.watched.seen.values().fold(0, |all, seen| all | seen.by);
        for seen in all {
            let (path, cause) = (seen.place.clone(), seen.cause);
            let now = self.settle(seen)?;
            if others != 0 {
                // One of the others may have it open, under a name that it had before.
                self.watch_on(path, now, cause, others);
            }
        }
        Ok(())
    }

    fn watch_on(&mut self, path: PathBuf, now: Now, cause: usize, by: u64) {
        let (before, ident) = now;
        let (place, order) = (path.clone(), self.watched.next());
        let ident = ident.filter(Ident::is_settled);
        let seen = Seen { place, before, ident, cause, by, order, kept: false, gone_kept: false };
        self.watched.seen.insert(path, seen);
    }

    /// It was foreseen that this path changes by another name, and now it is changed itself.
    pub(crate) fn settle_one(&mut self, path: &Path) -> Result<()> {
        let Some(seen) = self.watched.seen.remove(path) else { return Ok(()) };
        let (cause, by) = (seen.cause, seen.by & !self.doer_bit());
        self.settle(seen)?;
        if by != 0 {
            // Another one's program may have it open.
            self.foresee(path, Touch::Content)?;
            if let Some(seen) = self.watched.seen.get_mut(path) {
                (seen.cause, seen.by) = (cause, by);
            }
        }
        Ok(())
    }

    fn settle(&mut self, seen: Seen) -> Result<Now> {
        let Some(place) = Place::recorded(&seen.place)? else {
            if seen.before.is_some() {
                self.step_of(seen.cause, seen.place, seen.before, None);
            }
            return Ok((None, None));
        };
        let (after, ident) = self.look_after(&place, seen.before.as_ref(), seen.ident)?;
        // A name that came and went must not come back after a power cut.
        if seen.before.is_none() || seen.gone_kept {
            self.dirty.dir(place.dir_path());
        }
        // The same to look at, but another inode: which names are one file may have changed.
        let known = self.known.get(place.path()).and_then(|known| known.inode);
        let renewed = known.zip(ident).is_some_and(|(known, now)| known != now.id());
        // It was away for a while: its other names may have changed under the same inode.
        let returned = seen.gone_kept && seen.shared().is_some();
        if seen.before == after && !renewed && !returned {
            // A directory of the same time may be here now: what is taken out of it later changes that.
            if seen.gone_kept
                && let Some(dir) = seen.before.as_ref().filter(|before| before.is_dir())
            {
                self.guard_moved(&seen.place, dir.mtime);
            }
            return Ok((after, ident));
        }
        self.dirty.file(&seen.place);
        self.dirty.dir(place.dir_path());
        if let (Some(state), Some(ident)) = (&after, ident) {
            self.note_peers(&place, state, ident, &[])?;
        }
        self.step_of(seen.cause, seen.place, seen.before, after.clone());
        Ok((after, ident))
    }

    /// A path below a directory that will be there after a rename: nothing is there now.
    fn note_new(&mut self, path: &Path) -> Result<()> {
        let by = self.doer_bit();
        if let Some(seen) = self.watched.seen.get_mut(path) {
            seen.by |= by;
            return Ok(());
        }
        self.note_absent(path)?;
        let (cause, order) = (self.cause(), self.watched.next());
        let seen = Seen {
            place: path.to_owned(),
            before: None,
            ident: None,
            cause,
            by,
            order,
            kept: true,
            gone_kept: true,
        };
        self.watched.seen.insert(path.to_owned(), seen);
        Ok(())
    }

    /// A kept link shares its inode with this name, which is about to be written: it becomes a copy.
    fn separate_from_kept(&mut self, path: &Path) -> Result<()> {
        if self.linked.is_empty() {
            return Ok(());
        }
        let Ok(stat) = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW) else {
            return Ok(());
        };
        self.separate_inode((stat.st_dev, stat.st_ino))
    }
}
