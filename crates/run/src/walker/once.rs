//! `run_once`: the first host does it, the others take over what it left.

use std::sync::Arc;

use catalog::Map;
use expressions::Value;
use playbook::ir::{Include, Task};

use super::perform::end_of;
use super::{Failed, Flow, Stop, Walker};
use crate::actions::Effect;
use crate::course::Path;

/// What a `run_once` task left.
#[derive(Debug, Default)]
pub(crate) struct Once {
    pub(crate) registered: Option<(Arc<str>, Value)>,
    pub(crate) facts: Vec<(Map, Arc<str>)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) failed: Option<Map>,
    pub(crate) unreachable: bool,
}

impl Walker {
    pub(crate) async fn once(&mut self, task: &Arc<Task>, path: &Path) -> Flow {
        if !self.is_first_at(path).await?
            && let Some(once) = self.course.published(&self.host, path).await
        {
            return self.take_over(task, &once);
        }
        self.collect = Some(Once::default());
        let mut flow = self.perform(task, path).await;
        if flow.is_ok() {
            flow = self.settle_all().await;
        }
        let mut once = self.collect.take().unwrap_or_default();
        match &flow {
            Err(Stop::Failed(failed)) => once.failed = Some(failed.result.clone()),
            Err(Stop::Unreachable) => once.unreachable = true,
            _ => {}
        }
        if self.alone {
            for host in self.play.hosts.iter().filter(|host| **host != self.host) {
                self.leave_to(host, &once);
            }
        }
        self.course.publish(path, Arc::new(once));
        self.course.advance(&self.host, &end_of(path));
        flow
    }

    /// What is included is the first host's alone; the others wait for its end.
    pub(crate) async fn include_once(&mut self, task: &Arc<Task>, include: &Include, path: &Path) -> Flow {
        if self.is_first_at(path).await? {
            let before = std::mem::replace(&mut self.alone, true);
            let flow = self.include(task, include, path).await;
            self.alone = before;
            return flow;
        }
        let end = end_of(path);
        self.course.advance(&self.host, &end);
        self.course.gather(&self.host, &end).await;
        Ok(())
    }

    fn leave_to(&self, host: &str, once: &Once) {
        if let Some((name, value)) = &once.registered {
            self.run.variables.register(host, name.clone(), value.clone());
        }
        for (facts, module) in &once.facts {
            self.run.take_facts(host, facts, module);
        }
        for effect in &once.effects {
            self.run.effect(host, effect);
        }
    }

    /// Whether this host does what all hosts have come to.
    pub(crate) async fn is_first_at(&mut self, path: &Path) -> Flow<bool> {
        self.settle_all().await?;
        self.release();
        self.course.advance(&self.host, path);
        self.course.gather(&self.host, path).await;
        Ok(self.course.is_first(&self.host, path))
    }

    fn take_over(&mut self, task: &Arc<Task>, once: &Once) -> Flow {
        self.leave_to(&self.host, once);
        match &once.failed {
            Some(result) => Err(Stop::Failed(Box::new(Failed {
                task: task.clone(),
                result: result.clone(),
                pulled: false,
            }))),
            None => Ok(()),
        }
    }
}
