//! Drift put back, or accepted: both make a layer, so both can be undone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use catalog::Map;
use drift::look::{self, First, Seen};
use drift::manifest::Manifest;
use drift::{Finding, declared, places};
use layer::store::Store;
use layer::{Cause, Kind, PathState, Time};
use serde_json::json;

use super::debs;
use crate::module::{Failure, Task};

mod accounts;
mod objects;

/// What of the drift is meant; nothing named: all that alarms.
pub(crate) struct Chosen<'a> {
    pub(crate) paths: &'a [String],
    pub(crate) objects: &'a [String],
    pub(crate) reason: &'a str,
}

/// What was done, and what could not be.
#[derive(Default)]
pub(crate) struct Done {
    paths: Vec<String>,
    objects: Vec<String>,
    failed: Vec<String>,
}

impl Chosen<'_> {
    /// `old`: also what was so before the first look, without being named.
    fn findings<'s>(&self, seen: &'s Seen, old: bool) -> Vec<&'s Finding> {
        let any = self.paths.is_empty() && self.objects.is_empty();
        let meant = |finding: &&Finding| match (&finding.path, &finding.object) {
            (Some(_), _) => self.paths.iter().any(|top| finding.real_path.starts_with(top)),
            (None, Some(object)) => self.objects.contains(object),
            _ => false,
        };
        seen.findings
            .iter()
            .filter(|f| if any { f.alarms() && (old || !f.from_before) } else { meant(f) })
            .collect()
    }

    /// What was named and is no drift.
    fn unknown(&self, findings: &[&Finding]) -> Vec<String> {
        let path = |name: &&String| {
            !findings.iter().any(|f| f.path.is_some() && f.real_path.starts_with(name.as_str()))
        };
        let object = |name: &&String| !findings.iter().any(|f| f.object.as_ref() == Some(name));
        let mut all: Vec<String> = self.paths.iter().filter(path).cloned().collect();
        all.extend(self.objects.iter().filter(object).cloned());
        all
    }
}

impl Done {
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.objects.is_empty()
    }

    pub(crate) fn told(self) -> Map {
        let mut told = Map::new();
        told.insert("done_paths".to_owned(), json!(self.paths));
        told.insert("done_objects".to_owned(), json!(self.objects));
        told.insert("failed_to".to_owned(), json!(self.failed));
        told
    }
}

/// Put back what is otherwise than our layers left it, or than it was at the first look.
pub(crate) fn fix(task: &mut Task<'_>, seen: &Seen, chosen: &Chosen<'_>) -> Result<Done, Failure> {
    // What was so before the first look is put back only if it is named: nobody knows that it was ever otherwise.
    let findings = chosen.findings(seen, false);
    let mut done = Done { failed: not_drift(chosen, &findings), ..Done::default() };
    let state_dir = task.recorder.state_dir().to_owned();
    let mut wanted = Wanted::new(&state_dir)?;
    for finding in findings.iter().filter(|f| f.path.is_some()) {
        wanted.add(finding);
    }
    wanted.take_from_packages(task, &mut done.failed)?;
    if task.check {
        done.paths = wanted.states.keys().map(|path| path.to_string_lossy().into_owned()).collect();
        done.objects = findings.iter().filter_map(|f| f.object.clone()).collect();
        return Ok(done);
    }
    task.recorder.begin(Cause { task: "drift put back".to_owned(), ..Cause::default() });
    // A package brings files; those that were otherwise by right are put back after it.
    objects::packages(task, &findings, &mut done)?;
    let dirs = wanted.dirs();
    let kept = accounts::kept(seen, wanted.states.keys())?;
    let (states, secret): (Vec<_>, Vec<_>) =
        wanted.states.into_iter().partition(|(_, state)| !is_secret(state));
    let mut restored = task.recorder.bring(states, &[])?;
    if !secret.is_empty() {
        task.recorder.secret(true);
        let brought = task.recorder.bring(secret, &[]);
        task.recorder.secret(false);
        restored.extend(brought?);
    }
    accounts::add(task, seen, &kept)?;
    task.recorder.bring(Vec::new(), &dirs)?;
    objects::put_back(task, &findings, &restored, &mut done)?;
    done.paths = restored.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    Ok(done)
}

fn is_secret(state: &Option<PathState>) -> bool {
    state.as_ref().is_some_and(|state| state.secret)
}

fn not_drift(chosen: &Chosen<'_>, findings: &[&Finding]) -> Vec<String> {
    chosen.unknown(findings).into_iter().map(|name| format!("{name}: it has not drifted")).collect()
}

/// The states that paths shall come to.
struct Wanted {
    state_dir: PathBuf,
    layers: declared::Layers,
    baseline: Option<Manifest>,
    first: First,
    states: BTreeMap<PathBuf, Option<PathState>>,
    /// By package: paths whose content only the package has.
    packages: BTreeMap<String, Vec<PathBuf>>,
    failed: Vec<String>,
}

impl Wanted {
    fn new(state_dir: &Path) -> Result<Self, Failure> {
        let baseline = Manifest::open(&look::folder(state_dir).join("baseline"));
        Ok(Self {
            layers: declared::load(state_dir)?,
            baseline: baseline.map_err(|e| format!("the record of the first look: {e}"))?,
            first: look::first(state_dir),
            state_dir: state_dir.to_owned(),
            states: BTreeMap::new(),
            packages: BTreeMap::new(),
            failed: Vec::new(),
        })
    }

    fn add(&mut self, finding: &Finding) {
        let path = finding.real_path.clone();
        let before = match self.layers.paths.get(&path) {
            Some(declared) => declared.state.clone(),
            None if finding.from_before && finding.kind == "added" => None,
            None if finding.from_before => {
                self.ask_package(finding);
                return;
            }
            None => self.at_first(&path),
        };
        let store = Store::new(&self.state_dir);
        let has = |state: &PathState| match state.digest() {
            Some(digest) => store.has(digest) || unchanged(&path, digest),
            None => !finding.what.iter().any(|word| word == "content") && finding.kind != "removed",
        };
        if before.as_ref().is_none_or(|state| !state.is_file() || has(state)) {
            self.states.insert(path, before);
        } else {
            self.states.insert(path, before);
            self.ask_package(finding);
        }
    }

    fn at_first(&self, path: &Path) -> Option<PathState> {
        use std::os::unix::ffi::OsStrExt;
        if let Some(state) = self.first.secrets.get(path) {
            return Some(state.clone());
        }
        let entry = self.baseline.as_ref()?.entry(path.as_os_str().as_bytes())?;
        Some(entry.state())
    }

    /// Nobody but its package has the content.
    fn ask_package(&mut self, finding: &Finding) {
        let path = finding.real_path.clone();
        match &finding.package {
            Some(package) => self.packages.entry(package.clone()).or_default().push(path),
            None => {
                self.states.remove(&path);
                self.failed
                    .push(format!("{}: its content was not kept, and no package has it", path.display()));
            }
        }
    }

    /// Contents out of the packages themselves.
    fn take_from_packages(&mut self, task: &Task<'_>, failed: &mut Vec<String>) -> Result<(), Failure> {
        let store = Store::new(&self.state_dir);
        for (package, paths) in std::mem::take(&mut self.packages) {
            let mut missing: HashSet<&PathBuf> = paths.iter().collect();
            match debs::contents(task, &package, &paths, &store) {
                Ok(found) => {
                    for (path, from_package) in found {
                        let known = self.states.get(&path).cloned().flatten();
                        let state = match known {
                            Some(known) if known.is_file() == from_package.is_file() => {
                                PathState { kind: from_package.kind, ..known }
                            }
                            _ => from_package,
                        };
                        missing.remove(&path);
                        self.states.insert(path, Some(state));
                    }
                    for path in missing {
                        self.states.remove(path);
                        failed.push(format!("{}: the package {package} does not have it", path.display()));
                    }
                }
                Err(reason) => {
                    for path in &paths {
                        self.states.remove(path);
                    }
                    let shown = paths.first().map(|p| p.display().to_string()).unwrap_or_default();
                    failed.push(format!("{shown} and all else of package {package}: {reason}"));
                }
            }
        }
        failed.append(&mut self.failed);
        Ok(())
    }

    /// The times of the directories that hold them, as they were at the first look.
    fn dirs(&self) -> Vec<(PathBuf, Time)> {
        let parents: BTreeSet<&Path> = self.states.keys().filter_map(|path| path.parent()).collect();
        let known = parents.into_iter().filter(|dir| self.states.get(*dir).is_none_or(Option::is_some));
        let time = |dir: &Path| match self.layers.paths.get(dir) {
            Some(declared) => declared.state.as_ref().map(|state| state.mtime),
            None => self.at_first(dir).map(|state| state.mtime),
        };
        // Deepest first: a change below does not touch them again.
        let mut all: Vec<(PathBuf, Time)> =
            known.filter_map(|dir| Some((dir.to_owned(), time(dir)?))).collect();
        all.reverse();
        all
    }
}

fn unchanged(path: &Path, digest: layer::Digest) -> bool {
    layer::observe(path).ok().flatten().and_then(|state| state.digest()) == Some(digest)
}

/// Give drift a cause and a person: it is as it shall be from now on.
pub(crate) fn accept(task: &mut Task<'_>, seen: &Seen, chosen: &Chosen<'_>) -> Result<Done, Failure> {
    if chosen.reason.trim().is_empty() {
        return Err("drift is accepted with a reason (--reason)".into());
    }
    let findings = chosen.findings(seen, true);
    let mut done = Done { failed: not_drift(chosen, &findings), ..Done::default() };
    let state_dir = task.recorder.state_dir().to_owned();
    let wanted = Wanted::new(&state_dir)?;
    let store = Store::new(&state_dir);
    let mut causes: HashMap<bool, Cause> = HashMap::new();
    for private in [false, true] {
        let task = format!("{}: {}", declared::ACCEPTED, chosen.reason.trim());
        causes.insert(private, Cause { task, no_log: private, ..Cause::default() });
    }
    for finding in findings {
        if task.check {
            done.paths.push(finding.name().to_owned());
            continue;
        }
        if let Some(object) = finding.object.as_deref() {
            task.recorder.begin(causes[&false].clone());
            task.recorder.irreversible(declared::accept_object(object, finding.is.as_deref()))?;
            done.objects.push(object.to_owned());
            continue;
        }
        use std::os::unix::ffi::OsStrExt;
        let path = &finding.real_path;
        let private = places::is_private(path.as_os_str().as_bytes());
        task.recorder.begin(causes[&private].clone());
        let before = match wanted.layers.paths.get(path) {
            Some(declared) => declared.state.clone(),
            // Nobody knows what it was: an undo leaves it as it is.
            None if finding.from_before => layer::observe(path)?.map(without_content),
            None => wanted.at_first(path),
        };
        // Only a content that the store has can be put back.
        let before = before.map(|state| match state.digest() {
            Some(digest) if store.has(digest) || unchanged(path, digest) => state,
            _ => without_content(state),
        });
        task.recorder.noticed(path, before.map(|state| (state, None)))?;
        done.paths.push(path.to_string_lossy().into_owned());
    }
    Ok(done)
}

fn without_content(state: PathState) -> PathState {
    match state.kind {
        Kind::File { size, .. } => PathState { kind: Kind::File { digest: None, size }, ..state },
        _ => state,
    }
}
