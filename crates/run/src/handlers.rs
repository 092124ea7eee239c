//! The handlers of a play: those that it and its roles have, and those that included roles bring.

use std::sync::Arc;

use parking_lot::RwLock;
use playbook::ir::Task;

use crate::course::Path;

pub(crate) struct Handlers(RwLock<Vec<Added>>);

struct Added {
    /// Where the role is included that brings it; empty: it is there from the beginning.
    at: Path,
    task: Arc<Task>,
}

impl Handlers {
    pub(crate) fn new(written: &[Arc<Task>]) -> Self {
        let added = written.iter().map(|task| Added { at: Path::new(), task: task.clone() });
        Self(RwLock::new(added.collect()))
    }

    /// Each host that comes there brings them: they are added once.
    pub(crate) fn add(&self, at: &[u32], more: &[Arc<Task>]) {
        let mut all = self.0.write();
        let known = |task: &Task| all.iter().any(|known| known.at == at && is_same(&known.task, task));
        let new: Vec<Added> = more
            .iter()
            .filter(|task| !known(task))
            .map(|task| Added { at: at.to_vec(), task: task.clone() })
            .collect();
        // In the order of the play, whoever came first.
        let place = all.partition_point(|known| known.at.as_slice() <= at);
        all.splice(place..place, new);
    }

    /// Those that are there when a host is at this place, in the order in which they run. Other hosts may be further.
    pub(crate) fn until(&self, here: &[u32]) -> Vec<Arc<Task>> {
        let all = self.0.read();
        all.iter().take_while(|added| added.at.as_slice() <= here).map(|added| added.task.clone()).collect()
    }

    /// The same in the order in which they are looked for by name: the last that were brought together come first, and
    /// of those the first.
    pub(crate) fn last_brought_first(&self, here: &[u32]) -> Vec<Arc<Task>> {
        let all = self.0.read();
        let mut groups: Vec<Vec<&Added>> = Vec::new();
        for added in all.iter().take_while(|added| added.at.as_slice() <= here) {
            let together = groups.last().is_some_and(|group| {
                let begins = group[0];
                begins.at == added.at
                    && same_role(&begins.task, &added.task)
                    && !group.iter().any(|known| is_same(&known.task, &added.task))
            });
            match groups.last_mut() {
                Some(group) if together => group.push(added),
                _ => groups.push(vec![added]),
            }
        }
        groups.into_iter().rev().flatten().map(|added| added.task.clone()).collect()
    }
}

fn is_same(a: &Task, b: &Task) -> bool {
    a.origin == b.origin && same_role(a, b)
}

fn same_role(a: &Task, b: &Task) -> bool {
    a.role.as_ref().map(|role| &role.name) == b.role.as_ref().map(|role| &role.name)
}
