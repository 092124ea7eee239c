//! Taking results in order: what they mean, what they leave, whether the host goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::protocol::{AgentId, Call};
use catalog::{Json, Map};
use expressions::{Error, Value};
use link::{CallEnd, CallHandle, Link, LinkError};
use playbook::ir::{Task, Vars};

use super::perform::end_of;
use super::prepare::{ItemOf, Traits, Work};
use super::{Flow, Walker};
use crate::actions::After;
use crate::course::Path;
use crate::event::{Event, Step};
use crate::results;

/// A task on its way.
pub(crate) struct Sent {
    pub(crate) ticket: u64,
    pub(crate) path: Path,
    pub(crate) task: Arc<Task>,
    pub(crate) step: Arc<Step>,
    pub(crate) items: Vec<Item>,
    pub(crate) looped: bool,
    started: Instant,
}

/// One item of it.
pub(crate) struct Item {
    pub(crate) of: ItemOf,
    pub(crate) traits: Traits,
    pub(crate) outcome: Outcome,
    pub(crate) delegate: Option<String>,
    /// Handlers whose names only this item tells.
    pub(crate) notify: Vec<String>,
    /// To send it again (`until`) or to ask for its job (`async`).
    pub(crate) again: Option<Again>,
    pub(crate) after: Option<After>,
}

pub(crate) enum Outcome {
    Ready(Map),
    Waiting(CallHandle),
    /// Taken.
    Gone,
}

pub(crate) struct Again {
    pub(crate) link: Link,
    pub(crate) agent: AgentId,
    pub(crate) epoch: u32,
    pub(crate) call: Call,
}

/// What one item came to.
pub(super) struct Finished {
    pub(super) result: Map,
    pub(super) paths: Vec<String>,
    pub(super) seconds: f64,
}

impl Item {
    pub(crate) fn ready(of: ItemOf, result: Map) -> Self {
        Self {
            of,
            traits: Traits::default(),
            outcome: Outcome::Ready(result),
            delegate: None,
            notify: Vec::new(),
            again: None,
            after: None,
        }
    }
}

impl Sent {
    pub(crate) fn new(ticket: u64, path: Path, task: Arc<Task>, step: Arc<Step>) -> Self {
        let looped = task.loop_.is_some();
        Self { ticket, path, task, step, items: Vec::new(), looped, started: Instant::now() }
    }

    /// Whether the controller has to judge the result before anything after it may happen.
    pub(crate) fn judged_here(&self, task: &Task) -> bool {
        task.failed_when.is_some() || self.retries() || task.async_seconds.is_some()
    }

    /// Whether it is tried again: until a condition holds, or (with `retries` alone) until it does not fail.
    pub(crate) fn retries(&self) -> bool {
        self.task.until.is_some() || self.task.retries.is_some()
    }

    pub(crate) fn shares_lane(&self, task: &Task) -> bool {
        task.keywords.delegate_to.is_none()
    }

    /// Whether what follows depends on how it ends.
    pub(crate) fn must_wait(&self, task: &Task) -> bool {
        let never_fails =
            !self.retries() && task.async_seconds.is_none() && is_constant_false(task.failed_when.as_deref());
        (self.judged_here(task) && !never_fails)
            || task.keywords.delegate_to.is_some()
            || crate::actions::leaves_variables(&task.module)
            || crate::actions::is_foreign(&task.module)
    }
}

fn is_constant_false(conditions: Option<&[Value]>) -> bool {
    matches!(conditions, Some([Value::Bool(false)]))
}

impl Walker {
    pub(crate) async fn settle_all(&mut self) -> Flow {
        while !self.queue.is_empty() {
            self.settle_front().await?;
        }
        self.release();
        Ok(())
    }

    pub(crate) async fn settle_until(&mut self, ticket: u64) -> Flow {
        while self.queue.front().is_some_and(|sent| sent.ticket <= ticket) {
            self.settle_front().await?;
        }
        Ok(())
    }

    async fn settle_front(&mut self) -> Flow {
        let Some(mut sent) = self.queue.pop_front() else { return Ok(()) };
        self.course.advance(&self.host, &sent.path);
        self.tell_now(&sent.step.name);
        let mut finished = Vec::with_capacity(sent.items.len());
        let mut items = std::mem::take(&mut sent.items);
        for item in &mut items {
            let Some(mut ended) = self.finish_item(&sent, item).await? else { return Ok(()) };
            if sent.looped {
                self.report_item(&sent, item, &mut ended);
            }
            finished.push(ended);
        }
        let flow = self.finish(&sent, &items, finished);
        // What was sent behind a failure is not done.
        let next = self.queue.front().filter(|_| flow.is_ok()).map(|s| s.path.clone());
        self.course.advance(&self.host, &next.unwrap_or_else(|| end_of(&sent.path)));
        if self.queue.is_empty() {
            self.tell_now("");
        }
        flow
    }

    /// `None`: it was refused because of a failure that is known already.
    async fn finish_item(&mut self, sent: &Sent, item: &mut Item) -> Flow<Option<Finished>> {
        let mut attempts = 1;
        let (retries, delay) = self.patience(sent, item);
        let mut finished = match self.receive(sent, item).await {
            Some(finished) => finished,
            None => return Ok(None),
        };
        // Lookups wait for what was sent to this machine: that was it, whatever is queued behind.
        if self.run.variables.local_call(&self.host).is_some_and(|ticket| ticket <= sent.ticket) {
            self.run.variables.set_local_call(&self.host, None);
        }
        loop {
            if results::is_unreachable(&finished.result) || results::is_skipped(&finished.result) {
                break;
            }
            if sent.retries() {
                finished.result.insert("attempts".to_owned(), attempts.into());
            }
            self.judge(sent, item, &mut finished.result);
            if !sent.retries() {
                break;
            }
            let holds = match sent.task.until.as_deref() {
                Some(until) => self.holds(sent, item, until, &finished.result),
                None => Ok(!results::is_failed(&finished.result)),
            };
            match holds {
                Ok(true) => break,
                Ok(false) if attempts <= retries => {}
                Ok(false) => {
                    finished.result.insert("failed".to_owned(), true.into());
                    finished.result.insert("attempts".to_owned(), (attempts - 1).max(1).into());
                    break;
                }
                Err(error) => {
                    finished.result = results::failed_by(&error);
                    break;
                }
            }
            self.retrying(sent, item.delegate.clone(), retries + 1 - attempts, &finished.result);
            tokio::time::sleep(delay).await;
            if !self.send_again(item) {
                // Done by the controller: evaluate it anew.
                self.evaluate_again(sent, item).await?;
            }
            attempts += 1;
            match self.receive(sent, item).await {
                Some(again) => finished = again,
                None => return Ok(None),
            }
        }
        Ok(Some(finished))
    }

    async fn evaluate_again(&mut self, sent: &Sent, item: &mut Item) -> Flow {
        let Ok(prepared) = self.prepare(&sent.task, &item.of) else { return Ok(()) };
        match prepared.work {
            Work::Done(result) | Work::Effect(result, _) => item.outcome = Outcome::Ready(result),
            Work::Later(work) => item.outcome = Outcome::Ready(work.await),
            Work::Plugin(plugin) => {
                let result = Box::pin(self.plugin(*plugin, &sent.task, &sent.path, &item.of)).await?;
                item.outcome = Outcome::Ready(result);
            }
            Work::Remote(_) => {}
        }
        Ok(())
    }

    fn send_again(&mut self, item: &mut Item) -> bool {
        let Some(again) = &item.again else { return false };
        let handle = again.link.call(again.agent, again.epoch, again.call.clone(), self.run.blobs.clone());
        item.outcome = Outcome::Waiting(handle);
        true
    }

    /// The module's own result, completed; asks for the end of an asynchronous job.
    async fn receive(&mut self, sent: &Sent, item: &mut Item) -> Option<Finished> {
        let mut finished = match std::mem::replace(&mut item.outcome, Outcome::Gone) {
            Outcome::Ready(result) => {
                Finished { result, paths: Vec::new(), seconds: sent.started.elapsed().as_secs_f64() }
            }
            Outcome::Gone => return None,
            Outcome::Waiting(handle) => {
                match self.run.await_call(handle, item.again.as_ref().map(|a| &a.link)).await {
                    Ok(CallEnd::Done { result, paths, micros }) => {
                        Finished { result, paths, seconds: micros as f64 / 1e6 }
                    }
                    Ok(CallEnd::Refused) => return None,
                    Err(error) => unreachable(&error),
                }
            }
        };
        if let Some(after) = item.after.take() {
            after.finish(&mut finished.result);
            if sent.retries() {
                item.after = Some(after);
            }
        }
        if sent.task.async_seconds.is_some() && finished.result.contains_key("ansible_job_id") {
            self.poll(sent, item, &mut finished).await;
        }
        results::complete(&mut finished.result);
        Some(finished)
    }

    /// `poll`: until the job has ended.
    async fn poll(&mut self, sent: &Sent, item: &Item, finished: &mut Finished) {
        let Some(again) = &item.again else { return };
        let every = match &sent.task.poll {
            Some(poll) => {
                self.template(&sent.task, poll, &item.of).ok().and_then(|v| number(&v)).unwrap_or(15.0)
            }
            None => 15.0,
        };
        if every <= 0.0 || results::is_failed(&finished.result) {
            return;
        }
        let patience = again.call.async_seconds;
        let deadline = Instant::now() + Duration::from_secs(patience);
        let Some(Json::String(job)) = finished.result.get("ansible_job_id").cloned() else { return };
        let mut last = Map::new();
        loop {
            tokio::time::sleep(Duration::from_secs_f64(every.min(5.0))).await;
            let mut call = Call {
                module: "async_status".to_owned(),
                async_seconds: 0,
                keep_going: true,
                ..again.call.clone()
            };
            call.args = Map::new();
            call.args.insert("jid".to_owned(), job.clone().into());
            let handle =
                again.link.call(again.agent, catalog::protocol::NEVER_REFUSED, call, self.run.blobs.clone());
            match handle.await {
                Ok(CallEnd::Done { result, paths, .. })
                    if results::flag(&result, "finished") || results::is_failed(&result) =>
                {
                    finished.result = result;
                    finished.paths = paths;
                    finished.seconds = sent.started.elapsed().as_secs_f64();
                    return;
                }
                Ok(CallEnd::Done { result, .. }) => last = result,
                Ok(_) => {}
                Err(error) => {
                    *finished = unreachable(&error);
                    return;
                }
            }
            if Instant::now() > deadline {
                let why = format!("async task did not complete within the requested time - {patience}s");
                finished.result = results::failed(why);
                finished.result.insert("async_result".to_owned(), Json::Object(last));
                return;
            }
        }
    }

    fn patience(&self, sent: &Sent, item: &Item) -> (u64, Duration) {
        if !sent.retries() {
            return (0, Duration::ZERO);
        }
        let value = |value: &Option<Value>| {
            value.as_ref().and_then(|v| self.template(&sent.task, v, &item.of).ok()).and_then(|v| number(&v))
        };
        let retries = value(&sent.task.retries).unwrap_or(3.0).max(1.0);
        let delay = value(&sent.task.delay).unwrap_or(5.0).max(0.0);
        (retries as u64, Duration::from_secs_f64(delay))
    }

    fn retrying(&self, sent: &Sent, delegate: Option<String>, left: u64, result: &Map) {
        let event = Event::Retrying {
            step: sent.step.clone(),
            host: self.host.clone(),
            delegate,
            left,
            result: Arc::new(result.clone()),
        };
        self.course.report(&self.host, &sent.path, event);
    }

    /// `changed_when` and `failed_when`: seen with the task's own result.
    fn judge(&self, sent: &Sent, item: &Item, result: &mut Map) {
        let task = &sent.task;
        if let Some(conditions) = &task.changed_when {
            match self.holds(sent, item, conditions, result) {
                Ok(changed) => _ = result.insert("changed".to_owned(), changed.into()),
                Err(error) => return self.misjudged(result, "changed_when", &error),
            }
        }
        if let Some(conditions) = &task.failed_when {
            match self.holds(sent, item, conditions, result) {
                Ok(failed) => {
                    result.insert("failed".to_owned(), failed.into());
                    result.insert("failed_when_result".to_owned(), failed.into());
                }
                Err(error) => self.misjudged(result, "failed_when", &error),
            }
        }
    }

    fn misjudged(&self, result: &mut Map, keyword: &str, error: &Error) {
        result.insert("failed".to_owned(), true.into());
        let why = format!("Error while evaluating conditional: {}", error.message);
        result.insert(format!("{keyword}_result"), why.into());
        result
            .insert("msg".to_owned(), format!("Error while evaluating {keyword}: {}", error.message).into());
    }

    /// Whether all conditions hold, with the result under its registered name.
    pub(crate) fn holds(
        &self,
        sent: &Sent,
        item: &Item,
        conditions: &[Value],
        result: &Map,
    ) -> Result<bool, Error> {
        let scope = self.scope(&sent.task, &with_result(sent, item, result));
        for condition in conditions {
            if !self.run.engine.condition(condition, &scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `loop_control.break_when`, which needs the item's result at once.
    pub(crate) async fn breaks(&mut self, task: &Arc<Task>, sent: &Sent, item: &mut Item) -> Flow<bool> {
        self.settle_all().await?;
        let Some(finished) = self.finish_item(sent, item).await? else { return Ok(true) };
        let conditions = task.loop_.as_ref().map(|l| l.break_when.clone()).unwrap_or_default();
        let stop = self.holds(sent, item, &conditions, &finished.result).unwrap_or(true);
        item.outcome = Outcome::Ready(finished.result);
        Ok(stop)
    }
}

/// The item's variables, with its result under the registered name.
pub(super) fn with_result(sent: &Sent, item: &Item, result: &Map) -> ItemOf {
    let Some(name) = &sent.task.register else { return item.of.clone() };
    let mut vars = Vars::clone(&item.of.vars);
    vars.insert(name.clone(), Value::from_json(&Json::Object(result.clone())));
    ItemOf { vars: Arc::new(vars), ..item.of.clone() }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()))
}

fn unreachable(error: &LinkError) -> Finished {
    Finished { result: results::unreachable(error), paths: Vec::new(), seconds: 0.0 }
}
