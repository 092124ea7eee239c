//! What our layers left behind: for each path the newest state that a layer gave it, and in whose words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use layer::{Cause, Layer, PathState, history};

use crate::left::{self, Left, Trace};

/// The beginning of the cause of an acceptance.
pub const ACCEPTED: &str = "accepted drift";

/// What a path shall be like.
#[derive(Clone, Debug)]
pub struct Declared {
    /// `None`: it shall not be there.
    pub state: Option<PathState>,
    pub generation: u64,
    pub cause: String,
    pub no_log: bool,
}

/// The sum of a host's layers.
#[derive(Default)]
pub struct Layers {
    pub paths: BTreeMap<PathBuf, Declared>,
    /// `nginx.service` and whether it shall run, since which generation.
    pub services: BTreeMap<String, (bool, u64)>,
    /// Packages that came with a task of ours: name, then the task's words and generation.
    pub packages: BTreeMap<String, (String, u64)>,
    /// Objects whose value somebody accepted.
    pub accepted: BTreeMap<String, (Option<String>, String)>,
    /// What [`Layers::objects`] is read from.
    traces: Vec<Trace>,
    pub head: u64,
}

/// All layers, oldest first.
pub fn load(state_dir: &Path) -> layer::Result<Layers> {
    let mut sum = Layers { head: history::head(state_dir)?, ..Layers::default() };
    let generations = history::generations(state_dir)?;
    let mut undone: BTreeSet<u64> = BTreeSet::new();
    for generation in &generations {
        undone.extend(history::summary(state_dir, *generation)?.layer.undoes);
    }
    // One at a time: there may be many.
    for generation in generations {
        sum.add(history::read(state_dir, generation)?, undone.contains(&generation));
    }
    Ok(sum)
}

impl Layers {
    /// Accounts, keys, cron entries, settings and mounts as our layers left them.
    pub fn objects(&self, state_dir: &Path) -> BTreeMap<String, Left> {
        left::objects(state_dir, &self.traces)
    }

    fn add(&mut self, layer: Layer, undone: bool) {
        let generation = layer.generation;
        for opaque in layer.opaque.iter().filter(|_| !undone) {
            if let Some((object, value)) = accepted_object(&opaque.what) {
                let words = layer.causes.get(opaque.cause).map(|c| c.task.clone()).unwrap_or_default();
                self.accepted.insert(object.to_owned(), (value, words));
            }
        }
        let traces = left::traces(&layer, &|cause| {
            layer.causes.get(cause).map(|cause| words(cause, &layer.undoes, generation)).unwrap_or_default()
        });
        // What was done to the kernel cannot be undone, but nobody wants it so any more.
        self.traces.extend(traces.into_iter().filter(|trace| !undone || trace.is_of_file()));
        for service in &layer.services {
            self.services.insert(service.unit.clone(), (service.after, generation));
        }
        for step in layer.steps.into_iter().filter(layer::Step::changes) {
            let cause = layer.causes.get(step.cause).cloned().unwrap_or_default();
            let words = words(&cause, &layer.undoes, generation);
            self.note_package(&step.path, step.after.is_some(), &words, generation);
            let mut state = step.after;
            // A change of mode alone did not read the content: it is the one that was known before.
            if let (Some(new), Some(old)) = (&mut state, self.paths.get(&step.path))
                && new.is_file()
                && new.digest().is_none()
                && let Some(known) = &old.state
                && known.is_file()
            {
                new.kind = known.kind.clone();
            }
            let declared = Declared { state, generation, cause: words, no_log: cause.no_log };
            self.paths.insert(step.path, declared);
        }
    }

    fn note_package(&mut self, path: &Path, there: bool, words: &str, generation: u64) {
        let Ok(name) = path.strip_prefix("/var/lib/dpkg/info") else { return };
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".list")) else { return };
        let name = name.split(':').next().unwrap_or(name);
        if there {
            self.packages.insert(name.to_owned(), (words.to_owned(), generation));
        } else {
            self.packages.remove(name);
        }
    }
}

/// `web: install nginx (site.yml:7)`
fn words(cause: &Cause, undoes: &[u64], generation: u64) -> String {
    if !undoes.is_empty() || cause.task.starts_with(ACCEPTED) {
        return format!("{} (generation {generation})", cause.task);
    }
    let role = if cause.role.is_empty() { String::new() } else { format!("{} : ", cause.role) };
    let place = if cause.place.is_empty() { String::new() } else { format!(", {}", cause.place) };
    let item = if cause.item.is_empty() { String::new() } else { format!(" ({})", cause.item) };
    format!("{role}{}{item} (generation {generation}{place})", cause.task)
}

/// How an accepted object stands in a layer.
pub fn accept_object(object: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{ACCEPTED}: {object} = {value}"),
        None => format!("{ACCEPTED}: {object} is gone"),
    }
}

fn accepted_object(what: &str) -> Option<(&str, Option<String>)> {
    let rest = what.strip_prefix(ACCEPTED)?.strip_prefix(": ")?;
    match rest.split_once(" = ") {
        Some((object, value)) => Some((object, Some(value.to_owned()))),
        None => Some((rest.strip_suffix(" is gone")?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_objects_are_read_back() {
        assert_eq!(
            accepted_object(&accept_object("user:ann", Some("uid 5 = x"))),
            Some(("user:ann", Some("uid 5 = x".to_owned())))
        );
        assert_eq!(accepted_object(&accept_object("module:nfs", None)), Some(("module:nfs", None)));
        assert_eq!(accepted_object("it is gone"), None);
    }
}
