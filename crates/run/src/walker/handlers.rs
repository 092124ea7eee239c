//! Handlers: notified by name or topic, run once, in the order in which they are defined.

use std::sync::Arc;

use catalog::Map;
use playbook::Diagnostic;
use playbook::ir::{IncludeKind, Task};

use super::blocks::child;
use super::prepare::{ItemOf, is_name};
use super::settle::{Item, Sent};
use super::{Flow, Stop, Walker};
use crate::course::Path;
use crate::results;

impl Walker {
    /// A changed task names its handlers; of a loop all items that were done do, as soon as one has changed something.
    pub(crate) fn notify(&mut self, sent: &Sent, items: &[Item], result: &Map) -> Flow {
        if sent.task.notify.is_empty() || !results::is_changed(result) {
            return Ok(());
        }
        let written = sent.task.notify.iter().filter(|name| is_name(name)).filter_map(|name| name.as_str());
        for name in written.chain(items.iter().flat_map(|item| &item.notify).map(String::as_str)) {
            if !self.notify_name(name) {
                return Err(self.no_such_handler(sent, name));
            }
        }
        Ok(())
    }

    fn no_such_handler(&self, sent: &Sent, name: &str) -> Stop {
        let text = format!(
            "The requested handler '{name}' was not found: the task `{}` notifies it, and no handler has the name or listens to it",
            sent.step.name
        );
        let hint = "handlers are looked for by name and by `listen`";
        self.run.give_up(Diagnostic::new(text).at(&sent.task.origin).hint(hint));
        self.course.stop_after(&[]);
        Stop::Interrupted
    }

    /// By name one handler, by topic all that listen; false if there is none.
    fn notify_name(&mut self, name: &str) -> bool {
        let handlers = self.play.handlers.read().clone();
        let named = self.named(&handlers, name);
        let listening: Vec<usize> =
            handlers.iter().enumerate().filter(|(_, h)| self.listens(h, name)).map(|(n, _)| n).collect();
        if named.is_none() && listening.is_empty() {
            return false;
        }
        self.notified.extend(named);
        self.notified.extend(listening);
        true
    }

    /// Handlers of one role (or of the play) stand together: the last such group that has one so called, and in it
    /// the first.
    fn named(&self, handlers: &[Arc<Task>], name: &str) -> Option<usize> {
        let called = |n: &usize| self.is_called(&handlers[*n], name);
        let last = (0..handlers.len()).rev().find(called)?;
        let group = |n: usize| handlers[n].role.as_ref().map(|role| &role.name);
        let start = (0..last).rev().take_while(|n| group(*n) == group(last)).last().unwrap_or(last);
        (start..=last).find(called)
    }

    fn is_called(&self, handler: &Arc<Task>, name: &str) -> bool {
        let plain = self.plain_name(handler);
        if plain == name {
            return true;
        }
        handler.role.as_ref().is_some_and(|role| {
            name == format!("{} : {plain}", role.name)
                || name == format!("{} : {plain}", playbook::load::short_name(&role.name))
        })
    }

    fn listens(&self, handler: &Arc<Task>, name: &str) -> bool {
        handler.listen.iter().any(|topic| topic.as_str() == Some(name))
            || handler
                .listen
                .iter()
                .any(|topic| topic.as_str().is_none() || topic.as_str().is_some_and(|t| t.contains("{{")))
                && handler.listen.iter().any(|topic| {
                    let topic = self.template(handler, topic, &ItemOf::none()).ok();
                    topic.is_some_and(|t| match t.as_list() {
                        Some(list) => list.iter().any(|t| t.as_str() == Some(name)),
                        None => t.as_str() == Some(name),
                    })
                })
    }

    /// Run what is notified. Handlers that notify others: those run too.
    pub(crate) async fn flush_handlers(&mut self, base: &Path) -> Flow {
        self.settle_all().await?;
        let mut round = 0;
        while !self.notified.is_empty() {
            round += 1;
            let handlers = self.play.handlers.read().clone();
            for (number, handler) in handlers.iter().enumerate() {
                if !self.notified.contains(&number) {
                    continue;
                }
                let path = child(&child(base, round), number + 1);
                self.handler(handler, &path).await?;
                self.settle_all().await?;
                self.notified.remove(&number);
            }
            // A role that was included by a handler may have added handlers.
            let known = self.play.handlers.read().len();
            self.notified.retain(|number| *number < known);
            if round > 100 {
                self.warn("handlers notify each other without end; stopped".to_owned());
                self.notified.clear();
            }
        }
        Ok(())
    }

    async fn handler(&mut self, handler: &Arc<Task>, path: &Path) -> Flow {
        // Tags do not keep a notified handler from running.
        self.stop_at(path)?;
        self.tell_frontier(path);
        if let Some(include) = handler.include.clone() {
            return self.include(handler, &include, path).await;
        }
        if &*handler.module == "meta" {
            return self.meta(handler, path).await;
        }
        self.perform(handler, path).await
    }

    fn stop_at(&self, path: &Path) -> Flow {
        if !self.ending && self.course.is_stopped(path) { Err(super::Stop::EndPlay) } else { Ok(()) }
    }

    pub(crate) fn notified_names(&self) -> Vec<String> {
        let handlers = self.play.handlers.read();
        let mut numbers: Vec<usize> = self.notified.iter().copied().collect();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|n| handlers.get(n)).map(|h| self.plain_name(h)).collect()
    }

    /// A task's name as written, templates resolved where they can be.
    pub(crate) fn plain_name(&self, task: &Arc<Task>) -> String {
        let Some(name) = &task.name else { return unnamed(task) };
        if let Some(text) = name.as_str()
            && !text.contains("{{")
        {
            return text.to_owned();
        }
        let resolved = self.template(task, name, &ItemOf::none()).ok().and_then(|v| v.python_str().ok());
        resolved.unwrap_or_else(|| name.as_str().unwrap_or_default().to_owned())
    }

    /// With its role in front; the inclusion of a role has none.
    pub(crate) fn display_name(&self, task: &Arc<Task>) -> String {
        let name = self.plain_name(task);
        match &task.role {
            Some(role) if !includes_role(task) => format!("{} : {name}", role.name).trim().to_owned(),
            _ => name.trim().to_owned(),
        }
    }
}

fn includes_role(task: &Task) -> bool {
    task.include.as_ref().is_some_and(|include| include.kind == IncludeKind::Role)
}

/// The action, and which role is included, as written.
fn unnamed(task: &Task) -> String {
    let role = || ["name", "role"].iter().find_map(|key| task.args.get(*key)?.as_str());
    match includes_role(task).then(role).flatten() {
        Some(role) => format!("{} : {role}", task.action),
        None => task.action.to_string(),
    }
}
