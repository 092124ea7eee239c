//! The end of a run: its journal becomes a layer.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::history;
use crate::lock;
use crate::place::Place;
use crate::record::{DirTime, FORMAT, Inode, Layer, Step};
use crate::recorder::Recorder;
use crate::state::{self, Time};

/// How a run ended on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The host's generation now; `None`: never changed.
    pub generation: Option<u64>,
    /// Whether this run made it.
    pub made: bool,
}

impl Recorder {
    /// Make the layer whole and durable. Without a change nothing is written. When this fails, the run counts as one
    /// that never ended: the next contact puts back what it did.
    pub fn seal(mut self, failed: bool) -> Result<Sealed> {
        self.settle_watched_of(u64::MAX)?;
        if self.open.is_none() {
            let head = history::head(&self.dir)?;
            return Ok(Sealed { generation: (head > 0).then_some(head), made: false });
        }
        self.keep_results();
        if let Some(open) = &self.open {
            // Kept by a link: the content may be one that this very run wrote.
            self.linked.values().for_each(|digest| self.dirty.file(&open.store.path(*digest)));
        }
        self.dirty.sync()?;
        for digest in std::mem::take(&mut self.linked).into_values() {
            self.separate(digest)?;
        }
        self.secrets.save(&self.dir)?;
        let dirs = self.dir_times();
        let Some(open) = self.open.take() else { return Ok(Sealed { generation: None, made: false }) };
        let _lock = if self.detached && !self.nested {
            Some(lock::take(&self.dir.join("lock"), &self.run, self.lock_wait)?)
        } else {
            None
        };
        let _sealing = lock::sealing(&self.dir)?;
        let parent = history::head(&self.dir)?;
        let steps = worth_keeping(self.steps)?;
        let times = !self.undoes.is_empty() && dirs.iter().any(|dir| dir.before != dir.after);
        let services = self.services_count && !self.services.is_empty();
        let made = steps.iter().any(Step::changes) || !self.opaque.is_empty() || services || times;
        if made {
            let layer = Layer {
                format: FORMAT,
                generation: parent + 1,
                parent,
                run: self.run,
                sealed: crate::time::now(),
                failed,
                interrupted: false,
                undoes: self.undoes,
                id: open.journal.id().to_owned(),
                causes: self.causes,
                steps,
                dirs,
                opaque: self.opaque,
                services: self.services,
            };
            history::append(&self.dir, layer)?;
        } else {
            // What was made went again: nothing has happened.
            for dir in dirs.iter().filter(|dir| dir.before != dir.after) {
                crate::exact::set_dir_mtime(&dir.path, dir.before)?;
            }
        }
        open.journal.remove()?;
        let head = parent + u64::from(made);
        Ok(Sealed { generation: (head > 0).then_some(head), made })
    }

    /// The directories in which names changed, and that are still there.
    fn dir_times(&self) -> Vec<DirTime> {
        let mut all: Vec<DirTime> = self
            .guards
            .iter()
            .filter_map(|(path, guard)| {
                let after = state::dir_time(path)?;
                Some(DirTime { path: path.clone(), before: guard.mtime, after })
            })
            .collect();
        all.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        all
    }
}

/// Steps that came back to where they began, and reads that were announced as writes, are none. But what is known of a
/// path's inode stays where it tells which names were one file: its first step, if the path has another inode now, or
/// had one whose other names are in the layer.
fn worth_keeping(steps: Vec<Step>) -> Result<Vec<Step>> {
    let mut changed: HashSet<PathBuf> = HashSet::new();
    let mut inodes: HashSet<Inode> = HashSet::new();
    for step in steps.iter().filter(|step| step.changes()) {
        changed.insert(step.path.clone());
        inodes.extend(step.inode);
    }
    let mut back: HashSet<usize> = HashSet::new();
    let mut still = Vec::new();
    let mut seen: HashSet<&Path> = HashSet::new();
    for (i, step) in steps.iter().enumerate() {
        let Some(inode) = step.inode.filter(|_| seen.insert(&step.path)) else { continue };
        if changed.contains(&step.path) {
            // It comes before what other names of its inode went through since.
            if step.before.as_ref().is_some_and(|before| before.group.is_some()) {
                back.insert(i);
            }
            continue;
        }
        let now =
            Place::recorded(&step.path)?.map(|place| state::look_closely(&place)).transpose()?.flatten();
        if now.is_some_and(|(_, ident)| ident.id() != inode) {
            back.insert(i);
            inodes.insert(inode);
        } else {
            still.push((i, inode));
        }
    }
    back.extend(still.into_iter().filter(|(_, inode)| inodes.contains(inode)).map(|(i, _)| i));
    Ok(only(steps, |i, step| step.changes() || back.contains(&i)))
}

/// Of a directory, the first step tells the time before the run: if that one is left out, the next does.
fn only(steps: Vec<Step>, keep: impl Fn(usize, &Step) -> bool) -> Vec<Step> {
    // `None`: a step of it was kept.
    let mut times: HashMap<PathBuf, Option<Time>> = HashMap::new();
    let mut kept = Vec::new();
    for (i, mut step) in steps.into_iter().enumerate() {
        let before = step.before.as_ref().filter(|before| before.is_dir()).map(|before| before.mtime);
        if !keep(i, &step) {
            times.entry(step.path).or_insert(before);
            continue;
        }
        let first = times.insert(step.path.clone(), None).flatten();
        if let (Some(first), Some(before)) = (first, step.before.as_mut().filter(|before| before.is_dir())) {
            before.mtime = first;
        }
        kept.push(step);
    }
    kept
}
