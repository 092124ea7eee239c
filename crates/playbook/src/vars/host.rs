//! What a run has learned of one host: facts, results, set_fact, include_vars; with a log to take changes back.

use std::sync::Arc;

use expressions::{Error, PendingWhat, Value};
use indexmap::IndexMap;
use parking_lot::RwLock;

use super::wrap::combine;
use crate::ir::Vars;

#[derive(Default)]
pub(crate) struct HostState {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    facts: Vars,
    /// `register` and `set_fact`: the later one wins.
    results: IndexMap<Arc<str>, Slot>,
    included: Vars,
    pending: Option<PendingFacts>,
    /// `ansible_facts`, made when it is asked for.
    namespace: Option<Value>,
    /// A call that is still on its way and may change files of the controller.
    local: Option<u64>,
    log: Vec<Undo>,
    marks: usize,
}

#[derive(Clone)]
enum Slot {
    Ready(Value),
    Pending(u64),
}

#[derive(Clone)]
struct PendingFacts {
    what: PendingWhat,
    names: Vec<Arc<str>>,
}

enum Undo {
    Fact(Arc<str>, Option<Value>),
    AllFacts(Vars),
    Result(Arc<str>, Option<Slot>),
    Included(Vars),
    Pending(Option<PendingFacts>),
}

/// A point that a host's variables can go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

impl Inner {
    fn log(&mut self, undo: Undo) {
        if self.marks > 0 {
            self.log.push(undo);
        }
    }
}

impl HostState {
    /// With facts of another run.
    pub(super) fn knowing(facts: Vars) -> Self {
        Self { inner: RwLock::new(Inner { facts, ..Inner::default() }) }
    }

    pub(super) fn set_facts(&self, facts: impl IntoIterator<Item = (Arc<str>, Value)>) {
        let mut inner = self.inner.write();
        inner.namespace = None;
        for (name, value) in facts {
            let old = inner.facts.insert(name.clone(), value);
            inner.log(Undo::Fact(name, old));
        }
    }

    pub(super) fn set(&self, name: Arc<str>, value: Value) {
        self.set_slot(name, Slot::Ready(value));
    }
    pub(super) fn set_pending(&self, name: Arc<str>, call: u64) {
        self.set_slot(name, Slot::Pending(call));
    }
    fn set_slot(&self, name: Arc<str>, slot: Slot) {
        let mut inner = self.inner.write();
        let old = inner.results.insert(name.clone(), slot);
        inner.log(Undo::Result(name, old));
    }

    pub(super) fn include(&self, vars: impl IntoIterator<Item = (Arc<str>, Value)>, merge: bool) {
        let mut inner = self.inner.write();
        if inner.marks > 0 {
            let before = inner.included.clone();
            inner.log.push(Undo::Included(before));
        }
        for (name, value) in vars {
            let value = match inner.included.get(&name) {
                Some(old) if merge => combine(old, &value),
                _ => value,
            };
            inner.included.insert(name, value);
        }
    }

    pub(super) fn set_facts_pending(&self, what: PendingWhat, names: &[&str]) {
        let mut inner = self.inner.write();
        let pending = PendingFacts { what, names: names.iter().map(|name| Arc::from(*name)).collect() };
        let old = inner.pending.replace(pending);
        inner.log(Undo::Pending(old));
    }
    /// `by` a call; without one, none is on its way any more.
    pub(super) fn facts_arrived(&self, by: Option<u64>) {
        let mut inner = self.inner.write();
        let later = |pending: &PendingFacts| match (&pending.what, by) {
            (PendingWhat::Call(call), Some(by)) => *call > by,
            _ => false,
        };
        if inner.pending.as_ref().is_some_and(later) {
            return;
        }
        let old = inner.pending.take();
        inner.log(Undo::Pending(old));
    }
    pub(super) fn set_local(&self, call: Option<u64>) {
        self.inner.write().local = call;
    }
    pub(super) fn local(&self) -> Option<u64> {
        self.inner.read().local
    }
    pub(super) fn clear_facts(&self) {
        let mut inner = self.inner.write();
        inner.namespace = None;
        let old = std::mem::take(&mut inner.facts);
        inner.log(Undo::AllFacts(old));
    }

    pub(super) fn mark(&self) -> Mark {
        let mut inner = self.inner.write();
        inner.marks += 1;
        Mark(inner.log.len())
    }
    pub(super) fn release(&self, _: Mark) {
        let mut inner = self.inner.write();
        inner.marks = inner.marks.saturating_sub(1);
        if inner.marks == 0 {
            inner.log.clear();
        }
    }
    pub(super) fn rollback(&self, mark: Mark) {
        let mut inner = self.inner.write();
        while inner.log.len() > mark.0 {
            let Some(undo) = inner.log.pop() else { break };
            match undo {
                Undo::Fact(name, old) => restore(&mut inner.facts, name, old),
                Undo::Result(name, old) => restore(&mut inner.results, name, old),
                Undo::AllFacts(facts) => inner.facts = facts,
                Undo::Included(vars) => inner.included = vars,
                Undo::Pending(pending) => inner.pending = pending,
            }
        }
        inner.namespace = None;
        inner.marks = inner.marks.saturating_sub(1);
    }

    // What scopes read.

    pub(super) fn result(&self, name: &str) -> Result<Option<Value>, Error> {
        match self.inner.read().results.get(name) {
            None => Ok(None),
            Some(Slot::Ready(value)) => Ok(Some(value.clone())),
            Some(Slot::Pending(call)) => Err(Error::pending(PendingWhat::Call(*call))),
        }
    }
    pub(super) fn included(&self, name: &str) -> Option<Value> {
        self.inner.read().included.get(name).cloned()
    }
    pub(super) fn fact(&self, name: &str) -> Option<Value> {
        self.inner.read().facts.get(name).cloned()
    }
    pub(super) fn facts(&self) -> Vars {
        self.inner.read().facts.clone()
    }
    /// What has to happen before a fact of this name can be known.
    pub(super) fn pending(&self, name: &str) -> Option<PendingWhat> {
        let inner = self.inner.read();
        let pending = inner.pending.as_ref()?;
        let may_come = name.starts_with("ansible_") || pending.names.iter().any(|known| &**known == name);
        may_come.then(|| pending.what.clone())
    }
    /// `ansible_facts`: the names without `ansible_`.
    pub(super) fn namespace(&self) -> Result<Value, Error> {
        if let Some(what) = self.pending("ansible_facts") {
            return Err(Error::pending(what));
        }
        if let Some(known) = &self.inner.read().namespace {
            return Ok(known.clone());
        }
        let mut inner = self.inner.write();
        let entries = inner.facts.iter().map(|(name, value)| {
            let short = name.strip_prefix("ansible_").filter(|_| &**name != "ansible_local").unwrap_or(name);
            (Value::str(short), value.clone())
        });
        let value = Value::dict(entries.collect::<Vec<_>>());
        inner.namespace = Some(value.clone());
        Ok(value)
    }
    pub(super) fn names(&self, facts: bool) -> Vec<Arc<str>> {
        let inner = self.inner.read();
        let mut names: Vec<Arc<str>> = inner.results.keys().chain(inner.included.keys()).cloned().collect();
        if facts {
            names.extend(inner.facts.keys().cloned());
        }
        names
    }
}

fn restore<T>(map: &mut IndexMap<Arc<str>, T>, name: Arc<str>, old: Option<T>) {
    match old {
        Some(old) => _ = map.insert(name, old),
        None => _ = map.shift_remove(&name),
    }
}
