//! Methods of dicts.

use crate::error::Error;
use crate::eval::Args;
use crate::value::{Dict, Value, lifted};

pub(super) const NAMES: [&str; 10] =
    ["keys", "values", "items", "get", "pop", "update", "setdefault", "copy", "clear", "popitem"];

pub(super) fn call(dict: &Dict, name: &str, args: &Args) -> Option<Result<Value, Error>> {
    Some(match name {
        "keys" => Ok(Value::list(dict.keys())),
        "values" => {
            dict.items().map(|items| Value::list(items.into_iter().map(|(_, value)| value).collect()))
        }
        "items" => dict.items().map(pairs),
        "get" => get(dict, args),
        "pop" => pop(dict, args),
        "setdefault" => setdefault(dict, args),
        "update" => update(dict, args),
        "copy" => Ok(copy(dict)),
        "clear" => {
            let old = std::mem::take(&mut *dict.entries.write());
            drop(old);
            Ok(Value::None)
        }
        "popitem" => {
            let last = dict.entries.write().pop();
            last.map(|(key, value)| Value::tuple(vec![key.0, value]))
                .ok_or_else(|| Error::new("'popitem(): dictionary is empty'"))
        }
        "fromkeys" => fromkeys(args),
        _ => return None,
    })
}

/// Entries as a list of pairs.
pub(crate) fn pairs(items: Vec<(Value, Value)>) -> Value {
    Value::list(items.into_iter().map(|(key, value)| Value::tuple(vec![key, value])).collect())
}

pub(crate) fn copy(dict: &Dict) -> Value {
    let entries = dict.entries.read().clone();
    Value::from(Dict { entries: entries.into(), resolver: dict.resolver.clone() })
}

fn key_of(args: &Args, name: &str) -> Result<Value, Error> {
    let key = args
        .first()
        .cloned()
        .ok_or_else(|| Error::new(format!("{name} expected at least 1 argument, got 0")))?;
    key.check_hashable()?;
    Ok(key)
}

fn get(dict: &Dict, args: &Args) -> Result<Value, Error> {
    let key = key_of(args, "get")?;
    let default = args.positional.get(1).cloned().unwrap_or(Value::None);
    let found = match dict.get_value(&key) {
        Err(error) => Some(lifted(Err(error))?),
        Ok(found) => found,
    };
    Ok(found.unwrap_or(default))
}

fn pop(dict: &Dict, args: &Args) -> Result<Value, Error> {
    let key = key_of(args, "pop")?;
    let found = dict.get_value(&key)?;
    dict.remove_value(&key);
    match found.or_else(|| args.positional.get(1).cloned()) {
        Some(value) => Ok(value),
        None => Err(Error::new(key.python_repr()?)),
    }
}

fn setdefault(dict: &Dict, args: &Args) -> Result<Value, Error> {
    let key = key_of(args, "setdefault")?;
    if let Some(found) = dict.get_value(&key)? {
        return Ok(found);
    }
    let default = args.positional.get(1).cloned().unwrap_or(Value::None);
    dict.insert(key, default.clone());
    Ok(default)
}

fn update(dict: &Dict, args: &Args) -> Result<Value, Error> {
    let mut new = Vec::new();
    match args.first() {
        None => {}
        Some(Value::Dict(other)) => new = other.items()?,
        Some(other) => {
            for pair in other.iterate()? {
                let [key, value]: [Value; 2] = pair.iterate()?.try_into().map_err(|pair: Vec<Value>| {
                    let given = pair.len();
                    Error::new(format!(
                        "dictionary update sequence element has length {given}; 2 is required"
                    ))
                })?;
                key.check_hashable()?;
                new.push((key, value));
            }
        }
    }
    new.extend(args.named.iter().map(|(name, value)| (Value::str(name.as_ref()), value.clone())));
    for (key, value) in new {
        dict.insert(key, value);
    }
    Ok(Value::None)
}

fn fromkeys(args: &Args) -> Result<Value, Error> {
    let keys = args.first().ok_or_else(|| Error::new("fromkeys expected at least 1 argument, got 0"))?;
    let value = args.positional.get(1).cloned().unwrap_or(Value::None);
    Ok(Value::dict(keys.iterate()?.into_iter().map(|key| (key, value.clone()))))
}
