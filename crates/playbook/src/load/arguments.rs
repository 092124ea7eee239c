//! Arguments of known modules, checked while reading as far as they are not templates.

use catalog::{ArgumentError, Json, Map};
use expressions::Value;

use super::reader::Reader;
use super::task::Draft;
use crate::diagnostic::Diagnostic;
use crate::ir::Keywords;

/// Stands for what is not known before the run.
const LATER: &str = "\u{0}later";

impl Reader<'_> {
    pub(super) fn check_arguments(&mut self, draft: &Draft<'_>, keywords: &Keywords, rescued: bool) {
        let Some(spec) = draft.known.as_ref().and_then(|known| known.spec) else { return };
        // Where a failure is expected and dealt with, or the task may be skipped, it is left to the run.
        let left = keywords.ignore_errors.is_some()
            || draft.entry("failed_when").is_some()
            || rescued
            || !keywords.when.is_empty();
        if let Some(raw) = &draft.given.stray {
            if !left {
                let name = &draft.action.name;
                let problem = format!("`{name}` takes `name=value` arguments, not free text: {raw}");
                let place = draft.given.place("_raw_params").unwrap_or(&draft.action.key.origin);
                self.error_hint(problem, place, "write the arguments below the module, as `name: value`");
            }
            return;
        }
        let given: Map =
            draft.given.args.iter().map(|(name, value)| (name.to_string(), static_json(value))).collect();
        let unknown = |value: &Json| value.as_str().is_some_and(|text| text.contains(LATER));
        let Err(errors) = spec.read(&given, &unknown) else { return };
        if left {
            return;
        }
        // Whatever is missing may come from there.
        let more = draft.given.template.is_some() || !keywords.module_defaults.is_empty();
        for error in errors {
            if more && matches!(error, ArgumentError::Missing { .. } | ArgumentError::Rule { .. }) {
                continue;
            }
            let place = error.argument().and_then(|name| draft.given.place(name));
            let mut problem = Diagnostic::new(error.to_string())
                .at(place.unwrap_or(&draft.action.key.origin))
                .rule("argument");
            if let ArgumentError::Unknown { name, suggestion: None, .. } = &error
                && super::keywords::Level::Task.allows(name)
            {
                problem =
                    problem.hint(format!("`{name}` is a keyword: write it beside the module, not below it"));
            }
            self.errors.push(problem);
        }
    }
}

/// The value as JSON; what is a template or secret is [`LATER`].
fn static_json(value: &Value) -> Json {
    match value {
        Value::Str(text) if text.is_template() => LATER.into(),
        Value::List(list) => list.raw_items().iter().map(static_json).collect(),
        Value::Dict(dict) => {
            let entries = dict.raw_items();
            if entries.iter().any(|(key, _)| matches!(key, Value::Str(text) if text.is_template())) {
                return LATER.into();
            }
            let entries = entries.iter();
            entries
                .map(|(key, value)| (key.python_str().unwrap_or_default(), static_json(value)))
                .collect::<Map>()
                .into()
        }
        other => other.to_json().unwrap_or_else(|_| LATER.into()),
    }
}
