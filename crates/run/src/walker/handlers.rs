//! Handlers: notified by name or topic, run once, in the order in which they are defined.

use std::collections::HashSet;
use std::sync::Arc;

use catalog::Map;
use playbook::Diagnostic;
use playbook::ir::{IncludeKind, Task};

use super::blocks::{END, child};
use super::perform::end_of;
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
            let found = self.called(name, &sent.path);
            if found.is_empty() {
                return Err(self.no_such_handler(sent, name));
            }
            if self.flushing {
                self.due.extend(found);
            } else if !self.notified.iter().any(|known| known == name) {
                self.notified.push(name.to_owned());
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

    /// By name one handler, by topic all that listen, of those with the same name the last.
    fn called(&self, name: &str, here: &[u32]) -> Vec<Arc<Task>> {
        let handlers = self.play.handlers.last_brought_first(here);
        let named = handlers.iter().find(|handler| self.is_called(handler, name));
        let mut seen = HashSet::new();
        let listening = handlers.iter().filter(|handler| {
            self.listens(handler, name) && (handler.name.is_none() || seen.insert(self.plain_name(handler)))
        });
        named.into_iter().chain(listening).cloned().collect()
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
        if self.flushing {
            return Ok(());
        }
        let notified = std::mem::take(&mut self.notified);
        let found: Vec<_> = notified.iter().flat_map(|name| self.called(name, base)).collect();
        self.due.extend(found);
        self.flushing = true;
        let flow = self.run_due(base).await;
        self.flushing = false;
        flow
    }

    async fn run_due(&mut self, base: &Path) -> Flow {
        let end = end_of(base);
        let mut round = 0;
        while !self.due.is_empty() {
            round += 1;
            let handlers = self.play.handlers.until(&end);
            self.due.retain(|due| handlers.iter().any(|known| Arc::ptr_eq(known, due)));
            for (number, handler) in handlers.iter().enumerate() {
                if !self.due.iter().any(|due| Arc::ptr_eq(due, handler)) {
                    continue;
                }
                let path = child(&child(base, round), number + 1);
                self.handler(handler, &path).await?;
                self.settle_all().await?;
                self.due.retain(|due| !Arc::ptr_eq(due, handler));
            }
            if round > 100 {
                self.warn("handlers notify each other without end; stopped".to_owned());
                self.due.clear();
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

    /// Handlers that will not run any more, in the order in which they would have.
    pub(crate) fn notified_names(&self) -> Vec<String> {
        let everywhere = [END];
        let mut due = self.due.clone();
        due.extend(self.notified.iter().flat_map(|name| self.called(name, &everywhere)));
        let handlers = self.play.handlers.until(&everywhere);
        let lost = handlers.iter().filter(|handler| due.iter().any(|due| Arc::ptr_eq(due, handler)));
        lost.map(|handler| self.plain_name(handler)).collect()
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
