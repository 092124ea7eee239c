//! One task: its fences, its loop, its items sent.

use std::sync::Arc;

use catalog::Map;
use expressions::{Error, Value};
use playbook::ir::{Node, Play, Task};
use tokio::sync::OwnedSemaphorePermit;

use super::blocks::END;
use super::prepare::{ItemOf, Work};
use super::settle::{Item, Outcome, Sent};
use super::{Failed, Flow, Stop, Walker};
use crate::course::Path;
use crate::results;

/// Where hosts go their own ways nobody can be the first.
const NOT_ONCE: &str = "`run_once` does not count with the strategies free and host_pinned, as with ansible-core: the task is done \
                        for every host";

impl Walker {
    pub(crate) async fn task(&mut self, task: &Arc<Task>, path: &Path) -> Flow {
        if !self.is_selected(task) {
            return Ok(());
        }
        if self.run.interrupted() {
            return Err(Stop::Interrupted);
        }
        self.stop_if_told(path).await?;
        self.run.progress.moved(&self.host);
        if !self.started && !self.begins_here(task) {
            return Ok(());
        }
        // One fork: people may rely on hosts coming one after the other.
        let alone = self.run.settings.forks == 1 && !self.play.free;
        let fenced = self.play.several && (self.play.lockstep || alone || self.is_fenced(task));
        if fenced {
            self.settle_all().await?;
            self.release();
            self.course.advance(&self.host, path);
            self.course.gather(&self.host, path).await;
            self.stop_if_told(path).await?;
        }
        self.tell_frontier(path);
        if fenced && (alone || task.keywords.delegate_to.is_some()) {
            // Where several hosts act on one other host, they do so in their order.
            self.course.turn(&self.host, path).await;
        }
        let throttled = match self.throttle(task, path).await {
            Ok(throttled) => throttled,
            Err(error) => {
                let why = format!("Failed to convert the throttle value to an integer: {}", error.message);
                return self.fail(task, path, &Error::new(why)).await;
            }
        };
        self.one(task, path).await?;
        if throttled.is_some() {
            self.settle_all().await?;
        }
        drop(throttled);
        if fenced {
            self.settle_all().await?;
            self.release();
            self.course.advance(&self.host, &end_of(path));
            self.course.pass(&self.host, path).await;
            if self.course.is_pulled(path) {
                self.ending |= self.play.is_fatal();
                let failed = Failed { task: task.clone(), result: Map::new(), pulled: true };
                return Err(Stop::Failed(Box::new(failed)));
            }
        }
        Ok(())
    }

    /// Whether `--tags` and `--skip-tags` choose the task. Tags may be templates.
    fn is_selected(&self, task: &Arc<Task>) -> bool {
        let tags = &task.keywords.tags;
        if !tags.iter().any(|tag| tag.contains("{{")) {
            return self.run.settings.tags.selects(tags);
        }
        let mut resolved: Vec<String> = Vec::new();
        for tag in tags {
            let raw = Value::Str(expressions::Str::trusted(tag.clone(), task.origin.clone()));
            match self.template(task, &raw, &ItemOf::none()) {
                Ok(value) => match value.as_list() {
                    Some(list) => resolved.extend(list.iter().filter_map(|t| t.python_str().ok())),
                    None => resolved.extend(
                        value.python_str().unwrap_or_default().split(',').map(|t| t.trim().to_owned()),
                    ),
                },
                Err(_) => resolved.push(tag.to_string()),
            }
        }
        self.run.settings.tags.selects(&resolved)
    }

    /// The play was ended for all by another host.
    async fn stop_if_told(&mut self, path: &Path) -> Flow {
        if !self.ending && self.course.is_stopped(path) {
            self.settle_all().await?;
            return Err(Stop::EndPlay);
        }
        Ok(())
    }

    /// `throttle`: so many hosts at this task at once.
    async fn throttle(
        &mut self,
        task: &Arc<Task>,
        path: &Path,
    ) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let Some(most) = &task.keywords.throttle else { return Ok(None) };
        let most = self.template(task, most, &ItemOf::none())?;
        if most.is_omit() || most.is_none() {
            return Ok(None);
        }
        let text = most.clone().defined()?.python_str()?;
        let number = most
            .as_i64()
            .or_else(|| text.trim().parse().ok())
            .ok_or_else(|| Error::new(format!("invalid literal for int() with base 10: '{text}'")))?;
        match usize::try_from(number) {
            Ok(most) if most > 0 => Ok(self.course.gate(path, most).acquire_owned().await.ok()),
            _ => Ok(None),
        }
    }

    async fn one(&mut self, task: &Arc<Task>, path: &Path) -> Flow {
        if self.run.settings.step && !self.run.ask_step(&self.host, path, &self.plain_name(task)).await {
            return Ok(());
        }
        let once =
            task.keywords.run_once.clone().filter(|value| self.play.several && *value != Value::Bool(false));
        if self.play.free && once.is_some() {
            self.warn(NOT_ONCE.to_owned());
        }
        let once = once.filter(|_| !self.play.free);
        if let Some(include) = task.include.clone() {
            if let Some(value) = once {
                match self.settled(path, |w| w.keyword_bool(task, &value, &ItemOf::none())).await? {
                    Ok(true) => return Box::pin(self.include_once(task, &include, path)).await,
                    Ok(false) => {}
                    Err(error) => return self.fail(task, path, &error).await,
                }
            }
            return self.include(task, &include, path).await;
        }
        if &*task.module == "meta" {
            return self.meta(task, path).await;
        }
        let once = match &once {
            Some(value) => self.settled(path, |w| w.keyword_bool(task, value, &ItemOf::none())).await?,
            None => Ok(self.play.several && crate::actions::is_for_all(&task.module)),
        };
        match once {
            Ok(true) => self.once(task, path).await,
            Ok(false) => self.perform(task, path).await,
            Err(error) => self.fail(task, path, &error).await,
        }
    }

    /// Do a task: evaluate it, send what is to be sent, queue it.
    pub(crate) async fn perform(&mut self, task: &Arc<Task>, path: &Path) -> Flow {
        let mut sent = self.announce(task, path).await?;
        if crate::actions::has_effect(&task.module) {
            // What it does on the controller must not happen if a task before it fails.
            self.settle_all().await?;
        }
        match self.items(task, path).await? {
            Ok(None) => {
                let item = self.item(task, path, &ItemOf::none(), &sent).await?;
                sent.items.push(item);
            }
            Ok(Some(items)) if items.is_empty() => {
                sent.looped = false;
                sent.items.push(Item::ready(ItemOf::none(), results::skipped("No items in the list")));
            }
            Ok(Some(items)) => self.each(task, path, items, &mut sent).await?,
            Err(error) => {
                sent.looped = false;
                let result = match self.skips_anyway(task, path, &error).await? {
                    Some(skip) => skip,
                    None => results::no_loop(&error),
                };
                sent.items.push(self.ready(task, &ItemOf::none(), result));
            }
        }
        self.push(task, sent).await
    }

    async fn each(&mut self, task: &Arc<Task>, path: &Path, items: Vec<Value>, sent: &mut Sent) -> Flow {
        let items = ItemOf::all(self.loop_control(task).as_ref(), items);
        let pause = match task.loop_.as_ref().and_then(|l| l.pause.as_ref()) {
            Some(pause) => self
                .settled(path, |w| w.template(task, pause, &ItemOf::none()))
                .await?
                .ok()
                .and_then(|v| v.as_f64()),
            None => None,
        };
        let breaks = task.loop_.as_ref().is_some_and(|l| !l.break_when.is_empty());
        for (number, of) in items.into_iter().enumerate() {
            if let Some(pause) = pause
                && number > 0
            {
                tokio::time::sleep(std::time::Duration::from_secs_f64(pause.max(0.0))).await;
            }
            let mut item = self.item(task, path, &of, sent).await?;
            let stop = breaks && self.breaks(task, sent, &mut item).await?;
            sent.items.push(item);
            if stop {
                break;
            }
        }
        Ok(())
    }

    /// Evaluate one item and send it.
    async fn item(&mut self, task: &Arc<Task>, path: &Path, of: &ItemOf, sent: &Sent) -> Flow<Item> {
        let prepared = match self.settled(path, |w| w.prepare(task, of)).await? {
            Ok(prepared) => prepared,
            Err(error) => return Ok(self.ready(task, of, results::failed_by(&error))),
        };
        let mut item = Item {
            of: of.clone(),
            traits: prepared.traits,
            outcome: Outcome::Ready(Map::new()),
            delegate: prepared.delegate,
            notify: prepared.notify,
            again: None,
            after: None,
        };
        match prepared.work {
            Work::Done(result) => item.outcome = Outcome::Ready(result),
            Work::Effect(result, effect) => {
                let to = item.delegate.clone().filter(|_| item.traits.delegate_facts);
                self.run.effect(to.as_deref().unwrap_or(&self.host), &effect);
                if let Some(once) = self.collect.as_mut().filter(|_| to.is_none()) {
                    once.effects.push(effect);
                }
                item.outcome = Outcome::Ready(result);
            }
            Work::Later(work) => {
                self.settle_all().await?;
                self.tell_now(&sent.step.name);
                item.outcome = Outcome::Ready(work.await);
            }
            Work::Plugin(plugin) => {
                self.settle_all().await?;
                self.tell_now(&sent.step.name);
                item.outcome = Outcome::Ready(Box::pin(self.plugin(*plugin, task, path, of)).await?);
            }
            Work::Remote(remote) => self.dispatch(*remote, task, sent, &mut item).await?,
        }
        Ok(item)
    }

    /// Something that ended before it was sent; the task's keywords hold for it all the same.
    fn ready(&self, task: &Arc<Task>, of: &ItemOf, result: Map) -> Item {
        let traits = self.traits(task, &self.scope(task, of)).unwrap_or_default();
        Item { traits, ..Item::ready(of.clone(), result) }
    }

    /// What the loop gives; `None`: the task has no loop.
    async fn items(&mut self, task: &Arc<Task>, path: &Path) -> Flow<Result<Option<Vec<Value>>, Error>> {
        if task.loop_.is_none() {
            return Ok(Ok(None));
        }
        self.settled(path, |w| w.loop_items(task).map(Some)).await
    }

    /// A loop over something undefined is fine if the task is skipped anyway.
    async fn skips_anyway(&mut self, task: &Arc<Task>, path: &Path, error: &Error) -> Flow<Option<Map>> {
        if task.keywords.when.is_empty() || !error.is_undefined() {
            return Ok(None);
        }
        let none = ItemOf::none();
        Ok(self.settled(path, |w| w.condition_of(task, &none)).await?.ok().flatten())
    }

    /// Put it behind what is on its way; wait where what follows depends on how it ends.
    async fn push(&mut self, task: &Arc<Task>, sent: Sent) -> Flow {
        let ready_failure = sent
            .items
            .iter()
            .any(|item| matches!(&item.outcome, Outcome::Ready(result) if results::is_failed(result)));
        let wait = ready_failure || sent.must_wait(task);
        if let Some(name) = &task.register {
            self.run.variables.set_pending(&self.host, name.clone(), sent.ticket);
        }
        if matches!(&*task.module, "setup" | "gather_facts") {
            self.run.pending_facts(&self.host, sent.ticket);
        }
        let idle =
            self.queue.is_empty() && sent.items.iter().all(|item| matches!(item.outcome, Outcome::Ready(_)));
        self.course.sent(&self.host, &sent.path);
        self.queue.push_back(sent);
        if wait || idle { self.settle_all().await } else { Ok(()) }
    }

    /// Put something that is done behind what is on its way.
    pub(crate) async fn enqueue(&mut self, sent: Sent) -> Flow {
        let idle = self.queue.is_empty();
        self.queue.push_back(sent);
        if idle { self.settle_all().await } else { Ok(()) }
    }

    /// A task that failed before anything was sent.
    pub(crate) async fn fail(&mut self, task: &Arc<Task>, path: &Path, error: &Error) -> Flow {
        let mut sent = self.announce(task, path).await?;
        sent.looped = false;
        sent.items.push(self.ready(task, &ItemOf::none(), results::failed_by(error)));
        self.queue.push_back(sent);
        self.settle_all().await
    }

    /// Tell people that the task has begun.
    pub(crate) async fn announce(&mut self, task: &Arc<Task>, path: &Path) -> Flow<Sent> {
        let name = self.display_name(task);
        let step = self.step(task, name, self.run.settings.check);
        self.course.announce(path, &step);
        Ok(Sent::new(self.run.ticket(), path.clone(), task.clone(), step))
    }

    pub(crate) fn tell_now(&self, doing: &str) {
        self.run.now(&self.host, doing);
    }

    fn begins_here(&mut self, task: &Arc<Task>) -> bool {
        if self.is_the_first(task) {
            self.started = true;
            self.run.mark_started(&self.host);
        }
        self.started
    }

    /// Whether `--start-at-task` means this one.
    fn is_the_first(&self, task: &Arc<Task>) -> bool {
        let Some(wanted) = &self.run.settings.start_at else { return true };
        let (name, full) = (self.plain_name(task), self.display_name(task));
        playbook::pattern::wildcard(wanted, &name) || playbook::pattern::wildcard(wanted, &full)
    }

    pub(super) fn begins_in(&self, play: &Play) -> bool {
        [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks]
            .iter()
            .any(|nodes| self.begins_among(nodes))
    }

    fn begins_among(&self, nodes: &[Node]) -> bool {
        nodes.iter().any(|node| match node {
            Node::Task(task) => self.is_the_first(task),
            Node::Block(block) => {
                [&block.body, &block.rescue, &block.always].iter().any(|part| self.begins_among(part))
            }
        })
    }

    /// Whether the order between hosts can be told at this task: then all come to it before any does it, and all
    /// have done it before any goes on.
    fn is_fenced(&self, task: &Task) -> bool {
        if self.play.free {
            return false;
        }
        let keywords = &task.keywords;
        keywords.run_once.is_some()
            || keywords.delegate_to.is_some()
            || keywords.throttle.is_some()
            || keywords.any_errors_fatal.is_some()
            || crate::actions::tells_order(&task.module)
            || self.run.mentions_other_hosts(task)
    }
}

pub(crate) fn end_of(path: &Path) -> Path {
    let mut end = path.clone();
    end.push(END);
    end
}
