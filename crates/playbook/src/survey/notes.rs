//! Old ways of writing things: they work, and there are better ones.

use expressions::Value;

use super::{Level, Surveyor};
use crate::diagnostic::Diagnostic;
use crate::ir::Task;

impl Surveyor {
    pub(super) fn notes(&mut self, task: &Task) {
        for condition in &task.keywords.when {
            let Value::Str(text) = condition else { continue };
            if text.as_str().trim_start().starts_with("{{")
                && let Some(origin) = text.origin()
            {
                let problem =
                    Diagnostic::warning("a condition is an expression already: it needs no `{{ }}`");
                self.push(Level::Note, problem.at(origin).rule("old-form"));
            }
        }
        if &*task.action == "action" || &*task.action == "include" {
            return;
        }
        if let Some(origin) = one_line(task) {
            let text = format!("the arguments of `{}` stand in one line as `name=value`", task.action);
            let problem = Diagnostic::warning(text).at(&origin).rule("old-form");
            self.push(Level::Note, problem.hint("write each below the module, as `name: value`"));
        }
    }
}

/// Arguments that were split out of one text have one place.
fn one_line(task: &Task) -> Option<expressions::Origin> {
    if matches!(&*task.module, "command" | "shell" | "script" | "raw" | "meta") {
        return None;
    }
    let places: Vec<_> = task
        .args
        .values()
        .filter_map(|value| match value {
            Value::Str(text) => text.origin().cloned(),
            _ => None,
        })
        .collect();
    let first = places.first()?;
    (places.len() > 1 && places.len() == task.args.len() && places.iter().all(|place| place == first))
        .then(|| (**first).clone())
}
