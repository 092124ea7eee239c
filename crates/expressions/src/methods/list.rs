//! Methods of lists and tuples.

use std::cmp::Ordering;

use super::integer;
use crate::error::Error;
use crate::eval::Args;
use crate::stable;
use crate::value::{List, Tuple, Value, position};

pub(super) const NAMES: [&str; 11] =
    ["append", "extend", "insert", "pop", "remove", "index", "count", "copy", "clear", "reverse", "sort"];

fn one<'a>(args: &'a Args, name: &str) -> Result<&'a Value, Error> {
    match args.positional.as_slice() {
        [only] => Ok(only),
        other => Err(Error::new(format!("{name}() takes exactly one argument ({} given)", other.len()))),
    }
}

pub(super) fn call(list: &List, name: &str, args: &Args) -> Option<Result<Value, Error>> {
    let done = |result: Result<(), Error>| result.map(|()| Value::None);
    Some(match name {
        "append" => done(one(args, name).map(|item| list.push(item.clone()))),
        "extend" => {
            done(one(args, name).and_then(Value::iterate).map(|items| list.items.write().extend(items)))
        }
        "insert" => done(insert(list, args)),
        "pop" => pop(list, args),
        "remove" => done(remove(list, args)),
        "index" => list.items().and_then(|items| index(&items, args, "list")),
        "count" => list.items().and_then(|items| count(&items, args)),
        "copy" => Ok(Value::from(std::sync::Arc::new(List {
            items: list.raw_items().into(),
            resolver: list.resolver.clone(),
        }))),
        "clear" => {
            let old = std::mem::take(&mut *list.items.write());
            drop(old);
            Ok(Value::None)
        }
        "reverse" => {
            list.items.write().reverse();
            Ok(Value::None)
        }
        "sort" => done(sort(list, args)),
        _ => return None,
    })
}

pub(super) fn call_tuple(tuple: &Tuple, name: &str, args: &Args) -> Option<Result<Value, Error>> {
    Some(match name {
        "index" => index(tuple, args, "tuple"),
        "count" => count(tuple, args),
        _ => return None,
    })
}

fn insert(list: &List, args: &Args) -> Result<(), Error> {
    let [at, item] = args.positional.as_slice() else {
        return Err(Error::new("insert expected 2 arguments"));
    };
    let at = integer(at)?;
    let mut items = list.items.write();
    let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = if at < 0 { at.saturating_add(len).max(0) } else { at.min(len) };
    items.insert(usize::try_from(place).unwrap_or(0), item.clone());
    Ok(())
}

fn pop(list: &List, args: &Args) -> Result<Value, Error> {
    let at = args.first().map_or(Ok(-1), integer)?;
    let value = list.get(at)?;
    let mut items = list.items.write();
    let Some((place, value)) = position(at, items.len()).zip(value) else {
        let empty = items.is_empty();
        return Err(Error::new(if empty { "pop from empty list" } else { "pop index out of range" }));
    };
    items.remove(place);
    Ok(value)
}

fn remove(list: &List, args: &Args) -> Result<(), Error> {
    let wanted = one(args, "remove")?;
    for (place, item) in list.items()?.iter().enumerate() {
        if item.python_eq(wanted)? {
            list.items.write().remove(place);
            return Ok(());
        }
    }
    Err(Error::new("list.remove(x): x not in list"))
}

fn index(items: &[Value], args: &Args, kind: &str) -> Result<Value, Error> {
    let wanted = args.first().ok_or_else(|| Error::new("index expected at least 1 argument, got 0"))?;
    let start = args.positional.get(1).map_or(Ok(0), integer)?;
    for (place, item) in items.iter().enumerate().skip(usize::try_from(start).unwrap_or(0)) {
        if item.python_eq(wanted)? {
            return Ok(Value::from(place));
        }
    }
    let wanted = wanted.python_repr()?;
    Err(Error::new(format!("{wanted} is not in {kind}")))
}

fn count(items: &[Value], args: &Args) -> Result<Value, Error> {
    let wanted = one(args, "count")?;
    let mut count = 0_usize;
    for item in items {
        count += usize::from(item.python_eq(wanted)?);
    }
    Ok(Value::from(count))
}

fn sort(list: &List, args: &Args) -> Result<(), Error> {
    let reverse = args.named.iter().find(|(name, _)| &**name == "reverse");
    let reverse = reverse.map_or(Ok(false), |(_, value)| value.truth())?;
    let sorted = sorted(list.items()?, reverse, |item| Ok(item.clone()))?;
    *list.items.write() = sorted;
    Ok(())
}

/// Sorts by a key, stable, failing where Python would.
pub(crate) fn sorted(
    items: Vec<Value>,
    reverse: bool,
    key: impl Fn(&Value) -> Result<Value, Error>,
) -> Result<Vec<Value>, Error> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        keyed.push((key(&item)?, item));
    }
    let first = if reverse { Ordering::Greater } else { Ordering::Less };
    let sorted = stable::sort(keyed, &mut |(a, _), (b, _)| Ok(a.python_cmp(b, "<")? == Some(first)))?;
    Ok(sorted.into_iter().map(|(_, item)| item).collect())
}
