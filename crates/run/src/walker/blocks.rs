//! Blocks: body, rescue, always; and the order of steps.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use expressions::Value;
use playbook::ir::{Block, Node, Task};

use super::prepare::ItemOf;
use super::{Flow, Stop, Walker};
use crate::course::Path;
use crate::results;

/// After every step below a path and before its next sibling.
pub(crate) const END: u32 = u32::MAX;

pub(crate) fn child(path: &[u32], number: usize) -> Path {
    let mut child = path.to_vec();
    child.push(u32::try_from(number).unwrap_or(END - 1));
    child
}

impl Walker {
    pub(crate) fn nodes<'a>(
        &'a mut self,
        nodes: &'a [Node],
        base: &'a Path,
    ) -> Pin<Box<dyn Future<Output = Flow> + Send + 'a>> {
        Box::pin(async move {
            for (number, node) in nodes.iter().enumerate() {
                let path = child(base, number + 1);
                match node {
                    Node::Task(task) => self.task(task, &path).await?,
                    Node::Block(block) => self.block(block, &path).await?,
                }
            }
            Ok(())
        })
    }

    async fn block(&mut self, block: &Arc<Block>, path: &Path) -> Flow {
        if let Some(role) = &block.role {
            return self.role(block, role.work, role.allow_duplicates, path).await;
        }
        if block.rescue.is_empty() && block.always.is_empty() {
            return self.nodes(&block.body, path).await;
        }
        // Failures of what was sent before must not be taken for failures of this block.
        self.settle_all().await?;
        let shelter = u32::from(!block.always.is_empty());
        self.sheltered += shelter;
        let mut flow = self.body(block, path).await;
        if let Err(Stop::Failed(failed)) = &flow
            && !block.rescue.is_empty()
            && !results::is_beyond_rescue(&failed.task, &failed.result)
        {
            self.clear_failure();
            if !failed.pulled {
                self.set_failed_variables(failed);
            }
            flow = self.part(&block.rescue, path, 2).await;
        }
        self.sheltered -= shelter;
        if matches!(flow, Ok(()) | Err(Stop::Failed(_))) && !block.always.is_empty() {
            if flow.is_err() {
                self.clear_failure();
            }
            let always = self.part(&block.always, path, 3).await;
            flow = always.and(flow);
        }
        flow
    }

    async fn body(&mut self, block: &Block, path: &Path) -> Flow {
        let rescued = u32::from(!block.rescue.is_empty());
        self.rescuing += rescued;
        let flow = self.part(&block.body, path, 1).await;
        self.rescuing -= rescued;
        flow
    }

    async fn part(&mut self, nodes: &[Node], path: &Path, number: usize) -> Flow {
        self.nodes(nodes, &child(path, number)).await?;
        self.settle_all().await
    }

    /// A role's tasks: once per play unless it allows duplicates.
    async fn role(&mut self, block: &Arc<Block>, work: u64, duplicates: bool, path: &Path) -> Flow {
        if !duplicates && self.roles_entered.contains(&work) {
            self.settle_all().await?;
            // One whose tasks were all skipped has not run.
            if self.roles_run.contains(&work) {
                return Ok(());
            }
        }
        self.roles_entered.insert(work);
        let inner = Arc::new(Block { role: None, ..(**block).clone() });
        let flow = Box::pin(self.block(&inner, path)).await;
        match flow {
            Err(Stop::EndRole(ended)) if ended == work => Ok(()),
            other => other,
        }
    }

    /// `ansible_failed_task` and `ansible_failed_result`, for the rescue.
    fn set_failed_variables(&self, failed: &super::Failed) {
        let name = if failed.task.name.is_some() { self.plain_name(&failed.task) } else { String::new() };
        let task = Value::dict([
            ("name", Value::str(name)),
            ("action", Value::str(failed.task.action.clone())),
            ("args", self.arguments_shown(&failed.task)),
        ]);
        let result = Value::from_json(&serde_json::Value::Object(failed.result.clone()));
        self.run.variables.register(&self.host, "ansible_failed_task", task);
        self.run.variables.register(&self.host, "ansible_failed_result", result);
    }

    /// The arguments of a task as they are outside of its loop: those that cannot be told so are as written.
    fn arguments_shown(&self, task: &Arc<Task>) -> Value {
        let told =
            |value: &Value| self.template(task, value, &ItemOf::none()).and_then(|value| value.defined());
        let mut args: Vec<(Arc<str>, Value)> = Vec::new();
        for (name, value) in task.args.iter() {
            let value = told(value).unwrap_or_else(|_| Value::str(value.as_str().unwrap_or_default()));
            if !value.is_omit() {
                args.push((name.clone(), value));
            }
        }
        if matches!(&*task.module, "shell") {
            args.push((Arc::from("_uses_shell"), Value::Bool(true)));
        }
        Value::dict(args)
    }

    /// What was sent behind a failure was refused: its results will never come.
    pub(crate) fn drop_queue(&mut self) {
        self.run.variables.set_local_call(&self.host, None);
        for sent in self.queue.drain(..) {
            if let Some(name) = &sent.task.register {
                let message = format!("'{name}' is undefined: its task was not run");
                self.run.variables.register(&self.host, name.clone(), Value::undefined(message));
            }
            if matches!(&*sent.task.module, "setup" | "gather_facts") {
                self.run.variables.facts_arrived(&self.host, None);
            }
        }
    }

    /// The failure is dealt with: the host takes tasks again.
    pub(crate) fn clear_failure(&mut self) {
        self.drop_queue();
        self.lane = None;
        self.epoch = self.run.next_epoch();
        self.run.connections.resume(&self.host, self.epoch);
    }
}
