//! Data as paths and values, and places in lists: filters of `ansible.utils`.

use crate::error::Error;
use crate::eval::{Args, Run};
use crate::filters::{Function, needed, text_of, truth_or};
use crate::value::{Dict, Value, deeper};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "to_paths" => to_paths,
        "get_path" => get_path,
        "index_of" => index_of,
        "param_list_compare" => compare_params,
        _ => return None,
    })
}

fn to_paths(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [prepend, want_list] = args.bind("to_paths", ["prepend", "wantlist"])?;
    let start = match prepend.filter(|prepend| !prepend.is_none()) {
        Some(prepend) => text_of(&prepend)?,
        None => String::new(),
    };
    let found = Dict::new();
    walk(value, start, &found)?;
    let found = Value::from(found);
    Ok(if truth_or(want_list, false)? { Value::list(vec![found]) } else { found })
}

fn walk(value: &Value, path: String, found: &Dict) -> Result<(), Error> {
    deeper()?;
    match value {
        Value::Dict(dict) if !dict.is_empty() => {
            for (key, value) in dict.items()? {
                let Value::Str(key) = &key else {
                    return Err(Error::new("to_paths needs keys that are text"));
                };
                let key = key.as_str();
                let name = key.starts_with(|c: char| c.is_alphabetic() || c == '_')
                    && key.chars().all(|c| c.is_alphanumeric() || c == '_');
                let next = match (name, path.is_empty()) {
                    (false, _) => format!("{path}['{key}']"),
                    (true, true) => key.to_owned(),
                    (true, false) => format!("{path}.{key}"),
                };
                walk(&value, next, found)?;
            }
        }
        Value::List(list) if !list.is_empty() => {
            for (place, item) in list.items()?.iter().enumerate() {
                walk(item, format!("{path}[{place}]"), found)?;
            }
        }
        other => {
            found.insert(path, other.clone());
        }
    }
    Ok(())
}

/// A path like `a.b[0]['c d']`, followed as an expression would.
fn get_path(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [path, want_list] = args.bind("get_path", ["path", "wantlist"])?;
    let path = text_of(&needed(path, "get_path", "path")?)?;
    let bad = || Error::new(format!("get_path: the path '{path}' cannot be read"));
    let mut rest = path.as_str();
    let mut found = value.clone();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let quote = tail.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let end = match quote {
                Some(quote) => tail[1..].find(&format!("{quote}]")).map(|end| end + 2),
                None => tail.find(']'),
            };
            let end = end.ok_or_else(bad)?;
            let key = match quote {
                Some(_) => Value::str(&tail[1..end - 1]),
                None => Value::Int(tail[..end].trim().parse().map_err(|_| bad())?),
            };
            found = found.get_item(&key)?;
            rest = &tail[end + 1..];
        } else {
            let tail = rest.strip_prefix('.').unwrap_or(rest);
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            found = match tail[..end].parse::<i64>() {
                Ok(index) => found.get_item(&Value::Int(index))?,
                Err(_) => found.get_attr(&tail[..end])?,
            };
            rest = &tail[end..];
        }
    }
    Ok(if truth_or(want_list, false)? { Value::list(vec![found]) } else { found })
}

/// Where in a list a test holds.
fn index_of(run: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let names = ["test", "value", "key", "fail_on_missing", "wantlist"];
    let [test, compared, key, fail, want_list] = args.bind("index_of", names)?;
    let test = text_of(&needed(test, "index_of", "test")?)?;
    let key = key.filter(|key| !key.is_none());
    let fail = truth_or(fail, false)?;
    let Value::List(list) = value else { return Err(Error::new("index_of needs a list")) };
    let operand = Args {
        positional: compared.filter(|value| !value.is_none()).into_iter().collect(),
        named: Vec::new(),
    };
    let mut places = Vec::new();
    for (place, item) in list.items()?.into_iter().enumerate() {
        let subject = match (&key, &item) {
            (None, item) => item.clone(),
            (Some(key), Value::Dict(dict)) => match dict.get_value(key)? {
                Some(found) => found,
                None if fail => {
                    return Err(Error::new(format!("'{}' was not found in '{item:?}'", text_of(key)?)));
                }
                None => continue,
            },
            (Some(_), _) => {
                return Err(Error::new(
                    "When a key name is provided, all list entries are required to be dictionaries",
                ));
            }
        };
        if run.test_by_name(&test, &subject, operand.clone())? {
            places.push(Value::from(place));
        }
    }
    let single = places.len() == 1 && !truth_or(want_list, false)?;
    Ok(if single { places.remove(0) } else { Value::list(places) })
}

/// `all`, names and names that are not wanted (`!name`), against those that are possible.
fn compare_params(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [target] = args.bind("param_list_compare", ["target"])?;
    let texts = |value: &Value| -> Result<Vec<String>, Error> {
        let text = |item: &Value| {
            item.as_str().map(str::to_owned).ok_or_else(|| Error::new("the names must be text"))
        };
        value.elements()?.iter().map(text).collect()
    };
    let base = texts(value)?;
    let target = texts(&needed(target, "param_list_compare", "target")?)?;
    let bang: Vec<&str> = target.iter().filter_map(|name| name.strip_prefix('!')).collect();
    let mut wanted: Vec<String> = if target.iter().any(|name| name == "all") {
        base.iter().filter(|name| !bang.contains(&name.as_str())).cloned().collect()
    } else if target.iter().all(|name| name.starts_with('!')) {
        base.iter().filter(|name| !bang.contains(&name.as_str())).cloned().collect()
    } else {
        target.iter().filter(|name| !name.starts_with('!') && base.contains(name)).cloned().collect()
    };
    wanted.sort();
    let mut unknown: Vec<String> = target
        .iter()
        .map(|name| name.trim_start_matches('!'))
        .filter(|name| *name != "all" && !base.iter().any(|known| known == name))
        .map(str::to_owned)
        .collect();
    unknown.sort();
    Ok(Value::dict([("actionable", Value::from(wanted)), ("unsupported", Value::from(unknown))]))
}
