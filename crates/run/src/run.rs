//! What all hosts and plays of one run share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use catalog::{Json, Map};
use expressions::{Engine, Error, PendingWhat, Value};
use link::{CallEnd, CallHandle, Link, LinkError, Sealed};
use parking_lot::Mutex;
use playbook::ir::{Task, Vars};
use playbook::load::Project;
use playbook::vars::{Scope, Variables};
use playbook::vault::Vault;
use tokio::sync::{Notify, Semaphore};

use crate::actions::Effect;
use crate::connections::{Connections, Reader, Way};
use crate::contents::Contents;
use crate::event::{Counters, Event, Recap, Sink, Status};
use crate::foreign::Foreign;
use crate::mentions::Mentions;
use crate::outside::Progress;
use crate::play::PlayRun;
use crate::settings::Settings;
use crate::walker::Walker;

/// Asks the person at the terminal; `None`: nobody is there. The flag: whether what is typed is shown.
pub type Asker =
    Arc<dyn Fn(String, bool) -> Pin<Box<dyn Future<Output = Option<String>> + Send>> + Send + Sync>;

pub struct Run {
    pub(crate) settings: Settings,
    pub(crate) project: Project,
    pub(crate) engine: Arc<Engine>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) variables: Arc<Variables>,
    pub(crate) connections: Connections,
    pub(crate) blobs: Arc<Contents>,
    pub(crate) foreign: Arc<Foreign>,
    pub(crate) forks: Arc<Semaphore>,
    pub(crate) progress: Arc<Progress>,
    mentions: Mentions,
    sink: Arc<Mutex<Box<dyn Sink>>>,
    asker: Asker,
    reread: Reread,
    tickets: AtomicU64,
    epochs: AtomicU32,
    state: Mutex<State>,
    interrupted: AtomicBool,
    interrupt: Notify,
}

#[derive(Default)]
struct State {
    counters: BTreeMap<String, Counters>,
    failed: HashSet<String>,
    unreachable: HashSet<String>,
    started: HashSet<String>,
    stats: BTreeMap<String, Map>,
    lost: BTreeMap<String, Vec<String>>,
    steps: HashMap<Vec<u32>, bool>,
    continue_all: bool,
    said: HashSet<String>,
    mistake: Option<playbook::Diagnostic>,
    /// What tasks added to the inventory.
    added: Vec<(String, Effect)>,
}

/// What [`Run::new`] is made of.
pub struct Parts {
    pub settings: Settings,
    pub project: Project,
    pub variables: Arc<Variables>,
    pub vault: Arc<Vault>,
    pub progress: Arc<Progress>,
    pub info: link::RunInfo,
    pub notices: Arc<dyn link::Notices>,
    pub sink: Arc<Mutex<Box<dyn Sink>>>,
    pub asker: Asker,
    pub reread: Reread,
}

/// Reads the inventory anew, for `meta: refresh_inventory`.
pub type Reread = Box<dyn Fn() -> Result<playbook::inventory::Inventory, String> + Send + Sync>;

impl Run {
    pub fn new(parts: Parts) -> Arc<Self> {
        let forks = Arc::new(Semaphore::new(parts.settings.forks.max(1)));
        let blobs: Arc<Contents> = Arc::default();
        let foreign = Arc::new(Foreign::new(parts.project.plugins().clone(), blobs.clone()));
        Arc::new(Self {
            engine: parts.variables.engine().clone(),
            connections: Connections::new(parts.info, parts.notices),
            settings: parts.settings,
            project: parts.project,
            vault: parts.vault,
            variables: parts.variables,
            blobs,
            foreign,
            forks,
            progress: parts.progress,
            mentions: Mentions::default(),
            sink: parts.sink,
            asker: parts.asker,
            reread: parts.reread,
            tickets: AtomicU64::new(1),
            epochs: AtomicU32::new(1),
            state: Mutex::default(),
            interrupted: AtomicBool::new(false),
            interrupt: Notify::new(),
        })
    }

    pub(crate) fn emit(&self, event: &Event) {
        self.sink.lock().event(event);
    }

    pub(crate) fn sink(self: &Arc<Self>) -> Box<dyn Fn(&Event) + Send + Sync> {
        let sink = self.sink.clone();
        Box::new(move |event| sink.lock().event(event))
    }

    /// The same words are said once.
    pub(crate) fn warn(&self, text: String) {
        if self.state.lock().said.insert(text.clone()) {
            self.emit(&Event::Warning(text));
        }
    }

    /// The same, for what is no fault.
    pub(crate) fn note(&self, text: String) {
        if self.state.lock().said.insert(text.clone()) {
            self.emit(&Event::Notice(text));
        }
    }

    pub(crate) fn now(&self, host: &Arc<str>, doing: &str) {
        self.emit(&Event::Now { host: host.clone(), doing: doing.to_owned() });
    }

    pub(crate) fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn asker(&self) -> Asker {
        self.asker.clone()
    }

    // What tasks see and leave.

    pub(crate) fn scope(&self, play: &PlayRun, task: &Arc<Task>, host: &Arc<str>, extras: Vars) -> Scope {
        Scope::new(&self.variables, &play.vars, Some(task), Some(host), extras)
    }

    pub(crate) fn way(
        &self,
        walker: &Walker,
        task: &Task,
        scope: &Scope,
        delegate: Option<&str>,
    ) -> Result<Way, Error> {
        let delegated = delegate.is_some_and(|d| *d != *walker.host);
        let host = delegate.unwrap_or(&walker.host);
        let other = delegated.then(|| scope.of_host(Arc::from(host)));
        let scope = other.as_ref().unwrap_or(scope);
        Reader { scope, keywords: &task.keywords, reach: &self.settings.reach, host, delegated }.way()
    }

    /// Facts that a module returned. Those of `setup` and its kin are facts; what other modules return under
    /// `ansible_facts` counts as facts too.
    pub(crate) fn take_facts(&self, host: &str, facts: &Map, _module: &str) {
        let facts = facts.iter().map(|(name, value)| (Arc::from(name.as_str()), Value::from_json(value)));
        self.variables.set_facts(host, facts);
    }

    pub(crate) fn effect(&self, host: &str, effect: &Effect) {
        match effect {
            Effect::SetFact { facts, cacheable } => {
                for (name, value) in facts {
                    self.variables.set_fact(host, name.as_str(), value.clone(), *cacheable);
                }
            }
            Effect::IncludeVars(vars) => self.variables.include_vars(host, vars.clone()),
            Effect::AddHost { name, groups, vars } => {
                self.state.lock().added.push((host.to_owned(), effect.clone()));
                let vars = vars.iter().cloned().collect();
                self.variables.change_inventory(|inventory| inventory.add_host(name, groups, vars));
            }
            Effect::GroupBy { group, parents } => {
                self.state.lock().added.push((host.to_owned(), effect.clone()));
                let added =
                    self.variables.change_inventory(|inventory| inventory.add_to_group(host, group, parents));
                if let Err(problem) = added {
                    self.warn(problem.message);
                }
            }
            Effect::SetStats { data, per_host, aggregate } => {
                self.set_stats(host, data, *per_host, *aggregate)
            }
        }
    }

    fn set_stats(&self, host: &str, data: &Map, per_host: bool, aggregate: bool) {
        let key = if per_host { host } else { "_run" };
        let mut state = self.state.lock();
        let stats = state.stats.entry(key.to_owned()).or_default();
        for (name, value) in data {
            match stats.get_mut(name) {
                Some(old) if aggregate => add(old, value),
                _ => _ = stats.insert(name.clone(), value.clone()),
            }
        }
    }

    pub(crate) fn mentions_other_hosts(&self, task: &Task) -> bool {
        self.mentions.other_hosts(&self.engine, task)
    }

    /// From here on this host may read that one's variables at this step.
    pub(crate) fn may_read(&self, host: &str, other: &str, _at: &[u32]) {
        self.progress.allow(host, other);
    }

    // Hosts and their numbers.

    pub(crate) fn count(&self, host: &str, status: Status, changed: bool, ignore_unreachable: bool) {
        let mut state = self.state.lock();
        let c = state.counters.entry(host.to_owned()).or_default();
        match status {
            Status::Ok => c.ok += 1,
            Status::Changed => {
                c.ok += 1;
                c.changed += 1;
            }
            Status::Skipped => c.skipped += 1,
            Status::Failed => c.failed += 1,
            Status::Rescued => c.rescued += 1,
            Status::Ignored => {
                c.ok += 1;
                c.ignored += 1;
                c.changed += u32::from(changed);
            }
            Status::Unreachable => {
                // Like a failure that is ignored; the host goes on.
                if ignore_unreachable {
                    c.ok += 1;
                    c.ignored += 1;
                    return;
                }
                c.unreachable += 1;
                state.unreachable.insert(host.to_owned());
            }
        }
        if status == Status::Failed {
            state.failed.insert(host.to_owned());
        }
    }

    pub(crate) fn mark_failed(&self, host: &str) {
        self.state.lock().failed.insert(host.to_owned());
    }

    pub(crate) fn is_out(&self, host: &str) -> bool {
        let state = self.state.lock();
        state.failed.contains(host) || state.unreachable.contains(host)
    }

    pub(crate) fn clear_host_errors(&self, hosts: &[Arc<str>]) {
        let mut state = self.state.lock();
        for host in hosts {
            state.failed.remove(&**host);
            state.unreachable.remove(&**host);
            self.connections.forget_failed(host);
        }
    }

    /// No two walkers share an epoch: hosts of several names may be one machine.
    pub(crate) fn next_epoch(&self) -> u32 {
        self.epochs.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn lost_handlers(&self, host: &str, names: Vec<String>) {
        if !names.is_empty() {
            self.state.lock().lost.entry(host.to_owned()).or_default().extend(names);
        }
    }

    pub(crate) fn start_reached(&self, host: &str) -> bool {
        self.state.lock().started.contains(host)
    }

    pub(crate) fn mark_started(&self, host: &str) {
        self.state.lock().started.insert(host.to_owned());
    }

    /// Whether `--start-at-task` was found anywhere.
    pub fn start_found(&self) -> bool {
        self.settings.start_at.is_none() || !self.state.lock().started.is_empty()
    }

    /// Reads the inventory anew; hosts and groups that tasks added stay.
    pub(crate) fn refresh_inventory(&self) -> Result<(), String> {
        let fresh = (self.reread)()?;
        self.variables.change_inventory(|inventory| *inventory = fresh);
        let added = std::mem::take(&mut self.state.lock().added);
        for (host, effect) in added {
            // A host that is gone is in no group.
            let stays = matches!(effect, Effect::AddHost { .. })
                || self.variables.inventory().host(&host).is_some_and(|host| !host.implicit);
            if stays {
                self.effect(&host, &effect);
            }
        }
        Ok(())
    }

    /// `--step`: one question for all hosts.
    pub(crate) async fn ask_step(&self, _host: &str, path: &[u32], name: &str) -> bool {
        {
            let state = self.state.lock();
            if state.continue_all {
                return true;
            }
            if let Some(answer) = state.steps.get(path) {
                return *answer;
            }
        }
        let answer = (self.asker)(format!("Perform task: {name} (N)o/(y)es/(c)ontinue: "), true)
            .await
            .unwrap_or_default();
        let answer = answer.trim().to_lowercase();
        let mut state = self.state.lock();
        state.continue_all = answer.starts_with('c');
        let yes = state.continue_all || answer.starts_with('y');
        state.steps.insert(path.to_vec(), yes);
        yes
    }

    // The end.

    /// A mistake that ends the run for all hosts.
    pub(crate) fn give_up(&self, mistake: playbook::Diagnostic) {
        self.state.lock().mistake.get_or_insert(mistake);
    }

    pub(crate) fn mistake(&self) -> Option<playbook::Diagnostic> {
        self.state.lock().mistake.clone()
    }

    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        self.interrupt.notify_waiters();
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// A call's end; Ctrl-C stops the call's processes on the host.
    pub(crate) async fn await_call(
        &self,
        handle: CallHandle,
        link: Option<&Link>,
    ) -> Result<CallEnd, LinkError> {
        let id = handle.id;
        tokio::pin!(handle);
        let interrupt = self.interrupt.notified();
        tokio::pin!(interrupt);
        interrupt.as_mut().enable();
        if !self.interrupted() {
            tokio::select! {
                end = &mut handle => return end,
                () = &mut interrupt => {}
            }
        }
        if let Some(link) = link {
            link.cancel(id);
        }
        match tokio::time::timeout(std::time::Duration::from_secs(5), handle).await {
            Ok(end) => end,
            Err(_) => Err(LinkError::Lost { reason: "interrupted".to_owned() }),
        }
    }

    /// Close all connections and put the numbers together.
    pub(crate) async fn finish(&self) -> Recap {
        let failed: HashSet<String> = {
            let state = self.state.lock();
            state.failed.union(&state.unreachable).cloned().collect()
        };
        let undo = |host: &str| self.settings.undo_on_failure && failed.contains(host);
        let sealed = self.connections.close_all(&|host| failed.contains(host), &undo).await;
        let mut recap = Recap::default();
        for (host, end) in sealed {
            match end {
                Ok(sealed) => self.note_end(host, sealed, &mut recap).await,
                Err(error) if !failed.contains(&host) => self.note_open_end(&host, &error),
                Err(_) => {}
            }
        }
        let state = self.state.lock();
        Recap {
            hosts: state.counters.clone(),
            lost_handlers: state.lost.clone(),
            custom: state.stats.clone(),
            interrupted: self.interrupted(),
            ..recap
        }
    }

    /// The host counts the run as one that never ended: what it changed does not last.
    fn note_open_end(&self, host: &str, error: &LinkError) {
        let changed = !self.settings.check
            && self.state.lock().counters.get(host).is_some_and(|counted| counted.changed > 0);
        let then = match changed {
            true => format!(
                "; unless it was, the next contact (`theseus recover {host}`) puts back what this run changed"
            ),
            false => String::new(),
        };
        self.warn(format!("{host}: the record of this run could not be closed: {error}{then}"));
        if changed {
            self.count(host, Status::Unreachable, false, false);
        }
    }

    async fn note_end(&self, host: String, sealed: Sealed, recap: &mut Recap) {
        if let Some(generation) = sealed.generation {
            recap.generations.insert(host.clone(), generation);
        }
        if sealed.made {
            recap.made.insert(host.clone());
        }
        if sealed.guarded
            && let Err(reason) = self.connections.confirm(&host).await
        {
            self.warn(format!(
                "{host}: nobody can get in any more ({reason}); its guard puts back what this run changed"
            ));
            self.count(&host, Status::Unreachable, false, false);
        }
        if let Some(undone) = sealed.undone {
            recap.undone.insert(host, undone);
        }
    }

    pub fn counted(&self) -> crate::connections::Counted {
        self.connections.counters()
    }

    pub(crate) fn pending_facts(&self, host: &str, ticket: u64) {
        let plain = ["gather_subset", "module_setup"];
        self.variables.set_facts_pending(host, PendingWhat::Call(ticket), &plain);
    }
}

/// `aggregate`: numbers are added, lists and dicts joined, text put together.
fn add(old: &mut Json, new: &Json) {
    match (&mut *old, new) {
        (Json::Object(old), Json::Object(new)) => old.extend(new.clone()),
        (Json::Array(old), Json::Array(new)) => old.extend(new.clone()),
        (Json::String(old), Json::String(new)) => old.push_str(new),
        (Json::Number(a), Json::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => *old = a.wrapping_add(b).into(),
            _ => *old = (a.as_f64().unwrap_or_default() + b.as_f64().unwrap_or_default()).into(),
        },
        _ => *old = new.clone(),
    }
}
