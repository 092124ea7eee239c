//! The course of several hosts through one play: who is where, who waits for whom, and in which order
//! people see what happened.
//!
//! Hosts run ahead of each other. Each has a frontier: everything before it is settled. What is shown is put
//! in the order of the play: the earliest step that some host has not passed is shown live, later ones wait.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::event::{Event, Step};

/// A place in the play, ordered as the play is.
pub(crate) type Path = Vec<u32>;

/// What one run of a `run_once` task left for the other hosts.
pub(crate) type Published<T> = Option<Arc<T>>;

pub(crate) struct Course<T> {
    state: Mutex<State<T>>,
    moved: Notify,
    sink: Box<dyn Fn(&Event) + Send + Sync>,
    /// Show what happens when it happens (`strategy: free`).
    free: bool,
}

struct State<T> {
    hosts: Vec<Arc<str>>,
    /// `None`: this host has ended.
    frontier: HashMap<Arc<str>, Option<Path>>,
    steps: BTreeMap<Path, Waiting>,
    once: HashMap<Path, Arc<T>>,
    /// Who does a `run_once` step.
    claims: HashMap<Path, Arc<str>>,
    failed: HashSet<Arc<str>>,
    stop: Option<Path>,
    sent: HashSet<(String, Path)>,
    gates: HashMap<Path, Arc<Semaphore>>,
    /// Steps after which every host goes to its rescue, because one failed there.
    pulled: HashSet<Path>,
}

#[derive(Default)]
struct Waiting {
    step: Option<Arc<Step>>,
    announced: bool,
    events: Vec<(usize, Event)>,
}

impl<T> Course<T> {
    pub(crate) fn new(hosts: &[Arc<str>], free: bool, sink: Box<dyn Fn(&Event) + Send + Sync>) -> Self {
        let frontier = hosts.iter().map(|h| (h.clone(), Some(Path::new()))).collect();
        let state = State {
            hosts: hosts.to_vec(),
            frontier,
            steps: BTreeMap::new(),
            once: HashMap::new(),
            claims: HashMap::new(),
            failed: HashSet::new(),
            stop: None,
            sent: HashSet::new(),
            gates: HashMap::new(),
            pulled: HashSet::new(),
        };
        Self { state: Mutex::new(state), moved: Notify::new(), sink, free }
    }

    /// This host has come to a step.
    pub(crate) fn announce(&self, path: &[u32], step: &Arc<Step>) {
        let mut state = self.state.lock();
        state.steps.entry(path.to_vec()).or_default().step.get_or_insert_with(|| step.clone());
        self.show(&mut state);
    }

    /// Something happened at a step.
    pub(crate) fn report(&self, host: &str, path: &[u32], event: Event) {
        let mut state = self.state.lock();
        let rank = state.hosts.iter().position(|h| **h == *host).unwrap_or(usize::MAX);
        state.steps.entry(path.to_vec()).or_default().events.push((rank, event));
        self.show(&mut state);
    }

    /// Everything before `path` is settled on this host.
    pub(crate) fn advance(&self, host: &str, path: &[u32]) {
        let mut state = self.state.lock();
        if let Some(Some(at)) = state.frontier.get_mut(host)
            && at.as_slice() < path
        {
            *at = path.to_vec();
            self.show(&mut state);
            drop(state);
            self.moved.notify_waiters();
        }
    }

    /// This host goes no further in this play.
    pub(crate) fn finish(&self, host: &str, failed: bool) {
        let mut state = self.state.lock();
        if let Some(at) = state.frontier.get_mut(host) {
            *at = None;
        }
        if failed && let Some(name) = state.hosts.iter().find(|h| ***h == *host).cloned() {
            state.failed.insert(name);
        }
        self.show(&mut state);
        drop(state);
        self.moved.notify_waiters();
    }

    /// Until every other host has settled everything before `path`.
    pub(crate) async fn gather(&self, host: &str, path: &[u32]) {
        self.until(|state| state.others(host).all(|at| at.as_ref().is_none_or(|p| p.as_slice() >= path)))
            .await;
    }

    /// Until every other host has settled `path` too.
    pub(crate) async fn pass(&self, host: &str, path: &[u32]) {
        self.until(|state| state.others(host).all(|at| at.as_ref().is_none_or(|p| p.as_slice() > path)))
            .await;
    }

    /// Until that host has come at least to `path`.
    pub(crate) async fn reached(&self, host: &str, path: &[u32]) {
        self.until(|state| match state.frontier.get(host) {
            Some(Some(at)) => at.as_slice() >= path,
            _ => true,
        })
        .await;
    }

    /// After [`Course::gather`]: whether this host is the one that does a `run_once` step.
    pub(crate) fn is_first(&self, host: &str, path: &[u32]) -> bool {
        let mut state = self.state.lock();
        if state.once.contains_key(path) {
            return false;
        }
        if let Some(claimed) = state.claims.get(path) {
            return **claimed == *host;
        }
        let first = state.first_at(path);
        let mine = first.as_ref().is_none_or(|first| **first == *host);
        if mine && let Some(first) = first {
            // From now on it is decided, however far this host goes before the others look.
            state.claims.insert(path.to_vec(), first);
        }
        mine
    }

    pub(crate) fn publish(&self, path: &[u32], what: Arc<T>) {
        self.state.lock().once.insert(path.to_vec(), what);
        self.moved.notify_waiters();
    }

    /// What the first host published for this step; `None` if it will never come (that host has ended).
    pub(crate) async fn published(&self, host: &str, path: &[u32]) -> Published<T> {
        self.until(|state| {
            let doer = state.claims.get(path).cloned().or_else(|| state.first_at(path));
            let gone = doer
                .as_ref()
                .is_none_or(|doer| **doer == *host || state.frontier.get(doer).is_none_or(Option::is_none));
            state.once.contains_key(path) || gone
        })
        .await;
        self.state.lock().once.get(path).cloned()
    }

    /// No host may go beyond `path` (any_errors_fatal, max_fail_percentage, end_play).
    pub(crate) fn stop_after(&self, path: &[u32]) {
        let mut state = self.state.lock();
        if state.stop.as_ref().is_none_or(|at| at.as_slice() > path) {
            state.stop = Some(path.to_vec());
        }
        drop(state);
        self.moved.notify_waiters();
    }

    /// A host failed there, and that is to be rescued on all (any_errors_fatal).
    pub(crate) fn pull(&self, path: &[u32]) {
        self.state.lock().pulled.insert(path.to_vec());
    }

    pub(crate) fn is_pulled(&self, path: &[u32]) -> bool {
        self.state.lock().pulled.contains(path)
    }

    /// Whether the play was stopped before `path`.
    pub(crate) fn is_stopped(&self, path: &[u32]) -> bool {
        self.state.lock().stop.as_ref().is_some_and(|at| at.as_slice() < path)
    }

    /// This host has sent what it has to send at this step.
    pub(crate) fn sent(&self, host: &str, path: &[u32]) {
        self.state.lock().sent.insert((host.to_owned(), path.to_vec()));
        self.moved.notify_waiters();
    }

    /// Until every host before this one has sent its part of this step, or has passed it.
    pub(crate) async fn turn(&self, host: &str, path: &[u32]) {
        self.until(|state| {
            let before = state.hosts.iter().take_while(|h| ***h != *host);
            before.into_iter().all(|earlier| {
                let at = state.frontier.get(earlier).and_then(Option::as_ref);
                at.is_none_or(|at| at.as_slice() > path)
                    || state.sent.contains(&(earlier.to_string(), path.to_vec()))
            })
        })
        .await;
    }

    /// Lets so many hosts through at this step at once.
    pub(crate) fn gate(&self, path: &[u32], most: usize) -> Arc<Semaphore> {
        self.state.lock().gates.entry(path.to_vec()).or_insert_with(|| Arc::new(Semaphore::new(most))).clone()
    }

    /// How many hosts have failed, and of how many.
    pub(crate) fn failures(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.failed.len(), state.hosts.len())
    }

    async fn until(&self, ready: impl Fn(&State<T>) -> bool) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if ready(&self.state.lock()) {
                return;
            }
            moved.await;
        }
    }

    /// Show what is due: all of the steps that every host has passed, and the first that not all have.
    fn show(&self, state: &mut State<T>) {
        let slowest = state.frontier.values().flatten().min().cloned();
        let mut done = Vec::new();
        for (path, waiting) in &mut state.steps {
            let passed = slowest.as_ref().is_none_or(|at| path < at);
            if !passed && !self.free && !done_is_prefix(&slowest, path) {
                break;
            }
            // A step that every host has passed without a word was not done: a failure came before it.
            let silent = passed && waiting.events.is_empty();
            // A free host may be at its next step before the last one's result is there: that comes first.
            let early = self.free
                && waiting.events.is_empty()
                && !state.frontier.values().flatten().any(|at| at >= path);
            if !waiting.announced
                && !silent
                && !early
                && let Some(step) = &waiting.step
            {
                (self.sink)(&Event::Step(step.clone()));
                waiting.announced = true;
            }
            if passed && !self.free {
                waiting.events.sort_by_key(|(rank, _)| *rank);
            }
            for (_, event) in waiting.events.drain(..) {
                (self.sink)(&event);
            }
            if passed {
                done.push(path.clone());
            } else if !self.free {
                break;
            }
        }
        for path in done {
            state.steps.remove(&path);
        }
    }
}

impl<T> State<T> {
    /// The first host, in the order of the play, that stands at this step.
    fn first_at(&self, path: &[u32]) -> Option<Arc<str>> {
        self.hosts
            .iter()
            .find(|host| self.frontier.get(*host).is_some_and(|at| at.as_deref() == Some(path)))
            .cloned()
    }

    fn others<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Option<Path>> {
        self.frontier.iter().filter(move |(name, _)| ***name != *host).map(|(_, at)| at)
    }
}

/// Whether `path` is the step at which the slowest host stands.
fn done_is_prefix(slowest: &Option<Path>, path: &[u32]) -> bool {
    slowest.as_ref().is_none_or(|at| at.as_slice() >= path)
}
