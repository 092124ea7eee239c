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
use super::{Failed, Flow, Stop, Walker};
use crate::actions::After;
use crate::course::Path;
use crate::event::{Ended, Event, Status, Step};
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
struct Finished {
    result: Map,
    paths: Vec<String>,
    seconds: f64,
}

impl Item {
    pub(crate) fn ready(of: ItemOf, result: Map) -> Self {
        Self {
            of,
            traits: Traits::default(),
            outcome: Outcome::Ready(result),
            delegate: None,
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
            self.run.variables.set_local_call(&self.host, None);
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
            self.retrying(sent, retries + 1 - attempts, &finished.result);
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
        let deadline = Instant::now() + Duration::from_secs(again.call.async_seconds);
        let Some(Json::String(job)) = finished.result.get("ansible_job_id").cloned() else { return };
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
                Ok(_) => {}
                Err(error) => {
                    *finished = unreachable(&error);
                    return;
                }
            }
            if Instant::now() > deadline {
                finished.result = results::failed("async task did not complete within the requested time");
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

    fn retrying(&self, sent: &Sent, left: u64, result: &Map) {
        let event = Event::Retrying {
            step: sent.step.clone(),
            host: self.host.clone(),
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
        result.insert(format!("{keyword}_result"), error.message.clone().into());
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
fn with_result(sent: &Sent, item: &Item, result: &Map) -> ItemOf {
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

/// The end of a task on this host.
impl Walker {
    fn report_item(&self, sent: &Sent, item: &Item, finished: &mut Finished) {
        let label = self.label(sent, item, &finished.result).unwrap_or_else(|error| {
            // A label that cannot be made fails the item, as it does with Ansible.
            let why = format!("Failed to template loop_control.label: {}", error.message);
            finished.result.insert("failed".to_owned(), true.into());
            finished.result.insert("msg".to_owned(), why.into());
            String::new()
        });
        let status = self.status(&finished.result, item.traits);
        name_item(&mut finished.result, item);
        self.report_ended(sent, item, finished, status, Some(label));
    }

    fn label(&self, sent: &Sent, item: &Item, result: &Map) -> Result<String, Error> {
        if item.traits.no_log {
            return Ok("(censored due to no_log)".to_owned());
        }
        let value = match &item.of.label {
            Some(label) => self.template(&sent.task, label, &with_result(sent, item, result))?.defined()?,
            None => item.of.value.clone().unwrap_or(Value::None),
        };
        Ok(value.python_str().unwrap_or_default())
    }

    fn report_ended(
        &self,
        sent: &Sent,
        item: &Item,
        finished: &Finished,
        status: Status,
        label: Option<String>,
    ) {
        let hidden = item.traits.no_log || results::flag(&finished.result, "_ansible_no_log");
        let result = if hidden { results::censored(&finished.result) } else { finished.result.clone() };
        let ended = Ended {
            step: sent.step.clone(),
            host: self.host.clone(),
            delegate: item.delegate.clone(),
            status,
            item: label,
            looped: sent.looped,
            result: Arc::new(result),
            seconds: finished.seconds,
            paths: if item.traits.no_log { Vec::new() } else { finished.paths.clone() },
        };
        self.report(&sent.path, Event::Ended(ended));
    }

    /// The include itself, seen before what it includes; what counts is each file.
    pub(crate) fn report_include(&self, sent: &Sent) {
        let finished = Finished { result: results::ok(false), paths: Vec::new(), seconds: 0.0 };
        self.report_ended(sent, &Item::ready(ItemOf::none(), Map::new()), &finished, Status::Ok, None);
    }

    /// The role of this task has run.
    pub(crate) fn mark_role(&mut self, sent: &Sent) {
        if let Some(role) = &sent.task.role {
            self.roles_run.insert(role.work);
        }
    }

    /// Shown as skipped, not counted.
    pub(crate) fn report_skipped(&self, sent: &Sent, result: Map) {
        let finished = Finished { result, paths: Vec::new(), seconds: 0.0 };
        self.report_ended(sent, &Item::ready(ItemOf::none(), Map::new()), &finished, Status::Skipped, None);
    }

    fn status(&self, result: &Map, traits: Traits) -> Status {
        if results::is_unreachable(result) {
            Status::Unreachable
        } else if results::is_failed(result) {
            match (traits.ignore_errors, self.rescuing > 0) {
                (true, _) => Status::Ignored,
                (false, true) => Status::Rescued,
                (false, false) => Status::Failed,
            }
        } else if results::is_skipped(result) {
            Status::Skipped
        } else if results::is_changed(result) {
            Status::Changed
        } else {
            Status::Ok
        }
    }

    fn finish(&mut self, sent: &Sent, items: &[Item], mut finished: Vec<Finished>) -> Flow {
        let empty_loop = sent.task.loop_.is_some() && !sent.looped;
        let whole = if sent.looped { whole_loop(items, &finished) } else { finished.pop() };
        let Some(mut whole) = whole else { return Ok(()) };
        // A loop that could not be told, of a task that is skipped anyway, has none.
        if empty_loop && whole.result.contains_key("skipped_reason") {
            whole.result.insert("results".to_owned(), Json::Array(Vec::new()));
        }
        self.leave(sent, items, &whole, &finished);
        let Some(first) = items.first() else { return Ok(()) };
        // A loop fails as a whole unless every failed item is ignored.
        let traits = items.iter().fold(first.traits, |all, item| Traits {
            no_log: all.no_log || item.traits.no_log,
            ignore_errors: all.ignore_errors || item.traits.ignore_errors,
            ignore_unreachable: all.ignore_unreachable || item.traits.ignore_unreachable,
            ..all
        });
        let status = self.status(&whole.result, traits);
        let shown = Item { traits, ..Item::ready(ItemOf::none(), Map::new()) };
        let shown = Item { delegate: first.delegate.clone(), ..shown };
        if !status.is_failure() {
            self.notify(sent, &whole.result)?;
        }
        if !matches!(status, Status::Skipped | Status::Unreachable) {
            self.mark_role(sent);
        }
        self.report_ended(sent, &shown, &whole, status, None);
        self.run.count(&self.host, status, results::is_changed(&whole.result), traits.ignore_unreachable);
        match status {
            Status::Unreachable if traits.ignore_unreachable => Ok(()),
            Status::Unreachable => {
                self.run.connections.forget(&self.host);
                Err(Stop::Unreachable)
            }
            Status::Failed | Status::Rescued => {
                self.other_hosts(sent, status);
                Err(Stop::Failed(Box::new(Failed {
                    task: sent.task.clone(),
                    result: whole.result,
                    pulled: false,
                })))
            }
            _ => Ok(()),
        }
    }

    /// `any_errors_fatal` and `max_fail_percentage`: a failure here may be the end for all.
    fn other_hosts(&self, sent: &Sent, status: Status) {
        let keywords = &sent.task.keywords;
        let fatal = |v: &Option<Value>| {
            v.as_ref().is_some_and(|v| {
                self.template(&sent.task, v, &ItemOf::none())
                    .ok()
                    .and_then(|v| v.truth().ok())
                    .unwrap_or(false)
            })
        };
        if status == Status::Rescued {
            if fatal(&keywords.any_errors_fatal) || self.run.settings.any_errors_fatal {
                self.course.pull(&sent.path);
            }
            return;
        }
        if fatal(&keywords.any_errors_fatal)
            || fatal(&keywords.run_once)
            || self.run.settings.any_errors_fatal
        {
            self.play.fatal.store(true, std::sync::atomic::Ordering::SeqCst);
            self.course.stop_after(&sent.path);
        } else if let Some(most) = self.play.max_fail_percentage {
            let (failed, all) = self.course.failures();
            // This host is not counted yet.
            if (failed + 1) as f64 / all as f64 * 100.0 > most {
                self.play.fatal.store(true, std::sync::atomic::Ordering::SeqCst);
                self.course.stop_after(&sent.path);
            }
        }
    }

    /// Registered results and facts.
    fn leave(&mut self, sent: &Sent, items: &[Item], whole: &Finished, each: &[Finished]) {
        let pairs: Vec<(&Item, &Map)> = if sent.looped {
            items.iter().zip(each.iter().map(|f| &f.result)).collect()
        } else {
            items.iter().zip(std::iter::once(&whole.result)).collect()
        };
        if matches!(&*sent.task.module, "setup" | "gather_facts") {
            self.run.variables.facts_arrived(&self.host);
        }
        for (item, result) in pairs {
            if crate::actions::has_effect(&sent.task.module) {
                continue;
            }
            if let Some(Json::Object(facts)) = result.get("ansible_facts") {
                let to = match &item.delegate {
                    Some(delegate) if item.traits.delegate_facts => delegate.as_str(),
                    _ => &*self.host,
                };
                self.run.take_facts(to, facts, &sent.task.module);
                if let Some(once) = &mut self.collect {
                    once.facts.push((facts.clone(), sent.task.module.clone()));
                }
            }
        }
        if let Some(name) = &sent.task.register {
            let value = register_value(sent, items, &whole.result);
            let value = if &*sent.task.module == "set_fact" { self.with_own_facts(value) } else { value };
            self.run.variables.register(&self.host, name.clone(), value.clone());
            if let Some(once) = &mut self.collect {
                once.registered = Some((name.clone(), value));
            }
        }
    }
}

impl Walker {
    /// The facts in what `set_fact` registers are those of the playbook, not their copies in JSON.
    fn with_own_facts(&self, registered: Value) -> Value {
        let facts = registered.as_dict().and_then(|dict| dict.get("ansible_facts").ok().flatten());
        let Some(facts) = facts.and_then(|facts| facts.as_dict()) else { return registered };
        let own = |(key, value): (Value, Value)| {
            let known = key.as_str().and_then(|name| self.run.variables.known(&self.host, name));
            (key, known.unwrap_or(value))
        };
        let facts = Value::dict(facts.raw_items().into_iter().map(own));
        let entries = registered.as_dict().map(|dict| dict.raw_items()).unwrap_or_default();
        Value::dict(entries.into_iter().map(|(key, value)| {
            let value = if key.as_str() == Some("ansible_facts") { facts.clone() } else { value };
            (key, value)
        }))
    }
}

/// What is registered. Items of a loop are those of the playbook, not their copies in JSON: text that a person
/// wrote there stays an expression that may be evaluated.
fn register_value(sent: &Sent, items: &[Item], result: &Map) -> Value {
    let kept = registered(result);
    let (true, Some(Json::Array(each))) = (sent.looped, kept.get("results")) else {
        return Value::from_json(&Json::Object(kept));
    };
    let with_item = |(one, item): (&Json, &Item)| match (one, &item.of.value) {
        (Json::Object(one), Some(own)) => Value::dict(one.iter().map(|(name, value)| {
            let value = if **name == *item.of.loop_var {
                own.resolved().unwrap_or_else(|_| Value::from_json(value))
            } else {
                Value::from_json(value)
            };
            (Value::str(name.as_str()), value)
        })),
        _ => Value::from_json(one),
    };
    let results = Value::list(each.iter().zip(items).map(with_item).collect());
    Value::dict(kept.iter().map(|(name, value)| {
        let value = if name == "results" { results.clone() } else { Value::from_json(value) };
        (Value::str(name.as_str()), value)
    }))
}

/// Internal keys stay inside.
fn registered(result: &Map) -> Map {
    result
        .iter()
        .filter(|(k, _)| !k.starts_with("_ansible") && *k != "invocation")
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// The item that a result is of, as results of loops tell it.
fn name_item(result: &mut Map, item: &Item) {
    let value = item.of.value.as_ref().and_then(|v| v.resolved().ok()).and_then(|v| v.to_json().ok());
    result.insert("ansible_loop_var".to_owned(), (*item.of.loop_var).into());
    result.insert((*item.of.loop_var).to_owned(), value.unwrap_or(Json::Null));
    if let Some((name, number)) = &item.of.index_var {
        result.insert("ansible_index_var".to_owned(), (**name).into());
        result.insert((**name).to_owned(), (*number).into());
    }
}

/// The result of a loop as a whole.
fn whole_loop(items: &[Item], finished: &[Finished]) -> Option<Finished> {
    let any = |test: fn(&Map) -> bool| finished.iter().any(|f| test(&f.result));
    let all_skipped = !finished.is_empty() && finished.iter().all(|f| results::is_skipped(&f.result));
    let mut result = Map::new();
    let mut list = Vec::with_capacity(finished.len());
    for (item, ended) in items.iter().zip(finished) {
        let mut one = registered(&ended.result);
        name_item(&mut one, item);
        list.push(Json::Object(one));
    }
    result.insert("results".to_owned(), Json::Array(list));
    result.insert("changed".to_owned(), any(results::is_changed).into());
    if all_skipped {
        result.insert("skipped".to_owned(), true.into());
        result.insert("msg".to_owned(), "All items skipped".into());
    } else if any(results::is_failed) {
        result.insert("failed".to_owned(), true.into());
        result.insert("msg".to_owned(), "One or more items failed".into());
    } else {
        result.insert("msg".to_owned(), "All items completed".into());
    }
    if any(results::is_unreachable) {
        result.insert("unreachable".to_owned(), true.into());
    }
    let paths = finished.iter().flat_map(|f| f.paths.iter().cloned()).collect();
    Some(Finished { result, paths, seconds: finished.iter().map(|f| f.seconds).sum() })
}
