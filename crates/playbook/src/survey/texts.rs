//! Every template and expression of a task: do they parse, which variables do they need, are their filters known.

use expressions::{Outline, Str, Value};

use super::{Here, Level, Surveyor};
use crate::diagnostic::Diagnostic;
use crate::ir::Task;

/// Arguments that are expressions without braces.
fn is_expression(module: &str, argument: &str) -> bool {
    matches!((module, argument), ("assert", "that") | ("debug", "var"))
}

impl Surveyor {
    pub(super) fn texts(&mut self, task: &Task, certain: bool) {
        let keywords = &task.keywords;
        for condition in keywords.when.iter().take(1) {
            // The first one is asked in any case; what it says decides about the others.
            self.text(condition, true, certain && !is_looped(task));
        }
        keywords.when.iter().skip(1).for_each(|condition| self.text(condition, true, false));
        let later = [&task.changed_when, &task.failed_when, &task.until];
        later.into_iter().flatten().flatten().for_each(|condition| self.text(condition, true, false));
        let certain = certain && keywords.when.is_empty();
        if let Some(looped) = &task.loop_ {
            let first_found = looped.with.as_deref() == Some("first_found");
            self.text(&looped.items, false, certain && !first_found);
            looped.break_when.iter().for_each(|condition| self.text(condition, true, false));
        }
        let certain = certain && task.loop_.is_none();
        for (name, value) in task.args.iter() {
            self.text(value, is_expression(&task.module, name), certain && &*task.module != "debug");
        }
        for value in task.name.iter().chain(&task.args_template).chain(&keywords.environment) {
            self.text(value, false, false);
        }
        for layer in &keywords.vars {
            layer.vars.values().for_each(|value| self.text(value, false, false));
        }
        let single =
            [&keywords.become_user, &keywords.delegate_to, &task.retries, &task.delay, &task.async_seconds];
        single.into_iter().flatten().for_each(|value| self.text(value, false, false));
    }

    /// One value: a template, an expression, or something with such inside.
    pub(super) fn text(&mut self, value: &Value, expression: bool, certain: bool) {
        match value {
            Value::Str(text) if text.is_template() => {
                let outline = self.engine.outline(text);
                self.outlined(outline, text, certain);
            }
            Value::Str(text) if expression && text.is_trusted() && !text.as_str().trim().is_empty() => {
                let outline = self.engine.outline_expression(text);
                self.outlined(outline, text, certain);
            }
            Value::List(list) => {
                list.raw_items().iter().for_each(|item| self.text(item, expression, certain));
            }
            Value::Dict(dict) => {
                for (key, item) in dict.raw_items() {
                    self.text(&key, false, false);
                    self.text(&item, false, certain);
                }
            }
            _ => {}
        }
    }

    fn outlined(&mut self, outline: Result<Outline, expressions::Error>, text: &Str, certain: bool) {
        match outline {
            Ok(outline) => self.about(outline, certain),
            Err(error) => {
                let mut problem = Diagnostic::from(error).rule("template");
                if let Some(origin) = text.origin() {
                    problem = problem.at(origin);
                }
                self.note(problem);
            }
        }
    }

    /// What a template that parses says.
    pub(super) fn about(&mut self, outline: Outline, certain: bool) {
        for (kind, unknown) in [("filter", &outline.filters), ("test", &outline.tests)] {
            for (name, place) in unknown {
                // Those of collections and of the project are looked for when they are used.
                if name.contains('.') || self.plugins {
                    continue;
                }
                let text = format!("there is no {kind} `{name}`");
                let near = self.engine.nearest_name(kind == "filter", name);
                let mut problem = Diagnostic::warning(text).at(place).rule("unknown-filter");
                problem = match &near {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => {
                        problem.hint("one of a collection needs its full name, `namespace.collection.name`")
                    }
                };
                self.push(if near.is_some() { Level::Error } else { Level::Warning }, problem);
            }
        }
        self.names.use_of(&outline, certain);
    }

    pub(super) fn is_certain(task: &Task, here: &Here<'_>) -> bool {
        here.certain
            && task.keywords.ignore_errors.is_none()
            && task.failed_when.is_none()
            && !task.is_handler
    }
}

fn is_looped(task: &Task) -> bool {
    task.loop_.is_some()
}
