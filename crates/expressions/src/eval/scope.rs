//! Names that a template has defined.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::value::Value;

/// One level of names.
pub(crate) struct Scope {
    /// Most scopes stay empty: they are asked without the lock.
    used: AtomicBool,
    names: RwLock<Vec<(Arc<str>, Value)>>,
    parent: Option<Arc<Scope>>,
    /// Names that are found nowhere are asked of the context (not so in imports `without context`).
    pub(crate) sees_context: bool,
}

impl Scope {
    pub(crate) fn root(sees_context: bool) -> Arc<Self> {
        Arc::new(Self { used: AtomicBool::new(false), names: RwLock::default(), parent: None, sees_context })
    }
    pub(crate) fn child(parent: &Arc<Scope>) -> Arc<Self> {
        let sees_context = parent.sees_context;
        Arc::new(Self {
            used: AtomicBool::new(false),
            names: RwLock::default(),
            parent: Some(Arc::clone(parent)),
            sees_context,
        })
    }
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(found) = scope.own(name) {
                return Some(found);
            }
            scope = scope.parent.as_deref()?;
        }
    }
    /// Defined on this very level.
    pub(crate) fn own(&self, name: &str) -> Option<Value> {
        if !self.used.load(Ordering::Acquire) {
            return None;
        }
        let names = self.names.read();
        names.iter().rev().find(|(own, _)| **own == *name).map(|(_, value)| value.clone())
    }
    pub(crate) fn set(&self, name: &Arc<str>, value: Value) {
        let mut names = self.names.write();
        let old = match names.iter_mut().find(|(own, _)| **own == **name) {
            Some((_, slot)) => std::mem::replace(slot, value),
            None => {
                names.push((Arc::clone(name), value));
                self.used.store(true, Ordering::Release);
                return;
            }
        };
        // Not under the lock: dropping a value may drop much.
        drop(names);
        drop(old);
    }
    /// Forgets everything: the next round of a loop.
    pub(crate) fn clear(&self) {
        let old = std::mem::take(&mut *self.names.write());
        drop(old);
    }
}
