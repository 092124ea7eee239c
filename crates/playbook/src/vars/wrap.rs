//! Raw values as a scope hands them out: containers lazy and of their own, secrets opened; merging of dicts.

use std::sync::Arc;

use expressions::{Dict, Error, List, Resolve, Value};

use crate::yaml::reveal;

/// A container whose elements are resolved when they are used. It is a copy: what a template does to it
/// (`append`, `update`) ends with the task.
pub(super) fn lazy(raw: &Value, resolver: &Arc<dyn Resolve>) -> Value {
    match raw {
        Value::List(list) if list.resolver.is_none() => {
            let items = list.raw_items().into_iter().map(open).collect();
            Value::List(Arc::new(List::lazy(items, resolver.clone())))
        }
        Value::Dict(dict) if dict.resolver.is_none() => {
            let entries = dict.raw_items().into_iter().map(|(key, value)| (key, open(value)));
            Value::Dict(Arc::new(Dict::lazy(entries, resolver.clone())))
        }
        other => other.clone(),
    }
}

/// An encrypted text as its plain text; one that cannot be decrypted stays what it is: an error when used.
fn open(value: Value) -> Value {
    match reveal(&value) {
        Some(Ok(plain)) => plain,
        _ => value,
    }
}

/// An encrypted text as plain text, other values as they are.
pub(super) fn opened(value: &Value) -> Result<Value, Error> {
    reveal(value).unwrap_or_else(|| Ok(value.clone()))
}

/// Two dicts of one name, merged recursively (`hash_behaviour = merge`); anything else: the higher one.
pub fn combine(low: &Value, high: &Value) -> Value {
    let (Value::Dict(below), Value::Dict(above)) = (low, high) else { return high.clone() };
    let merged: Dict = below.raw_items().into_iter().collect();
    {
        let mut entries = merged.entries.write();
        for (key, value) in above.raw_items() {
            let key = expressions::Key(key);
            let value = match entries.get(&key) {
                Some(old) => combine(old, &value),
                None => value,
            };
            entries.insert(key, value);
        }
    }
    Value::Dict(Arc::new(merged))
}
