//! What a recorder keeps before a change, and what it notes after it.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{At, Result};
use crate::guards::{MANY, open_dir};
use crate::journal::Entry;
use crate::place::{Place, temporary_of};
use crate::recorder::{Keep, Recorder};
use crate::state::{self, Ident, PathState, Time};
use crate::store::Kept;

/// What a run knows of a path that it changed.
#[derive(Default)]
pub(crate) struct Known {
    /// There was nothing before the run.
    pub(crate) absent: bool,
    /// Its content before the run is kept, or it has none.
    secured: bool,
    /// Before the run.
    pub(crate) mtime: Time,
    pub(crate) inode: Option<crate::Inode>,
    /// Other names of its inode: before the run, if there were some.
    pub(crate) peers: Vec<PathBuf>,
    grouped: bool,
}

/// The paths whose contents nobody may read in the store.
#[derive(Default)]
pub(crate) struct Secrets {
    known: HashSet<PathBuf>,
    new: bool,
}

impl Secrets {
    fn file(state_dir: &Path) -> PathBuf {
        state_dir.join("secret-paths")
    }

    pub(crate) fn load(&mut self, state_dir: &Path) -> Result<()> {
        let bytes = crate::history::read_small(&Self::file(state_dir))?;
        let paths = bytes.split(|b| *b == 0).filter(|p| !p.is_empty());
        self.known.extend(paths.map(|p| PathBuf::from(std::ffi::OsStr::from_bytes(p))));
        Ok(())
    }

    pub(crate) fn save(&self, state_dir: &Path) -> Result<()> {
        if !self.new {
            return Ok(());
        }
        let mut all: Vec<&[u8]> = self.known.iter().map(|p| p.as_os_str().as_bytes()).collect();
        all.sort_unstable();
        crate::history::replace(&Self::file(state_dir), &all.join(&0))
    }
}

impl Recorder {
    /// Before a change: what is there, kept; and durable, if the change could become durable.
    pub(crate) fn before(&mut self, place: &Place, keep: Keep) -> Result<Option<PathState>> {
        self.settle_one(place.path())?;
        self.before_closely(place, keep, &[]).map(|(state, _)| state)
    }

    pub(crate) fn before_closely(
        &mut self,
        place: &Place,
        keep: Keep,
        peers: &[PathBuf],
    ) -> Result<(Option<PathState>, Option<Ident>)> {
        let seen = self.announce(place, keep, peers)?;
        self.secure()?;
        Ok(seen)
    }

    /// As [`Recorder::before`] for one of many: [`Recorder::secure`] is called once for all.
    pub(crate) fn announce(
        &mut self,
        place: &Place,
        keep: Keep,
        peers: &[PathBuf],
    ) -> Result<(Option<PathState>, Option<Ident>)> {
        if self.witnessed {
            return self.only_look(place);
        }
        self.open()?;
        let seen = state::look_closely(place)?;
        let covered = match &seen {
            None => self.guard_new(place)?,
            Some((_, ident)) if keep == Keep::Link => self.guard_old(place, *ident)?,
            Some(_) => false,
        };
        let path = place.path();
        let Some((mut before, mut ident)) = seen else {
            self.know(path, covered, || Known { absent: true, secured: true, ..Known::default() });
            self.change(path, None, &[])?;
            return Ok((None, None));
        };
        // The link that we keep ourselves is no other name.
        if ident.links == 2 && self.linked.contains_key(&ident.inode()) {
            before.group = None;
        }
        if keep != Keep::Link {
            self.separate_inode(ident.inode())?;
        }
        if before.is_dir() && !self.latest.contains_key(path) {
            let first = self.known.get(path).map(|known| known.mtime);
            before.mtime = first.or(self.guards.get(path).map(|guard| guard.mtime)).unwrap_or(before.mtime);
        }
        if before.is_file() {
            self.keep_content(place, keep, &mut before)?;
            // A link for the store is a change of the inode, too.
            if let Some((_, now)) = state::look_closely(place)? {
                ident = now;
            }
        }
        let secured = keep != Keep::State || !before.is_file();
        let first_content = secured && self.known.get(path).is_some_and(|known| !known.secured);
        let mtime = before.mtime;
        let first = !self.known.contains_key(path);
        let inode = (!before.is_dir()).then(|| ident.id());
        let covered = covered && self.linked.contains_key(&ident.inode());
        self.know(path, covered, || Known { secured, mtime, inode, ..Known::default() });
        self.urgent |= first_content;
        if let Some(known) = self.known.get_mut(path) {
            known.secured |= secured;
        }
        if keep == Keep::Link || first || !peers.is_empty() {
            self.note_peers(place, &before, ident, peers)?;
            self.hold(place, &before, ident)?;
        }
        if let Some(known) = self.known.get_mut(path).filter(|_| first) {
            known.grouped = before.group.is_some();
        }
        let peers = self.known.get(path).map(|known| known.peers.clone()).unwrap_or_default();
        self.change(path, Some(before.clone()), &peers)?;
        Ok((Some(before), Some(ident)))
    }

    /// Everything announced is durable, as far as it must be before the change is.
    pub(crate) fn secure(&mut self) -> Result<()> {
        if std::mem::take(&mut self.urgent) {
            self.open()?.journal.sync()?;
        }
        Ok(())
    }

    /// Under this name something is made that will be renamed.
    pub(crate) fn temporary_beside(&mut self, place: &Place) -> Result<OsString> {
        if self.witnessed {
            return Ok(crate::place::temporary_name(place.name()));
        }
        let name = temporary_of(self.open()?.journal.id(), place.path());
        self.note(&Entry::Temporary { path: place.dir_path().join(&name) })?;
        Ok(name)
    }

    /// Nothing is at this path; something will be (below a directory that is moved there).
    pub(crate) fn note_absent(&mut self, path: &Path) -> Result<()> {
        self.know(path, true, || Known { absent: true, secured: true, ..Known::default() });
        self.change(path, None, &[])
    }

    /// A content that is known already.
    pub(crate) fn keep_bytes(&mut self, content: &[u8]) -> Result<Digest> {
        if self.witnessed {
            return Ok(Digest::of(content));
        }
        self.open()?.store.put(content)
    }

    /// Write down that a path changes.
    pub(crate) fn note_change(&mut self, path: &Path, before: Option<PathState>) -> Result<()> {
        let (absent, mtime) = (before.is_none(), before.as_ref().map(|b| b.mtime).unwrap_or_default());
        self.know(path, false, || Known { absent, secured: true, mtime, ..Known::default() });
        self.change(path, before, &[])?;
        self.secure()
    }

    fn know(&mut self, path: &Path, covered: bool, new: impl FnOnce() -> Known) {
        if !self.witnessed && !self.known.contains_key(path) {
            self.urgent |= !covered;
            self.known.insert(path.to_owned(), new());
        }
    }

    pub(crate) fn change(&mut self, path: &Path, before: Option<PathState>, peers: &[PathBuf]) -> Result<()> {
        if self.witnessed {
            return Ok(());
        }
        self.open()?;
        let cause = self.cause();
        let inode = self.known.get(path).and_then(|known| known.inode);
        self.note(&Entry::Change { path: path.to_owned(), cause, before, peers: peers.to_vec(), inode })
    }

    fn keep_content(&mut self, place: &Place, keep: Keep, before: &mut PathState) -> Result<()> {
        before.secret = self.is_secret(place.path());
        let latest = self.latest.get(place.path()).and_then(|i| self.steps[*i].after.clone());
        // Times and size unchanged since our own last step: the content is known.
        let known = latest.filter(|k| same_but_digest(k, before)).and_then(|k| k.digest());
        before.set_digest(known);
        if keep != Keep::State {
            let digest = self.keep(place, keep == Keep::Link, before.secret)?;
            before.set_digest(Some(digest));
        }
        Ok(())
    }

    fn keep(&mut self, place: &Place, name_goes: bool, secret: bool) -> Result<Digest> {
        let mut file = state::open_file(place)?;
        if secret {
            return self.open()?.store.keep_secret(&mut file).map_err(|e| e.with_path(place.path()));
        }
        let by_link = name_goes && !crate::lease::may_be_written(&file);
        let kept = self.open()?.store.keep(&mut file, by_link);
        let (digest, kept) = kept.map_err(|e| e.with_path(place.path()))?;
        if kept == Kept::Linked {
            let stat = rustix::fs::fstat(&file).at("look at", place.path())?;
            self.linked.insert((stat.st_dev, stat.st_ino), digest);
            self.note(&Entry::Linked { digest })?;
        }
        if kept != Kept::Present {
            let object = self.open()?.store.path(digest);
            self.dirty.object(&object);
        }
        Ok(digest)
    }

    /// A kept link that shares this inode, which is about to be written, becomes a copy.
    pub(crate) fn separate_inode(&mut self, inode: (u64, u64)) -> Result<()> {
        match self.linked.remove(&inode) {
            Some(digest) => self.separate(digest),
            None => Ok(()),
        }
    }

    pub(crate) fn separate(&mut self, digest: Digest) -> Result<()> {
        // Until now a recovery could know by the inode whose content this is.
        self.open()?.journal.sync()?;
        if self.open()?.store.separate(digest)? {
            return Ok(());
        }
        self.irreversible(format!(
            "a program that had it open wrote to a file after its name was gone; its content {digest} is lost"
        ))
    }

    /// Other names of the same inode: those that the caller knows, and those in the same directory.
    pub(crate) fn note_peers(
        &mut self,
        place: &Place,
        state: &PathState,
        ident: Ident,
        hints: &[PathBuf],
    ) -> Result<()> {
        if state.group.is_none() {
            return Ok(());
        }
        let same = |path: &&PathBuf| {
            rustix::fs::lstat(path.as_path()).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == ident.inode())
        };
        let mut found: BTreeSet<PathBuf> = hints.iter().filter(same).cloned().collect();
        for entry in open_dir(place).ok().into_iter().flatten().take(MANY) {
            let entry = entry.at("list", place.dir_path())?;
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
            if entry.ino() == ident.ino && name != place.name() {
                found.insert(place.dir_path().join(name));
            }
        }
        if let Some(known) = self.known.get_mut(place.path()).filter(|known| !known.grouped) {
            let new = found.into_iter().filter(|p| p != place.path() && !known.peers.contains(p));
            let new: Vec<PathBuf> = new.collect();
            known.peers.extend(new);
        }
        Ok(())
    }

    /// Some of its names were not found: this one may be the only way to it that we know.
    fn hold(&mut self, place: &Place, state: &PathState, ident: Ident) -> Result<()> {
        let found = self.known.get(place.path()).map_or(0, |known| known.peers.len());
        if state.group.is_some() && found + 1 < ident.links as usize && self.held.insert(ident.inode()) {
            self.open()?.store.hold(place, ident.inode())?;
        }
        Ok(())
    }

    fn is_secret(&mut self, path: &Path) -> bool {
        let by_cause = self.secret || self.is_unlogged();
        if by_cause && self.secrets.known.insert(path.to_owned()) {
            self.secrets.new = true;
        }
        by_cause || self.secrets.known.contains(path)
    }

    /// After a change: what is there now. `digest`: of the new content, if the change knows it.
    pub(crate) fn after(
        &mut self,
        place: &Place,
        before: Option<PathState>,
        digest: Option<Digest>,
    ) -> Result<()> {
        if self.witnessed {
            self.step(place.path().to_owned(), None, None);
            return Ok(());
        }
        let mut after = state::look(place)?;
        if let Some(state) = after.as_mut().filter(|s| s.is_file()) {
            state.secret = self.is_secret(place.path());
            let kept = before.as_ref().filter(|b| b.secret == state.secret).and_then(PathState::digest);
            let digest = match digest {
                Some(_) if state.secret => Some(self.secret_digest(place)?),
                Some(digest) => Some(digest),
                None => kept,
            };
            state.set_digest(digest);
        }
        self.step(place.path().to_owned(), before, after);
        Ok(())
    }

    fn secret_digest(&mut self, place: &Place) -> Result<Digest> {
        let mut hasher = self.open()?.store.key()?.hasher();
        let mut file = state::open_file(place)?;
        let read = crate::content::each_block(&mut file, |block| {
            hasher.update(block);
            Ok(())
        });
        read.at("read", place.path())?;
        Ok(Digest::finish(&hasher))
    }

    /// What is there after a watched process. An inode that did not change at all has the content that it had.
    pub(crate) fn look_after(
        &mut self,
        place: &Place,
        before: Option<&PathState>,
        was: Option<Ident>,
    ) -> Result<(Option<PathState>, Option<Ident>)> {
        let Some((mut after, ident)) = state::look_closely(place)? else { return Ok((None, None)) };
        if after.is_file() {
            after.secret = self.is_secret(place.path());
            let same = before.filter(|b| b.is_file() && was == Some(ident) && b.secret == after.secret);
            let digest = match same {
                Some(before) => before.digest(),
                None if after.secret => Some(self.secret_digest(place)?),
                None => Some(Digest::of_reader(state::open_file(place)?).at("read", place.path())?),
            };
            after.set_digest(digest);
            // A change of owner or mode alone: the content was not kept, and needs not be compared.
            if before.is_some_and(|b| b.is_file() && b.digest().is_none()) {
                after.set_digest(None);
            }
        }
        Ok((Some(after), Some(ident)))
    }
}

/// Another name for it, or one less, does not touch the content.
fn same_but_digest(known: &PathState, seen: &PathState) -> bool {
    let mut known = known.clone();
    known.set_digest(None);
    known.group = seen.group;
    known == *seen
}
