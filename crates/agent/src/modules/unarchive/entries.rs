//! Entries of any archive: compared with what is there, and written.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use layer::{Attributes, Time};

use super::options::Options;
use crate::fileargs::FileArgs;
use crate::files;
use crate::module::{At, Failure, Task};

pub(super) enum What {
    File {
        size: u64,
    },
    Dir,
    Symlink(PathBuf),
    /// Another entry's path, as the archive names it.
    Hardlink(PathBuf),
    Fifo,
}

pub(super) struct Entry {
    pub(super) name: PathBuf,
    pub(super) what: What,
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mtime: Option<i64>,
}

pub(super) struct Unpacking<'a> {
    top: PathBuf,
    pub(super) options: &'a Options,
    args: FileArgs,
    root: bool,
    umask: u32,
    changed: bool,
    names: Vec<String>,
    /// Times of directories are set last: writing into them changes them.
    dirs: Vec<(PathBuf, Option<i64>)>,
    placed: Vec<PathBuf>,
}

impl<'a> Unpacking<'a> {
    pub(super) fn new(
        top: &Path,
        options: &'a Options,
        args: FileArgs,
        task: &mut Task<'_>,
    ) -> Result<Self, Failure> {
        args.ids(task.cache)?;
        Ok(Self {
            top: std::fs::canonicalize(top).at("find", top)?,
            options,
            args,
            root: rustix::process::geteuid().is_root(),
            umask: crate::fileargs::own_umask(),
            changed: false,
            names: Vec::new(),
            dirs: Vec::new(),
            placed: Vec::new(),
        })
    }

    pub(super) fn entry(
        &mut self,
        entry: &Entry,
        content: &mut dyn Read,
        task: &mut Task<'_>,
    ) -> Result<(), Failure> {
        task.go_on()?;
        let Some(relative) = self.options.place(&entry.name)? else { return Ok(()) };
        self.names.push(entry.name.to_string_lossy().into_owned());
        let path = self.top.join(relative);
        self.stay_inside(&path)?;
        let wanted = self.wanted(entry, &path, task)?;
        match &entry.what {
            What::Dir => self.dir(&path, entry, &wanted, task)?,
            What::File { size } => self.file(&path, *size, &wanted, entry, content, task)?,
            What::Symlink(target) => {
                // A link that is there keeps its owner, unless one is asked for.
                let mut owner = self.args.resolve(task.cache, 0o777, false)?;
                if std::fs::read_link(&path).ok().as_deref() != Some(target.as_path()) {
                    self.change(task, |task| task.recorder.symlink(target, &path))?;
                    owner = wanted;
                }
                self.link_owner(&path, owner.uid, owner.gid, task)?;
            }
            What::Hardlink(target) => {
                let Some(target) = self.options.place(target)? else { return Ok(()) };
                let source = self.top.join(target);
                self.stay_inside(&source)?;
                let same = |a: &Path, b: &Path| matches!((std::fs::symlink_metadata(a), std::fs::symlink_metadata(b)), (Ok(a), Ok(b)) if a.ino() == b.ino() && a.dev() == b.dev());
                if !same(&source, &path) {
                    self.change(task, |task| task.recorder.hard_link(&source, &path))?;
                }
            }
            What::Fifo => {
                if !path.exists() {
                    self.change(task, |task| task.recorder.fifo(&path, &wanted))?;
                }
            }
        }
        self.placed.push(path);
        Ok(())
    }

    fn change(
        &mut self,
        task: &mut Task<'_>,
        act: impl FnOnce(&mut Task<'_>) -> layer::Result<()>,
    ) -> Result<(), Failure> {
        self.changed = true;
        if !task.check {
            act(task)?;
        }
        Ok(())
    }

    /// A link has an owner of its own, and no mode.
    fn link_owner(
        &mut self,
        path: &Path,
        uid: Option<u32>,
        gid: Option<u32>,
        task: &mut Task<'_>,
    ) -> Result<(), Failure> {
        let wanted = Attributes { uid, gid, ..Attributes::default() };
        match std::fs::symlink_metadata(path) {
            Ok(now) if !fits(&now, &wanted) => {
                self.change(task, |task| task.recorder.set(path, &wanted, false).map(drop))
            }
            _ => Ok(()),
        }
    }

    /// A link that came before, in the archive or on the host, does not lead an entry elsewhere.
    fn stay_inside(&self, path: &Path) -> Result<(), Failure> {
        let there = path.ancestors().skip(1).find(|p| p.exists()).unwrap_or(&self.top);
        let real = std::fs::canonicalize(there).at("find", there)?;
        if real.starts_with(&self.top) {
            Ok(())
        } else {
            Err(format!("the entry {} would be written outside of {}", path.display(), self.top.display())
                .into())
        }
    }

    fn wanted(&self, entry: &Entry, path: &Path, task: &mut Task<'_>) -> Result<Attributes, Failure> {
        let default = if matches!(entry.what, What::Dir) { 0o777 & !self.umask } else { 0o666 & !self.umask };
        let mode = entry
            .mode
            .map_or(default, |mode| if self.root { mode & 0o7777 } else { mode & 0o777 & !self.umask });
        let (uid, gid) = match entry.owner.filter(|_| self.root && self.options.same_owner) {
            Some((uid, gid)) => (Some(uid), Some(gid)),
            None => (None, None),
        };
        let is_dir = matches!(entry.what, What::Dir);
        let asked = self.args.resolve(task.cache, mode, is_dir)?;
        // A directory that is there keeps its mode unless one is asked for: archives name `./` with any mode.
        let mode = asked.mode.or_else(|| (!(is_dir && path.is_dir() && path == self.top)).then_some(mode));
        let mtime = entry.mtime.map(|seconds| Time(seconds, 0));
        Ok(Attributes {
            mode,
            uid: asked.uid.or(uid),
            gid: asked.gid.or(gid),
            mtime,
            ..Attributes::default()
        })
    }

    fn dir(
        &mut self,
        path: &Path,
        entry: &Entry,
        wanted: &Attributes,
        task: &mut Task<'_>,
    ) -> Result<(), Failure> {
        let wanted = Attributes { mtime: None, ..wanted.clone() };
        if path.is_dir() {
            let metadata = std::fs::metadata(path).at("look at", path)?;
            if !fits(&metadata, &wanted) {
                self.change(task, |task| task.recorder.set(path, &wanted, true).map(drop))?;
            }
            return Ok(());
        }
        self.parents(path, task)?;
        self.change(task, |task| {
            if path.symlink_metadata().is_ok() {
                task.recorder.remove(path)?;
            }
            task.recorder.create_dir(path, &wanted)
        })?;
        self.dirs.push((path.to_owned(), entry.mtime));
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        size: u64,
        wanted: &Attributes,
        entry: &Entry,
        content: &mut dyn Read,
        task: &mut Task<'_>,
    ) -> Result<(), Failure> {
        let now = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file);
        if let Some(now) = &now {
            if self.options.keep_newer && entry.mtime.is_some_and(|mtime| now.mtime() > mtime) {
                return Ok(());
            }
            let same_time = entry.mtime.is_none_or(|mtime| mtime == now.mtime());
            if now.len() == size && same_time {
                let metadata = Attributes { mtime: None, ..wanted.clone() };
                if !fits(now, &metadata) {
                    self.change(task, |task| task.recorder.set(path, &metadata, false).map(drop))?;
                }
                return Ok(());
            }
        }
        self.parents(path, task)?;
        if path.is_dir() && !path.is_symlink() {
            return Err(
                format!("{} is a directory and the archive has a file of that name", path.display()).into()
            );
        }
        self.change(task, |task| task.recorder.write(path, content, wanted).map(drop))
    }

    /// Directories that the archive does not name itself.
    fn parents(&mut self, path: &Path, task: &mut Task<'_>) -> Result<(), Failure> {
        if let Some(parent) = path.parent().filter(|p| !p.exists()) {
            files::make_dirs(task, parent, &FileArgs::default())?;
        }
        Ok(())
    }

    /// Times of directories, and the task's own attributes on everything.
    pub(super) fn finish(mut self, task: &mut Task<'_>) -> Result<(bool, Vec<String>), Failure> {
        if !task.check {
            for (path, mtime) in self.dirs.iter().rev() {
                if let Some(mtime) = mtime {
                    let times = Attributes { mtime: Some(Time(*mtime, 0)), ..Attributes::default() };
                    task.recorder.set(path, &times, false)?;
                }
            }
        }
        for path in &self.placed {
            if path.symlink_metadata().is_ok() {
                self.changed |= self.args.apply(task, path, None)?;
            }
        }
        Ok((self.changed, self.names))
    }
}

fn fits(now: &std::fs::Metadata, wanted: &Attributes) -> bool {
    wanted.mode.is_none_or(|mode| mode == now.mode() & 0o7777)
        && wanted.uid.is_none_or(|uid| uid == now.uid())
        && wanted.gid.is_none_or(|gid| gid == now.gid())
}
