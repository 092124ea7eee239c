//! The end of a task on a host: what is told, what is registered, what it leaves for handlers and other hosts.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use catalog::{Json, Map};
use expressions::{Context as _, Error, Value};

use super::prepare::{ItemOf, Traits};
use super::settle::{Finished, Item, Sent, with_result};
use super::{Failed, Flow, Stop, Walker};
use crate::event::{Ended, Event, Status};
use crate::results;

impl Walker {
    pub(super) fn report_item(&self, sent: &Sent, item: &Item, finished: &mut Finished) {
        let label = self.label(sent, item, &finished.result).unwrap_or_else(|error| {
            // A label that cannot be made fails the item, as it does with Ansible.
            let why = format!("Failed to template loop_control.label: {}", error.message);
            finished.result.insert("failed".to_owned(), true.into());
            finished.result.insert("msg".to_owned(), why.into());
            item.of.value.as_ref().and_then(|value| value.python_str().ok()).unwrap_or_default()
        });
        let status = self.status(sent, &finished.result, item.traits);
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
            delegate_address: self.delegate_address(sent, item),
            status,
            goes_on: status == Status::Unreachable && item.traits.ignore_unreachable,
            item: label,
            looped: sent.looped,
            result: Arc::new(result),
            diff: item.traits.diff,
            seconds: finished.seconds,
            paths: if item.traits.no_log { Vec::new() } else { finished.paths.clone() },
        };
        self.report(&sent.path, Event::Ended(ended));
    }

    /// Where the host is that it was delegated to, if its name does not say so.
    fn delegate_address(&self, sent: &Sent, item: &Item) -> Option<String> {
        let name = item.delegate.as_ref().filter(|name| **name != *self.host)?;
        let scope = self.scope(&sent.task, &item.of).of_host(Arc::from(name.as_str()));
        let address = scope.variable("ansible_host").ok().flatten()?.python_str().ok()?;
        (address != *name).then_some(address)
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

    fn status(&self, sent: &Sent, result: &Map, traits: Traits) -> Status {
        if results::is_unreachable(result) {
            Status::Unreachable
        } else if results::is_failed(result) {
            match (traits.ignore_errors, self.rescuing > 0) {
                _ if results::is_beyond_rescue(&sent.task, result) => Status::Failed,
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

    pub(super) fn finish(&mut self, sent: &Sent, items: &[Item], mut finished: Vec<Finished>) -> Flow {
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
        let status = self.status(sent, &whole.result, traits);
        let shown = Item { traits, ..Item::ready(ItemOf::none(), Map::new()) };
        let shown = Item { delegate: first.delegate.clone(), ..shown };
        if !status.is_failure() {
            self.notify(sent, items, &whole.result)?;
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
                self.other_hosts(sent, status);
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
    fn other_hosts(&mut self, sent: &Sent, status: Status) {
        let is_set = |value: &Option<Value>| {
            let value =
                value.as_ref().and_then(|value| self.template(&sent.task, value, &ItemOf::none()).ok());
            value.and_then(|value| value.truth().ok()).unwrap_or(false)
        };
        let keywords = &sent.task.keywords;
        let fatal = is_set(&keywords.any_errors_fatal) || self.run.settings.any_errors_fatal;
        let once = is_set(&keywords.run_once);
        if fatal {
            self.course.pull(&sent.path);
        }
        if status == Status::Rescued {
            return;
        }
        if fatal || once {
            self.end_for_all(&sent.path);
        } else if status == Status::Failed && self.too_many_failed() {
            self.course.pull(&sent.path);
            self.play.too_many.store(!self.play.force_handlers, SeqCst);
            self.end_for_all(&sent.path);
        }
    }

    /// With this host, which is not counted yet. A failure that an `always` follows is never counted.
    fn too_many_failed(&self) -> bool {
        let Some(most) = self.play.max_fail_percentage.filter(|_| self.sheltered == 0) else { return false };
        let (failed, all) = self.course.failures();
        (failed + 1) as f64 / all as f64 * 100.0 > most
    }

    fn end_for_all(&mut self, path: &[u32]) {
        self.ending = true;
        self.play.fatal.store(true, SeqCst);
        self.course.stop_after(path);
    }

    /// Registered results and facts.
    fn leave(&mut self, sent: &Sent, items: &[Item], whole: &Finished, each: &[Finished]) {
        let pairs: Vec<(&Item, &Map)> = if sent.looped {
            items.iter().zip(each.iter().map(|f| &f.result)).collect()
        } else {
            items.iter().zip(std::iter::once(&whole.result)).collect()
        };
        if matches!(&*sent.task.module, "setup" | "gather_facts") {
            self.run.variables.facts_arrived(&self.host, Some(sent.ticket));
        }
        for (item, result) in pairs {
            if crate::actions::has_effect(&sent.task.module) {
                continue;
            }
            if let Some(Json::Object(facts)) = result.get("ansible_facts") {
                let to = item.delegate.as_deref().filter(|_| item.traits.delegate_facts);
                self.run.take_facts(to.unwrap_or(&self.host), facts, &sent.task.module);
                if let Some(once) = self.collect.as_mut().filter(|_| to.is_none()) {
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
    if !finished.is_empty() {
        result.insert("skipped".to_owned(), all_skipped.into());
    }
    let changed = any(results::is_changed);
    if changed {
        result.insert("changed".to_owned(), true.into());
    }
    if all_skipped {
        result.insert("msg".to_owned(), "All items skipped".into());
    } else if any(results::is_failed) {
        result.insert("failed".to_owned(), true.into());
        result.insert("msg".to_owned(), "One or more items failed".into());
    } else {
        result.insert("msg".to_owned(), "All items completed".into());
    }
    result.insert("changed".to_owned(), changed.into());
    if any(results::is_unreachable) {
        result.insert("unreachable".to_owned(), true.into());
    }
    if any(|result| result.contains_key(results::UNKNOWN_MODULE)) {
        result.insert(results::UNKNOWN_MODULE.to_owned(), true.into());
    }
    let paths = finished.iter().flat_map(|f| f.paths.iter().cloned()).collect();
    Some(Finished { result, paths, seconds: finished.iter().map(|f| f.seconds).sum() })
}
