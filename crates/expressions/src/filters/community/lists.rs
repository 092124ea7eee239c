//! Set operations on several lists, and lists of dicts that are merged by a key.

use crate::error::Error;
use crate::eval::{Args, Run};
use crate::filters::collections::Seen;
use crate::filters::dicts::{list_merge, merge};
use crate::filters::{Function, text_of, truth_or};
use crate::value::{Dict, Value};
use indexmap::IndexMap;
use std::sync::Arc;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "lists_union" => |_, value, args| fold(value, args, union),
        "lists_intersect" => |_, value, args| fold(value, args, |a, b| choose(a, &b, true)),
        "lists_difference" => |_, value, args| fold(value, args, |a, b| choose(a, &b, false)),
        "lists_symmetric_difference" => |_, value, args| {
            fold(value, args, |a, b| union(choose(a.clone(), &b, false)?, choose(b, &a, false)?))
        },
        "lists_mergeby" => merge_by,
        _ => return None,
    })
}

fn distinct(items: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut seen = Seen::default();
    let mut kept = Vec::new();
    for item in items {
        if seen.add(&item)? {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn union(mut a: Vec<Value>, b: Vec<Value>) -> Result<Vec<Value>, Error> {
    a.extend(b);
    distinct(a)
}

fn choose(a: Vec<Value>, b: &[Value], inside: bool) -> Result<Vec<Value>, Error> {
    let mut seen = Seen::default();
    b.iter().try_for_each(|item| seen.add(item).map(|_| ()))?;
    let mut kept = Vec::new();
    for item in a {
        if seen.has(&item)? == inside {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn list(value: &Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::List(_) | Value::Tuple(_) => value.elements(),
        other => Err(Error::new(format!("All arguments must be lists, not '{}'", other.type_name()))),
    }
}

/// Two lists to one.
type Step = fn(Vec<Value>, Vec<Value>) -> Result<Vec<Value>, Error>;

fn fold(value: &Value, mut args: Args, step: Step) -> Result<Value, Error> {
    let flatten = truth_or(args.take("flatten"), false)?;
    let mut lists = Vec::new();
    for part in std::iter::once(value).chain(&args.positional) {
        let items = list(part)?;
        if flatten && items.iter().all(|item| matches!(item, Value::List(_) | Value::Tuple(_))) {
            lists.extend(items.iter().map(list).collect::<Result<Vec<_>, _>>()?);
        } else {
            lists.push(items);
        }
    }
    let mut lists = lists.into_iter();
    let mut result = distinct(lists.next().unwrap_or_default())?;
    for next in lists {
        result = step(result, distinct(next)?)?;
    }
    Ok(Value::list(result))
}

/// The dicts of several lists, those with the same value of a key merged.
fn merge_by(_: &Run<'_>, value: &Value, mut args: Args) -> Result<Value, Error> {
    let recursive = truth_or(args.take("recursive"), false)?;
    let how = list_merge(args.take("list_merge"))?;
    let index = args.take("index");
    let mut parts: Vec<Value> = std::iter::once(value.clone()).chain(args.positional).collect();
    let index = match index {
        Some(index) => text_of(&index)?,
        None if parts.len() > 1 => match parts.pop() {
            Some(Value::Str(index)) => index.as_str().to_owned(),
            _ => return Err(Error::new("lists_mergeby: the last argument must be the name of the key")),
        },
        None => return Err(Error::new("lists_mergeby needs the name of a key")),
    };
    let mut groups: IndexMap<String, Arc<Dict>> = IndexMap::new();
    let mut flat = Vec::new();
    for part in parts {
        for item in list(&part)? {
            match item {
                Value::List(_) => flat.extend(list(&item)?),
                other => flat.push(other),
            }
        }
    }
    for item in flat {
        let Value::Dict(dict) = &item else {
            return Err(Error::new("lists_mergeby: elements of the lists must be dictionaries"));
        };
        let Some(key) = dict.get(&index)? else { continue };
        let key = key.python_repr()?;
        let new = match groups.get(&key) {
            Some(old) => merge(old, dict, recursive, how)?,
            None => Arc::clone(dict),
        };
        groups.insert(key, new);
    }
    let mut merged: Vec<Value> = groups.into_values().map(Value::from).collect();
    merged = crate::methods::list::sorted(merged, false, |item| item.get_item(&Value::str(index.as_str())))?;
    Ok(Value::list(merged))
}
