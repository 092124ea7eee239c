//! `run_once`: the first host does it, the others take over what it left.

use std::sync::Arc;

use catalog::Map;
use expressions::Value;
use playbook::ir::Task;

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
        self.settle_all().await?;
        self.release();
        self.course.advance(&self.host, path);
        self.course.gather(&self.host, path).await;
        if !self.course.is_first(&self.host, path)
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
        self.course.publish(path, Arc::new(once));
        self.course.advance(&self.host, &end_of(path));
        flow
    }

    fn take_over(&mut self, task: &Arc<Task>, once: &Once) -> Flow {
        if let Some((name, value)) = &once.registered {
            self.run.variables.register(&self.host, name.clone(), value.clone());
        }
        for (facts, module) in &once.facts {
            self.run.take_facts(&self.host, facts, module);
        }
        for effect in &once.effects {
            self.run.effect(&self.host, effect);
        }
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
