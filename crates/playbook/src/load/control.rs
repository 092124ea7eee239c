//! Loops, waiting and results: `loop`, `with_*`, `loop_control`, `register`, `until`, `changed_when` and so on.

use std::sync::Arc;

use expressions::Value;

use super::reader::{Entry, Reader, is_name};
use crate::diagnostic::Diagnostic;
use crate::ir::Loop;
use crate::yaml::Kind;

const LOOP_CONTROL: &[&str] =
    &["loop_var", "index_var", "label", "pause", "extended", "extended_allitems", "break_when"];

impl Reader<'_> {
    /// The loop of a task, if it has one.
    pub(super) fn loop_of(&mut self, entries: &[Entry<'_>]) -> Option<Loop> {
        let mut found: Option<Loop> = None;
        let mut first: Option<&Entry<'_>> = None;
        for entry in entries {
            let with = entry.name.strip_prefix("with_");
            if entry.name != "loop" && with.is_none() {
                continue;
            }
            if let Some(first) = first {
                let message = if with.is_some() && first.name != "loop" {
                    format!("duplicate loop in task: {} and {}", first.name, entry.name)
                } else {
                    "you cannot use both `loop` and `with_*` in one task".to_owned()
                };
                let problem = Diagnostic::new(message).at(&entry.key.origin);
                self.errors.push(problem.related("the first loop is here", &first.key.origin));
                continue;
            }
            first = Some(entry);
            let items = self.value(entry.value);
            if matches!(items, Value::None) && with.is_none() {
                continue;
            }
            if with.is_none() && matches!(items, Value::Dict(_)) {
                self.error_hint(
                    "invalid data passed to 'loop', it requires a list, got a mapping",
                    &entry.value.origin,
                    "use `loop: \"{{ … | dict2items }}\"` or `with_dict`",
                );
            }
            found = Some(plain_loop(with, items));
        }
        let control = entries.iter().find(|entry| entry.name == "loop_control");
        if let Some(control) = control {
            self.loop_control(control, found.as_mut());
        }
        found
    }

    fn loop_control(&mut self, control: &Entry<'_>, target: Option<&mut Loop>) {
        if matches!(control.value.kind, Kind::Null) {
            return;
        }
        let mut unused = plain_loop(None, Value::None);
        let target = target.unwrap_or(&mut unused);
        for entry in self.entries(control.value, "`loop_control`").unwrap_or_default() {
            match entry.name.as_str() {
                "loop_var" => {
                    if let Some(name) = self.variable_name(&entry) {
                        target.loop_var = name;
                    }
                }
                "index_var" => target.index_var = self.variable_name(&entry),
                "label" => target.label = self.optional(entry.value),
                "pause" => target.pause = self.number(&entry),
                "extended" => target.extended = self.flag(&entry, false),
                "extended_allitems" => target.extended_allitems = self.flag(&entry, true),
                "break_when" => target.break_when = self.conditions(entry.value, "break_when"),
                name => {
                    let mut problem =
                        Diagnostic::new(format!("'{name}' is not a valid attribute for a LoopControl"));
                    if let Some(nearest) = catalog::arguments::nearest(name, LOOP_CONTROL.iter().copied()) {
                        problem = problem.hint(format!("did you mean `{nearest}`?"));
                    }
                    self.errors.push(problem.at(&entry.key.origin));
                }
            }
        }
    }

    /// A name that a result goes to.
    pub(super) fn variable_name(&mut self, entry: &Entry<'_>) -> Option<Arc<str>> {
        let text = self.text(entry.value, &format!("`{}`", entry.name))?;
        if text.contains("{{") {
            return Some(text.into());
        }
        if !is_name(&text) {
            self.error_hint(
                format!("Invalid variable name in '{}' specified: '{text}'", entry.name),
                &entry.value.origin,
                "names are letters, digits and `_`, and do not begin with a digit",
            );
            return None;
        }
        Some(text.into())
    }

    /// A boolean that has to be known while reading.
    pub(super) fn flag(&mut self, entry: &Entry<'_>, default: bool) -> bool {
        match self.boolean(entry) {
            Some(Value::Bool(flag)) => flag,
            Some(Value::Int(number)) => number != 0,
            Some(Value::Str(text)) => catalog::arguments::truth(text.as_str()).unwrap_or(default),
            _ => default,
        }
    }
}

fn plain_loop(with: Option<&str>, items: Value) -> Loop {
    Loop {
        with: with.map(Arc::from),
        items,
        loop_var: "item".into(),
        index_var: None,
        label: None,
        pause: None,
        extended: false,
        extended_allitems: true,
        break_when: Vec::new(),
    }
}
