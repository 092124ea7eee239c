//! What a template of a playbook gave before ansible-core 2.19, on request: text; and text that reads as a list, a mapping,
//! `True` or `False` became that.

use crate::ast::{Expr, Kind, Node};
use crate::literal;
use crate::value::{Str, Value};

/// Filters whose text was left alone.
const FINISHING: [&str; 7] =
    ["string", "to_json", "to_nice_json", "to_yaml", "to_nice_yaml", "ppretty", "json"];

/// Whether 2.18 left alone what this filter gives.
pub(crate) fn finishes(filter: &str) -> bool {
    FINISHING.contains(&crate::filters::short_name(filter))
}

/// Marks the text of a filter as finished.
pub(crate) fn finished(value: Value) -> Value {
    match value {
        Value::Str(text) => Value::Str(Str::finished(text.text().clone())),
        other => other,
    }
}

/// Nothing but the name of a variable: its value kept its type.
pub(crate) fn is_variable(body: &[Node]) -> bool {
    matches!(body, [Node::Emit(Expr { kind: Kind::Name(_), .. })])
}

/// 2.18's value, and what there is to say if 2.19 gives another kind of value. Numbers that become text are not told: that
/// happens everywhere, and seldom matters.
pub(crate) fn meaning(value: Value, variable: bool) -> (Value, Option<&'static str>) {
    match value {
        Value::Str(text) => match reading(&text) {
            Some(read) => {
                let kind = match &read {
                    Value::Bool(_) => "true or false",
                    Value::List(_) => "a list",
                    _ => "a mapping",
                };
                (read, Some(kind))
            }
            None => (Value::Str(text), None),
        },
        Value::None if !variable => (Value::str(""), Some("an empty text")),
        Value::Int(_) | Value::Float(_) | Value::Big(_) if !variable => match value.python_str() {
            Ok(text) => (Value::from(text), None),
            Err(_) => (value, None),
        },
        other => (other, None),
    }
}

/// What the text reads as, if 2.18 would have read it.
fn reading(text: &Str) -> Option<Value> {
    let source = text.as_str();
    match source {
        _ if text.is_finished() => None,
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        _ if source.starts_with(['[', '{']) => literal::parse_data(source.trim_end())
            .filter(|read| matches!(read, Value::List(_) | Value::Dict(_))),
        _ => None,
    }
}
