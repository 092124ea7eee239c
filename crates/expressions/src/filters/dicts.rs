//! Filters of dicts.

use std::sync::Arc;

use super::{Function, needed, text_of, text_or, truth_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::methods::dict::pairs;
use crate::value::{Dict, Value, deeper};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "items" => |_, value, _| Ok(pairs(dict_of(value, "items")?.items()?)),
        "dict2items" => dict2items,
        "items2dict" => items2dict,
        "combine" => combine,
        "rekey_on_member" => rekey,
        "subelements" => subelements,
        "extract" => extract,
        _ => return None,
    })
}

fn dict_of(value: &Value, filter: &str) -> Result<Arc<Dict>, Error> {
    match value {
        Value::Object(object) => {
            let keys = object.keys();
            let keys = keys.ok_or_else(|| Error::new(format!("{filter} requires a dictionary")))?;
            let entry = |key: Value| Ok((key.clone(), object.get(&key)?.unwrap_or(Value::None)));
            Ok(Arc::new(keys.into_iter().map(entry).collect::<Result<Dict, Error>>()?))
        }
        other => other.as_dict().ok_or_else(|| {
            Error::new(format!("{filter} requires a dictionary, got {} instead.", other.type_name()))
        }),
    }
}

fn dict2items(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [key_name, value_name] = args.bind("dict2items", ["key_name", "value_name"])?;
    let (key_name, value_name) = (text_or(key_name, "key")?, text_or(value_name, "value")?);
    let items = dict_of(value, "dict2items")?.items()?;
    let item = |(key, value)| Value::dict([(key_name.as_str(), key), (value_name.as_str(), value)]);
    Ok(Value::list(items.into_iter().map(item).collect()))
}

fn items2dict(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [key_name, value_name] = args.bind("items2dict", ["key_name", "value_name"])?;
    let (key_name, value_name) = (text_or(key_name, "key")?, text_or(value_name, "value")?);
    let Value::List(list) = value else {
        return Err(Error::new(format!("items2dict requires a list, got {} instead.", value.type_name())));
    };
    let new = Dict::new();
    for item in list.items()? {
        let Value::Dict(entry) = &item else {
            return Err(Error::new(format!(
                "items2dict requires a list of dictionaries, got {value:?} instead."
            )));
        };
        let part = |name: &str| {
            entry.get(name)?.ok_or_else(|| {
            Error::new(format!("items2dict requires each dictionary in the list to contain the keys '{key_name}' and '{value_name}', got {item:?} instead."))
        })
        };
        let key = part(&key_name)?;
        key.check_hashable()?;
        new.insert(key, part(&value_name)?);
    }
    Ok(Value::from(new))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ListMerge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendRp,
    PrependRp,
}

/// How lists are merged that stand under the same key.
pub(super) fn list_merge(given: Option<Value>) -> Result<ListMerge, Error> {
    Ok(match text_or(given, "replace")?.as_str() {
        "replace" => ListMerge::Replace,
        "keep" => ListMerge::Keep,
        "append" => ListMerge::Append,
        "prepend" => ListMerge::Prepend,
        "append_rp" => ListMerge::AppendRp,
        "prepend_rp" => ListMerge::PrependRp,
        other => return Err(Error::new(format!("'list_merge' cannot be '{other}'"))),
    })
}

fn combine(_: &Run<'_>, value: &Value, mut args: Args) -> Result<Value, Error> {
    let recursive = truth_or(args.take("recursive"), false)?;
    let lists = list_merge(args.take("list_merge"))?;
    if let Some((name, _)) = args.named.first() {
        return Err(Error::new(format!(
            "'recursive' and 'list_merge' are the only valid keyword arguments, not '{name}'"
        )));
    }
    let mut parts = Vec::new();
    for part in std::iter::once(value.clone()).chain(args.positional) {
        flatten_parts(part, &mut parts)?;
    }
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    let mut result = Arc::new(Dict::new());
    for (index, part) in parts.iter().enumerate() {
        let Value::Dict(part) = part else {
            let kind = part.type_name();
            return Err(Error::new(format!(
                "failed to combine variables, expected dicts but got a '{kind}'"
            )));
        };
        result = if index == 0 { Arc::clone(part) } else { merge(&result, part, recursive, lists)? };
    }
    Ok(Value::from(result))
}

/// What is to be combined; lists are taken apart, nothing counts as nothing.
fn flatten_parts(value: Value, out: &mut Vec<Value>) -> Result<(), Error> {
    deeper()?;
    match value {
        Value::None => {}
        Value::List(_) | Value::Tuple(_) => {
            for part in value.elements()? {
                flatten_parts(part, out)?;
            }
        }
        Value::Undefined(missing) => return Err(missing.error()),
        other => out.push(other),
    }
    Ok(())
}

pub(super) fn merge(low: &Dict, high: &Dict, recursive: bool, lists: ListMerge) -> Result<Arc<Dict>, Error> {
    deeper()?;
    let result = Dict { entries: low.entries.read().clone().into(), resolver: low.resolver.clone() };
    for (key, value) in high.items()? {
        let old = result.get_value(&key)?;
        let new = match (&old, &value) {
            (Some(Value::Dict(a)), Value::Dict(b)) if recursive => {
                Value::from(merge(a, b, recursive, lists)?)
            }
            (Some(Value::List(a)), Value::List(b)) => merge_lists(&a.items()?, &b.items()?, lists)?,
            _ => value,
        };
        result.insert(key, new);
    }
    Ok(Arc::new(result))
}

fn merge_lists(low: &[Value], high: &[Value], how: ListMerge) -> Result<Value, Error> {
    let without = |items: &[Value], others: &[Value]| -> Result<Vec<Value>, Error> {
        let mut seen = super::collections::Seen::default();
        for other in others {
            seen.add(other)?;
        }
        let mut kept = Vec::new();
        for item in items {
            if !seen.has(item)? {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    };
    Ok(Value::list(match how {
        ListMerge::Replace => high.to_vec(),
        ListMerge::Keep => low.to_vec(),
        ListMerge::Append => [low, high].concat(),
        ListMerge::Prepend => [high, low].concat(),
        ListMerge::AppendRp => [without(low, high)?, high.to_vec()].concat(),
        ListMerge::PrependRp => [high.to_vec(), without(low, high)?].concat(),
    }))
}

fn rekey(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [key, duplicates] = args.bind("rekey_on_member", ["key", "duplicates"])?;
    let key = text_of(&needed(key, "rekey_on_member", "key")?)?;
    let overwrite = match text_or(duplicates, "error")?.as_str() {
        "error" => false,
        "overwrite" => true,
        other => {
            return Err(Error::new(format!(
                "duplicates parameter to rekey_on_member has unknown value: {other}"
            )));
        }
    };
    let items = match value {
        Value::Dict(dict) => dict.items()?.into_iter().map(|(_, value)| value).collect(),
        Value::List(list) => list.items()?,
        _ => return Err(Error::new("Type is not a valid list, set, or dict")),
    };
    let new = Dict::new();
    for item in items {
        let Value::Dict(entry) = &item else { return Err(Error::new("List item is not a valid dict")) };
        let found = entry.get(&key)?.ok_or_else(|| Error::new(format!("Key {key} was not found")))?;
        found.check_hashable()?;
        if !overwrite && new.contains_value(&found) {
            return Err(Error::new(format!(
                "Key {} is not unique, cannot convert to dict",
                found.python_str()?
            )));
        }
        new.insert(found, item);
    }
    Ok(Value::from(new))
}

fn subelements(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [path, skip] = args.bind("subelements", ["subelements", "skip_missing"])?;
    let skip = truth_or(skip, false)?;
    let path: Vec<Value> = match needed(path, "subelements", "subelements")? {
        Value::Str(path) => path.as_str().split('.').map(Value::str).collect(),
        other => other.elements()?,
    };
    let items = match value {
        Value::Dict(dict) => dict.items()?.into_iter().map(|(_, value)| value).collect(),
        Value::List(list) => list.items()?,
        _ => return Err(Error::new("obj must be a list of dicts or a nested dict")),
    };
    let mut rows = Vec::new();
    for item in items {
        let mut found = item.clone();
        let mut missing = false;
        for key in &path {
            if !matches!(found, Value::Dict(_)) {
                return Err(Error::new(format!(
                    "the key {key:?} should point to a dictionary, got '{found:?}'"
                )));
            }
            match found.item(key)? {
                Some(next) => found = next,
                None if skip => missing = true,
                None => {
                    return Err(Error::new(format!("could not find {key:?} key in iterated item {item:?}")));
                }
            }
            if missing {
                break;
            }
        }
        if missing {
            continue;
        }
        if !matches!(found, Value::List(_) | Value::Tuple(_)) {
            return Err(Error::new(format!(
                "the key {:?} should point to a list, got {found:?}",
                path.last()
            )));
        }
        rows.extend(found.elements()?.into_iter().map(|element| Value::tuple(vec![item.clone(), element])));
    }
    Ok(Value::list(rows))
}

fn extract(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [container, more] = args.bind("extract", ["container", "morekeys"])?;
    let mut found = needed(container, "extract", "container")?.get_item(value)?;
    let keys = match more {
        None | Some(Value::None) => Vec::new(),
        Some(Value::List(list)) => list.items()?,
        Some(single) => vec![single],
    };
    for key in keys {
        found = found.get_item(&key)?;
    }
    Ok(found)
}
