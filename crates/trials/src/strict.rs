//! A disk as strict as a journalling file system may be: contents that were not synced are lost; names and metadata are
//! kept in order, so that some sync makes durable all that came before. Where the store lies on a file system of its own,
//! its names go back to its last sync while those of the tree stay.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::calls::{Call, Kind};
use crate::subject::Ground;
use crate::tracer::{Verdict, Watcher};
use crate::trial::{Interrupt, mix};

/// Follows what is durable and what is not; kills like [`Interrupt`].
pub(crate) struct Strict {
    pub(crate) interrupt: Interrupt,
    ground: Ground,
    /// Content of each inode when it was last synced.
    synced: HashMap<u64, Vec<u8>>,
    dirty: HashSet<u64>,
    /// The durable names in each of the store's directories.
    names: HashMap<PathBuf, BTreeMap<OsString, u64>>,
    /// Files of the store whose size is durable: syncing them again moves no metadata.
    sizes: HashMap<u64, u64>,
    /// Directories of the tree whose names changed since they were synced.
    pub(crate) pending: BTreeSet<PathBuf>,
    /// Syncs of this class are left out.
    pub(crate) without: Option<String>,
    /// Every class of sync that the subject itself made.
    pub(crate) classes: BTreeSet<String>,
    pub(crate) left_out: usize,
    /// Stricter still, as POSIX is: names in a directory of the store are durable by its own sync alone.
    pub(crate) each_directory: bool,
}

impl Strict {
    pub(crate) fn new(ground: &Ground, interrupt: Interrupt) -> io::Result<Self> {
        let mut new = Self {
            interrupt,
            ground: ground.clone(),
            synced: HashMap::new(),
            dirty: HashSet::new(),
            names: HashMap::new(),
            sizes: HashMap::new(),
            pending: BTreeSet::new(),
            without: None,
            classes: BTreeSet::new(),
            left_out: 0,
            each_directory: false,
        };
        for top in [ground.tree(), ground.state()] {
            for path in files(&top) {
                new.synced.insert(fs::symlink_metadata(&path)?.ino(), fs::read(&path)?);
            }
        }
        new.all_names();
        Ok(new)
    }

    fn all_names(&mut self) {
        let state = self.ground.state();
        self.names = directories(&state).into_iter().map(|dir| (dir.clone(), entries(&dir))).collect();
        if let (Some(parent), Some(name)) = (state.parent(), state.file_name())
            && let Ok(metadata) = fs::symlink_metadata(&state)
        {
            let only = BTreeMap::from([(name.to_owned(), metadata.ino())]);
            self.names.insert(parent.to_owned(), only);
        }
    }

    fn synced(&mut self, call: &Call) {
        if call.kind == Kind::SyncAll {
            return self.all_synced(call);
        }
        let by_fd = format!("/proc/{}/fd/{}", call.pid, call.args[0]);
        let Ok(metadata) = fs::metadata(&by_fd) else { return };
        let Some(path) = &call.path else { return };
        let mut moved_metadata = true;
        if metadata.is_dir() {
            self.pending.remove(path);
        } else if let Ok(bytes) = fs::read(&by_fd) {
            self.dirty.remove(&metadata.ino());
            let known = self.sizes.insert(metadata.ino(), metadata.len());
            moved_metadata = call.number != libc::SYS_fdatasync || known != Some(metadata.len());
            self.synced.insert(metadata.ino(), bytes);
        }
        if !path.starts_with(self.ground.state()) {
            return;
        }
        if !self.each_directory {
            if moved_metadata {
                self.all_names();
            }
            return;
        }
        if metadata.is_dir() {
            let path = path.clone();
            self.names.insert(path.clone(), entries(&path));
        }
    }

    fn all_synced(&mut self, call: &Call) {
        let in_state = call.path.as_ref().is_some_and(|path| path.starts_with(self.ground.state()));
        let both = call.number == libc::SYS_sync || !self.ground.apart;
        let mut paths = Vec::new();
        if both || !in_state {
            paths.extend(files(&self.ground.tree()));
            self.pending.clear();
        }
        if both || in_state {
            paths.extend(files(&self.ground.state()));
            self.all_names();
        }
        for path in paths {
            if let Ok(metadata) = fs::symlink_metadata(&path)
                && self.dirty.remove(&metadata.ino())
                && let Ok(bytes) = fs::read(&path)
            {
                self.synced.insert(metadata.ino(), bytes);
            }
        }
    }

    /// Seed 0: all that can be lost is; others: some of it.
    pub(crate) fn lose(&self, seed: u64) -> io::Result<()> {
        let mut draw = seed;
        let mut lost = || {
            draw = mix(draw);
            seed == 0 || draw & 1 == 0
        };
        let state = self.ground.state();
        if self.ground.apart && lost() {
            self.all_names_back(&state)?;
        }
        for path in files(&self.ground.tree()).into_iter().chain(files(&state)) {
            let ino = fs::symlink_metadata(&path)?.ino();
            if self.dirty.contains(&ino) && lost() {
                self.content_back(&path, ino)?;
            }
        }
        Ok(())
    }

    fn all_names_back(&self, state: &Path) -> io::Result<()> {
        let known = state.parent().is_some_and(|parent| self.names.contains_key(parent));
        if !known {
            return if state.exists() { fs::remove_dir_all(state) } else { Ok(()) };
        }
        let named = |dir: &Path| {
            let names = dir.parent().and_then(|parent| self.names.get(parent));
            names.zip(dir.file_name()).is_some_and(|(names, name)| names.contains_key(name))
        };
        // Without its own name, a directory is lost with all that is in it.
        let found = |dir: &Path| dir.ancestors().take_while(|dir| dir.starts_with(state)).all(named);
        let mut dirs: Vec<&PathBuf> =
            self.names.keys().filter(|dir| dir.starts_with(state) && found(dir)).collect();
        dirs.sort();
        for dir in dirs {
            fs::create_dir_all(dir)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
            self.names_back(dir)?;
        }
        // Those that were never synced themselves have no names at all.
        for dir in directories(state).iter().rev().filter(|dir| !self.names.contains_key(*dir)) {
            fs::remove_dir_all(dir)?;
            fs::create_dir(dir)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    fn names_back(&self, dir: &Path) -> io::Result<()> {
        let now = entries(dir);
        let then = &self.names[dir];
        for (name, ino) in &now {
            let path = dir.join(name);
            if then.get(name) == Some(ino) {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(&path)?
            } else {
                fs::remove_file(&path)?
            }
        }
        for (name, ino) in then {
            // Directories are made by the caller.
            if now.get(name) != Some(ino) && !self.names.contains_key(&dir.join(name)) {
                fs::write(dir.join(name), self.synced.get(ino).map_or(&[][..], Vec::as_slice))?;
                fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600))?;
            }
        }
        Ok(())
    }

    fn content_back(&self, path: &Path, ino: u64) -> io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        fs::write(path, self.synced.get(&ino).map_or(&[][..], Vec::as_slice))?;
        let times =
            fs::FileTimes::new().set_modified(metadata.modified()?).set_accessed(metadata.accessed()?);
        fs::File::options().write(true).open(path)?.set_times(times)
    }

    /// Where in the program a sync stands, as far as it can be told from outside: by what it is made of.
    fn class(&self, call: &Call) -> String {
        let path = call.path.as_deref().unwrap_or(Path::new("/"));
        let what = if let Ok(below) = path.strip_prefix(self.ground.state()) {
            format!(
                "state/{}",
                below.iter().map(|part| plain(&part.to_string_lossy())).collect::<Vec<_>>().join("/")
            )
        } else if path.is_dir() {
            "a directory of the tree".to_owned()
        } else {
            "a file of the tree".to_owned()
        };
        format!("{} {what}", crate::calls::name(call.number))
    }
}

/// Digests, numbers and temporary names are all alike.
fn plain(part: &str) -> String {
    let part = part.split(".theseus-").next().unwrap_or(part);
    let hexadecimal = part.len() >= 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    if hexadecimal {
        return "#".to_owned();
    }
    let mut shown = String::new();
    for c in part.chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if !(c == '#' && shown.ends_with('#')) {
            shown.push(c);
        }
    }
    shown
}

impl Watcher for Strict {
    fn begins(&mut self, call: &Call) -> Verdict {
        let verdict = self.interrupt.begins(call);
        if verdict == Verdict::Go && call.is_sync() && call.own {
            let class = self.class(call);
            let left_out = self.without.as_ref() == Some(&class);
            self.classes.insert(class);
            if left_out {
                self.left_out += 1;
                return Verdict::Instead(0);
            }
        }
        verdict
    }

    fn ended(&mut self, call: &Call, result: i64) -> Verdict {
        if result >= 0 {
            let fd = match call.kind {
                Kind::Write(argument) => Some(call.args[argument]),
                Kind::Open => Some(result.cast_unsigned()),
                _ => None,
            };
            if let Some(fd) = fd
                && let Ok(metadata) = fs::metadata(format!("/proc/{}/fd/{fd}", call.pid))
                && metadata.is_file()
                && (call.kind != Kind::Open || metadata.len() == 0)
            {
                self.dirty.insert(metadata.ino());
            }
            if call.is_sync() {
                self.synced(call);
            }
            if let (Kind::Name, Some(path)) = (call.kind, &call.path)
                && path.starts_with(self.ground.tree())
                && let Some(dir) = path.parent()
            {
                self.pending.insert(dir.to_owned());
            }
        }
        self.interrupt.ended(call, result)
    }
}

fn entries(dir: &Path) -> BTreeMap<OsString, u64> {
    let Ok(list) = fs::read_dir(dir) else { return BTreeMap::new() };
    let named = |entry: fs::DirEntry| Some((entry.file_name(), entry.metadata().ok()?.ino()));
    list.filter_map(|entry| named(entry.ok()?)).collect()
}

/// Regular files below.
fn files(top: &Path) -> Vec<PathBuf> {
    walk(top).into_iter().filter(|path| fs::symlink_metadata(path).is_ok_and(|m| m.is_file())).collect()
}

/// This directory and those below, the upper ones first.
fn directories(top: &Path) -> Vec<PathBuf> {
    walk(top).into_iter().filter(|path| fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())).collect()
}

fn walk(top: &Path) -> Vec<PathBuf> {
    let mut all = vec![top.to_owned()];
    let mut next = 0;
    while next < all.len() {
        let path = all[next].clone();
        next += 1;
        if fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
            all.extend(entries(&path).into_keys().map(|name| path.join(name)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_one_kind_are_one_class() {
        assert_eq!(super::plain("000012.jsonl"), "#.jsonl");
        assert_eq!(super::plain("ab"), "#");
        assert_eq!(super::plain(".new.theseus-0123456789abcdef"), ".new");
        assert_eq!(super::plain("journal"), "journal");
    }
}
