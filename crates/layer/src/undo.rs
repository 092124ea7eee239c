//! Taking back what layers did, newest first: for each path, from what the newest left to what was before the oldest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::differ::{differences, look_beside};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::exact;
use crate::history;
use crate::place::Place;
use crate::record::{Cause, Inode, Layer, Run, ServiceChange, Step};
use crate::recorder::{Keep, Recorder};
use crate::restore::{self, Hands, Target};
use crate::state::{self, PathState, Time};
use crate::store::Store;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The generation to go back to: all after it are undone.
    pub to: u64,
    /// Also what was changed since; that is kept in the store.
    pub force: bool,
    /// Only these paths and what is below them.
    pub only: Option<Vec<PathBuf>>,
}

/// A path that is not as the layers left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub path: PathBuf,
    /// In what it differs: `content`, `mode`, `owner`, `made since`, …
    pub what: Vec<&'static str>,
    /// Where in the store its content was kept, when an undo went over it.
    pub kept: Option<Digest>,
}

/// What an undo did; with conflicts and without force: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub conflicts: Vec<Conflict>,
    pub restored: Vec<PathBuf>,
    /// What the undone layers did that cannot be taken back, or was not watched.
    pub irreversible: Vec<String>,
    /// Services to be put back to `before`.
    pub services: Vec<ServiceChange>,
    /// The generation that this undo made; `None`: nothing was changed.
    pub generation: Option<u64>,
}

/// What an undo would do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub conflicts: Vec<Conflict>,
    /// In the order of their names.
    pub paths: Vec<PathBuf>,
    pub irreversible: Vec<String>,
    pub services: Vec<ServiceChange>,
    targets: Vec<Target>,
    /// What was in the way, with force.
    in_the_way: Vec<Target>,
    dirs: Vec<(PathBuf, Time)>,
    undoes: Vec<u64>,
}

/// Look what an undo would do, and what is in its way.
pub fn plan(state_dir: &Path, options: &Options) -> Result<Plan> {
    let head = history::head(state_dir)?;
    if options.to > head {
        return Err(Error::NoGeneration { generation: options.to });
    }
    let mut net = Net::default();
    for generation in options.to + 1..=head {
        if !history::layer_path(state_dir, generation).exists() {
            return Err(Error::NoGeneration { generation });
        }
        net.add(history::read(state_dir, generation)?);
    }
    if let Some(only) = &options.only {
        let wanted = |path: &Path| only.iter().any(|top| path.starts_with(top));
        let ancestors: Vec<PathBuf> =
            net.paths.keys().filter(|p| missing_ancestor(p, only)).cloned().collect();
        net.paths.retain(|path, _| wanted(path) || ancestors.contains(path));
        net.dirs.retain(|path, _| wanted(path));
    }
    net.plan(state_dir, (options.to + 1..=head).collect())
}

/// A directory that is gone and that one of these paths needs.
fn missing_ancestor(path: &Path, only: &[PathBuf]) -> bool {
    only.iter().any(|top| top.starts_with(path) && top != path) && std::fs::symlink_metadata(path).is_err()
}

/// Take back every layer after `options.to`. All or nothing: when it fails midway, what it did is put back.
pub fn undo(state_dir: &Path, options: &Options, run: Run) -> Result<Report> {
    if history::head(state_dir)? == 0 && options.to == 0 {
        return Ok(Report::default());
    }
    let mut recorder = Recorder::new(state_dir.to_owned(), run);
    recorder.open()?;
    match undo_with(&mut recorder, options) {
        Ok(mut report) => {
            let sealed = recorder.seal(false)?;
            report.generation = sealed.generation.filter(|_| sealed.made);
            Ok(report)
        }
        Err(error) => {
            drop(recorder);
            crate::recover::recover(state_dir)?;
            Err(error)
        }
    }
}

fn undo_with(recorder: &mut Recorder, options: &Options) -> Result<Report> {
    let plan = plan(&recorder.dir, options)?;
    let mut report =
        Report { conflicts: plan.conflicts, irreversible: plan.irreversible, ..Report::default() };
    if !report.conflicts.is_empty() && !options.force {
        return Ok(report);
    }
    report.services = plan.services;
    // An undo of this undo puts them back again.
    let reversed =
        |c: &ServiceChange| ServiceChange { unit: c.unit.clone(), before: c.after, after: c.before };
    recorder.services(report.services.iter().map(reversed).collect());
    let store = Store::new(&recorder.dir);
    let mut targets = plan.targets;
    targets.extend(plan.in_the_way);
    restore::sort(&mut targets);
    check_contents(&targets, &store)?;
    recorder.undoes.clone_from(&plan.undoes);
    let task = match plan.undoes.as_slice() {
        [one] => format!("undo of generation {one}"),
        all => format!("undo of {} generations", all.len()),
    };
    recorder.begin(Cause { task, ..Cause::default() });
    for (path, _) in &plan.dirs {
        recorder.guard_dir(path)?;
    }
    recorder.secure()?;
    let id = recorder.open()?.journal.id().to_owned();
    let mut hands = Undoing { recorder, id, before: HashMap::new() };
    report.restored = restore::bring(&targets, &store, &mut hands)?;
    for group in targets.iter().filter_map(|t| t.want.as_ref()?.group) {
        if !hands.recorder.held.contains(&group) {
            store.release(group)?;
        }
    }
    for conflict in &mut report.conflicts {
        conflict.kept = hands.before.get(&conflict.path).and_then(|b| b.as_ref()?.digest());
    }
    for (path, time) in &plan.dirs {
        exact::set_dir_mtime(path, *time)?;
    }
    Ok(report)
}

/// Every content is there and whole, and there is room for it, before anything is changed.
fn check_contents(targets: &[Target], store: &Store) -> Result<()> {
    let mut needed = 0;
    for target in targets {
        let Some(want) = target.want.as_ref() else { continue };
        let Some(digest) = want.digest() else { continue };
        let now =
            Place::recorded(&target.path)?.map(|place| look_beside(&place, Some(want), store)).transpose()?;
        if now.flatten().is_some_and(|(now, _)| now.digest() == Some(digest)) {
            continue;
        }
        store.verify(digest)?;
        needed += want.size();
        if let Some(dir) = target.path.ancestors().find(|dir| dir.is_dir()) {
            crate::space::need(dir, needed)?;
        }
    }
    Ok(())
}

impl Recorder {
    /// Bring paths to these states (`None`: nothing shall be there), exactly, as a change of this run; then give these
    /// directories their times. Nothing is changed unless every content is in the store. Returns what had to be changed.
    pub fn bring(
        &mut self,
        wanted: Vec<(PathBuf, Option<PathState>)>,
        dirs: &[(PathBuf, Time)],
    ) -> Result<Vec<PathBuf>> {
        let store = Store::new(&self.dir);
        let target = |(order, (path, want))| Target { want, order, ..Target::gone(path) };
        let mut targets: Vec<Target> = wanted.into_iter().enumerate().map(target).collect();
        restore::sort(&mut targets);
        // A directory with something in it that nobody asked about stays.
        let foreign = restore::foreign(&targets)?;
        targets.retain(|t| !foreign.iter().any(|path| path.starts_with(&t.path)));
        check_contents(&targets, &store)?;
        let id = self.open()?.journal.id().to_owned();
        for (path, _) in dirs {
            self.guard_dir(path)?;
        }
        self.secure()?;
        let mut hands = Undoing { recorder: self, id, before: HashMap::new() };
        let done = restore::bring(&targets, &store, &mut hands)?;
        for (path, time) in dirs {
            exact::set_dir_mtime(path, *time)?;
        }
        Ok(done)
    }
}

struct Undoing<'a> {
    recorder: &'a mut Recorder,
    id: String,
    before: HashMap<PathBuf, Option<PathState>>,
}

impl Hands for Undoing<'_> {
    fn announce(&mut self, place: &Place, keep: Keep, peers: &[PathBuf]) -> Result<()> {
        let (state, _) = self.recorder.announce(place, keep, peers)?;
        self.before.entry(place.path().to_owned()).or_insert(state);
        Ok(())
    }
    fn announce_absent(&mut self, path: &Path) -> Result<()> {
        self.before.entry(path.to_owned()).or_insert(None);
        self.recorder.note_absent(path)
    }
    /// Announced as a change of its content.
    fn separate(&mut self, _: &Place, _: &Store) -> Result<()> {
        Ok(())
    }
    fn secure(&mut self) -> Result<()> {
        self.recorder.secure()
    }
    fn id(&self) -> &str {
        &self.id
    }
    fn may_write_over(&self) -> bool {
        false
    }
    fn changed(&mut self, path: &Path, digest: Option<Digest>) -> Result<()> {
        let before = self.before.get(path).cloned().flatten();
        self.recorder.dirty.file(path);
        let Some(place) = Place::recorded(path)? else {
            self.recorder.step(path.to_owned(), before, None);
            return Ok(());
        };
        self.recorder.dirty.dir(place.dir_path());
        self.recorder.after(&place, before, digest)
    }
    fn may_move(&mut self, _: Digest) -> bool {
        false
    }
}

/// What several layers come to, path by path.
#[derive(Default)]
struct Net {
    /// So many until now.
    steps: usize,
    paths: BTreeMap<PathBuf, Change>,
    /// How the last change through any of its names left an inode.
    inodes: HashMap<(u64, u64), PathState>,
    dirs: BTreeMap<PathBuf, DirChange>,
    irreversible: Vec<String>,
    services: BTreeMap<String, ServiceChange>,
}

struct Change {
    before: Option<PathState>,
    after: Option<PathState>,
    peers: Vec<PathBuf>,
    /// What somebody changed between two of our own changes.
    between: Vec<&'static str>,
    order: usize,
    inode: Option<Inode>,
    /// When the content before was kept, among all steps.
    kept: Option<usize>,
    generation: u64,
}

struct DirChange {
    before: Time,
    after: Time,
    /// Somebody changed names there between two of our runs.
    between: bool,
    generation: u64,
}

impl Net {
    fn add(&mut self, layer: Layer) {
        for opaque in layer.opaque {
            let text =
                if opaque.irreversible { opaque.what } else { format!("not watched: {}", opaque.what) };
            if !self.irreversible.contains(&text) {
                self.irreversible.push(text);
            }
        }
        for change in layer.services {
            match self.services.get_mut(&change.unit) {
                Some(known) => known.after = change.after,
                None => _ = self.services.insert(change.unit.clone(), change),
            }
        }
        for step in layer.steps {
            self.add_step(layer.generation, step);
        }
        for dir in layer.dirs {
            match self.dirs.get_mut(&dir.path) {
                Some(known) => {
                    known.between |= known.after != dir.before;
                    known.after = dir.after;
                }
                None => {
                    let generation = layer.generation;
                    let change =
                        DirChange { before: dir.before, after: dir.after, between: false, generation };
                    self.dirs.insert(dir.path, change);
                }
            }
        }
    }

    fn add_step(&mut self, generation: u64, step: Step) {
        self.steps += 1;
        let shared = step.before.as_ref().and_then(|before| before.group);
        let by_another_name = shared.and_then(|inode| self.inodes.get(&inode)).cloned();
        if let Some((inode, after)) = step.after.as_ref().and_then(|after| Some((after.group?, after))) {
            self.inodes.insert(inode, after.clone());
        }
        let Some(known) = self.paths.get_mut(&step.path) else {
            let Step { path, before, after, peers, inode, .. } = step;
            let kept = before.as_ref().and_then(PathState::digest).map(|_| self.steps);
            let (between, order) = (Vec::new(), self.paths.len());
            let change = Change { before, after, peers, between, order, inode, kept, generation };
            self.paths.insert(path, change);
            return;
        };
        let words = differences(known.after.as_ref(), step.before.as_ref());
        let same_content = !words.contains(&"content");
        if by_another_name.is_none_or(|left| !differences(Some(&left), step.before.as_ref()).is_empty()) {
            known.between.extend(words);
        }
        let old = step.before.as_ref().and_then(PathState::digest);
        // The changes until now left the content alone: it is the one that was kept later.
        if let Some(before) = known.before.as_mut().filter(|b| b.is_file() && b.digest().is_none())
            && same_content
        {
            before.set_digest(old);
            known.kept = old.map(|_| self.steps);
        }
        let last = known.after.as_ref().and_then(PathState::digest);
        known.after = step.after;
        // And here the last step left it alone.
        if let Some(after) = known.after.as_mut().filter(|a| a.is_file() && a.digest().is_none())
            && old.is_none()
        {
            after.set_digest(last);
        }
        // Those of the first change tell of the group that it was in then.
        if known.before.as_ref().is_none_or(|before| before.group.is_none()) {
            known.peers.extend(step.peers);
        }
    }

    fn plan(self, state_dir: &Path, undoes: Vec<u64>) -> Result<Plan> {
        let store = Store::new(state_dir);
        let mut plan = Plan {
            irreversible: self.irreversible,
            services: self.services.into_values().filter(|s| s.before != s.after || s.before).collect(),
            undoes,
            ..Plan::default()
        };
        let mut as_left: HashSet<(u64, u64)> = HashSet::new();
        let mut suspects = Vec::new();
        // Files whose content the layers left alone.
        let mut blind: HashSet<PathBuf> = HashSet::new();
        for (path, mut change) in self.paths {
            // Its time changed before anything else of it did.
            if let (Some(before), Some(dir)) = (&mut change.before, self.dirs.get(&path))
                && dir.generation < change.generation
            {
                before.mtime = dir.before;
            }
            let place = Place::recorded(&path)?;
            let look = |other: Option<&PathState>| match &place {
                Some(place) => look_beside(place, other, &store),
                None => Ok(None),
            };
            let now = look(change.after.as_ref())?;
            let inode = now.as_ref().map(|(_, ident)| ident.inode());
            let mut what = differences(change.after.as_ref(), now.as_ref().map(|(state, _)| state));
            what.extend(
                change.between.iter().filter(|word| !what.contains(word)).copied().collect::<Vec<_>>(),
            );
            if what.is_empty() {
                as_left.extend(inode);
            } else {
                let then = look(change.before.as_ref())?;
                let then = then.as_ref().map(|(state, _)| state);
                // Unless somebody has put it back already.
                if !differences(change.before.as_ref(), then).is_empty() {
                    suspects.push((Conflict { path: path.clone(), what, kept: None }, inode));
                }
            }
            if change.after.as_ref().is_some_and(|after| after.is_file() && after.digest().is_none()) {
                blind.insert(path.clone());
            }
            if change.before != change.after {
                plan.paths.push(path.clone());
            }
            let Change { before: want, peers, order, inode, kept, .. } = change;
            plan.targets.push(Target { path, want, peers, order, inode, kept });
        }
        // One that is another name of an inode that is as we left it was changed by us, through that name.
        let by_others = |inode: &Option<(u64, u64)>| inode.is_none_or(|inode| !as_left.contains(&inode));
        plan.conflicts.extend(suspects.into_iter().filter(|(_, inode)| by_others(inode)).map(|(c, _)| c));
        crate::devices::renumber(&mut plan.targets, &store)?;
        restore::agree(&mut plan.targets);
        for target in plan.targets.iter().filter(|target| blind.contains(&target.path)) {
            let Some(want) = target.want.as_ref().filter(|want| want.digest().is_some()) else { continue };
            let Some(place) = Place::recorded(&target.path)? else { continue };
            let now = look_beside(&place, Some(want), &store)?;
            let differs =
                now.is_some_and(|(now, _)| differences(Some(&now), Some(want)).contains(&"content"));
            if differs && !plan.conflicts.iter().any(|conflict| conflict.path == target.path) {
                plan.conflicts.push(Conflict {
                    path: target.path.clone(),
                    what: vec!["content"],
                    kept: None,
                });
            }
        }
        for path in restore::foreign(&plan.targets)? {
            plan.conflicts.push(Conflict { path: path.clone(), what: vec!["made since"], kept: None });
            plan.in_the_way.push(Target::gone(path));
        }
        let explicit: HashSet<&Path> = plan.targets.iter().map(|target| target.path.as_path()).collect();
        for (path, change) in self.dirs {
            if !explicit.contains(path.as_path())
                && !change.between
                && state::dir_time(&path) == Some(change.after)
            {
                plan.dirs.push((path, change.before));
            }
        }
        Ok(plan)
    }
}
