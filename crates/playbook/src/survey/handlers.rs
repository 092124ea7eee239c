//! Handlers: those that are notified and do not exist, and those that nobody notifies.

use std::collections::HashSet;
use std::sync::Arc;

use expressions::{Origin, Value};

use super::{Finding, Level};
use crate::diagnostic::Diagnostic;
use crate::ir::Task;

/// Of one play.
#[derive(Default)]
pub(super) struct Handlers {
    /// Names and topics.
    names: Vec<Name>,
    notified: Vec<Notified>,
}

struct Name {
    text: String,
    /// With templates in it: what stands around them.
    parts: Option<Vec<String>>,
    origin: Arc<Origin>,
    /// Of the handler itself, not a topic that it listens to.
    own: bool,
    /// The place of the handler, to tell topics of one from those of another.
    handler: Arc<Origin>,
}

struct Notified {
    /// A run is known to come here.
    reached: bool,
    text: String,
    parts: Option<Vec<String>>,
    origin: Arc<Origin>,
}

impl Handlers {
    pub(super) fn define_all(&mut self, handlers: &[Arc<Task>]) {
        handlers.iter().for_each(|handler| self.define(handler));
    }

    pub(super) fn define(&mut self, handler: &Task) {
        let role = handler.role.as_ref().map(|role| role.name.clone());
        let mut add = |value: &Value, own: bool| {
            let Ok(text) = value.python_str() else { return };
            let origin = place(value).unwrap_or_else(|| handler.origin.clone());
            let handler = handler.origin.clone();
            if let (true, Some(role)) = (own, &role) {
                let text = format!("{role} : {text}");
                let parts = parts(&text);
                self.names.push(Name { text, parts, origin: origin.clone(), own, handler: handler.clone() });
            }
            let parts = parts(&text);
            self.names.push(Name { text, parts, origin, own, handler });
        };
        if let Some(name) = &handler.name {
            add(name, true);
        }
        for topic in &handler.listen {
            match topic.as_list() {
                Some(list) => list.iter().for_each(|topic| add(topic, false)),
                None => add(topic, false),
            }
        }
    }

    pub(super) fn notify(&mut self, task: &Task, reached: bool) {
        for value in &task.notify {
            let Ok(text) = value.python_str() else { continue };
            let parts = parts(&text);
            let origin = place(value).unwrap_or_else(|| task.origin.clone());
            self.notified.push(Notified { reached, text, parts, origin });
        }
    }

    pub(super) fn findings(&self, alone: bool) -> Vec<Finding> {
        let mut found = Vec::new();
        for wanted in &self.notified {
            let whole_template =
                wanted.parts.as_ref().is_some_and(|parts| parts.iter().all(|part| part.trim().is_empty()));
            if whole_template
                || self.names.iter().any(|name| fits(&name.text, &name.parts, &wanted.text, &wanted.parts))
            {
                continue;
            }
            let names: HashSet<&str> = self.names.iter().map(|name| name.text.as_str()).collect();
            let near = catalog::arguments::nearest(&wanted.text, names.into_iter());
            let mut problem =
                Diagnostic::new(format!("no handler has the name `{}`, and none listens to it", wanted.text))
                    .at(&wanted.origin)
                    .rule("missing-handler");
            problem = match near {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None if alone => {
                    problem.hint("the play that uses the role, or a role that is not there, has to have it")
                }
                None => problem.hint("the task fails when it has changed something"),
            };
            // The play that uses a role may have it.
            let level = if alone || !wanted.reached { Level::Warning } else { Level::Error };
            found.push(Finding { level, diagnostic: problem });
        }
        found.extend(self.unused());
        found
    }

    fn unused(&self) -> Vec<Finding> {
        let used: HashSet<&Origin> = self
            .names
            .iter()
            .filter(|name| {
                self.notified.iter().any(|one| fits(&name.text, &name.parts, &one.text, &one.parts))
            })
            .map(|name| &*name.handler)
            .collect();
        let mut said = HashSet::new();
        let lonely = self.names.iter().filter(|name| name.own && !used.contains(&*name.handler));
        lonely
            .filter(|name| !name.text.contains(" : ") && said.insert(name.handler.clone()))
            .map(|name| {
                let text = format!("nobody notifies the handler `{}`", name.text);
                Finding {
                    level: Level::Note,
                    diagnostic: Diagnostic::warning(text).at(&name.origin).rule("unused-handler"),
                }
            })
            .collect()
    }
}

fn place(value: &Value) -> Option<Arc<Origin>> {
    match value {
        Value::Str(text) => text.origin().cloned(),
        _ => None,
    }
}

/// What stands around the templates of a text; `None`: there are none.
fn parts(text: &str) -> Option<Vec<String>> {
    if !text.contains("{{") && !text.contains("{%") {
        return None;
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        parts.push(rest[..start].to_owned());
        let close = if rest[start..].starts_with("{{") { "}}" } else { "%}" };
        rest = rest[start..].find(close).map_or("", |end| &rest[start + end + 2..]);
    }
    parts.push(rest.to_owned());
    Some(parts)
}

/// Whether the two can be the same text.
fn fits(name: &str, parts: &Option<Vec<String>>, wanted: &str, wanted_parts: &Option<Vec<String>>) -> bool {
    match (parts, wanted_parts) {
        (None, None) => name == wanted,
        (Some(parts), None) => around(parts, wanted),
        (None, Some(parts)) => around(parts, name),
        // Both are only known when they run.
        (Some(_), Some(_)) => true,
    }
}

fn around(parts: &[String], text: &str) -> bool {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return true };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}
