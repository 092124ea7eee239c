//! Jinja's filters of sequences.

use super::{Function, needed, size_or, text_or, truth_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::methods::list::sorted;
use crate::value::{Operator, Value, apply};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "first" => |_, value, _| end_of(value, true),
        "last" => |_, value, _| end_of(value, false),
        "length" | "count" => |_, value, _| Ok(Value::from(value.length()?)),
        "list" => |_, value, _| Ok(Value::list(value.elements()?)),
        "reverse" => reverse,
        "sort" => sort,
        "min" => |_, value, args| extreme(value, &args, std::cmp::Ordering::Less, "<"),
        "max" => |_, value, args| extreme(value, &args, std::cmp::Ordering::Greater, ">"),
        "sum" => sum,
        "unique" => unique,
        "join" => join,
        "batch" => batch,
        "slice" => slice,
        "groupby" => groupby,
        "dictsort" => dictsort,
        _ => return None,
    })
}

fn end_of(value: &Value, first: bool) -> Result<Value, Error> {
    let items = value.iterate()?;
    let found = if first { items.first() } else { items.last() };
    Ok(found.cloned().unwrap_or_else(|| {
        Value::undefined(format!("No {} item, sequence was empty.", if first { "first" } else { "last" }))
    }))
}

fn reverse(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    if let Value::Str(s) = value {
        return Ok(Value::from(s.as_str().chars().rev().collect::<String>()));
    }
    let mut items = value.elements()?;
    items.reverse();
    Ok(Value::list(items))
}

/// What is compared: text in lower case, unless case counts.
pub(super) fn folded(value: &Value, case_sensitive: bool) -> Value {
    match value {
        Value::Str(s) if !case_sensitive => Value::from(s.as_str().to_lowercase()),
        other => other.clone(),
    }
}

/// `a.b.0` of an item; `None` as a path gives the item itself.
pub(super) fn attribute(item: &Value, path: Option<&Value>) -> Result<Value, Error> {
    attribute_or(item, path, None)
}

/// What is missing on the way is the default, and the rest of the path is looked for in that.
pub(super) fn attribute_or(
    item: &Value,
    path: Option<&Value>,
    default: Option<&Value>,
) -> Result<Value, Error> {
    let or_default = |found: Value| match default {
        Some(default) if found.is_undefined() => default.clone(),
        _ => found,
    };
    let mut found = item.clone();
    match path {
        None | Some(Value::None) => {}
        Some(Value::Str(path)) => {
            for part in path.as_str().split('.') {
                let key = part.parse::<i64>().map_or_else(|_| Value::str(part), Value::Int);
                let is_text = matches!(key, Value::Str(_));
                found = match found.item(&key)? {
                    Some(found) => found,
                    None if is_text && matches!(found, Value::Object(_)) => found.get_attr(part)?,
                    None => {
                        let kind = found.type_name();
                        let quoted = if is_text { format!("'{part}'") } else { part.to_owned() };
                        Value::undefined(format!("object of type '{kind}' has no attribute {quoted}"))
                    }
                };
                found = or_default(found);
            }
        }
        Some(index) => found = or_default(found.get_item(index)?),
    }
    Ok(found)
}

fn sort(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [reverse, case, path] = args.bind("sort", ["reverse", "case_sensitive", "attribute"])?;
    let (reverse, case) = (truth_or(reverse, false)?, truth_or(case, false)?);
    let items = value.elements()?;
    let paths: Vec<Value> = match &path {
        Some(Value::Str(s)) if s.as_str().contains(',') => s.as_str().split(',').map(Value::str).collect(),
        Some(path) => vec![path.clone()],
        None => Vec::new(),
    };
    let key = |item: &Value| -> Result<Value, Error> {
        match paths.as_slice() {
            [] => Ok(folded(item, case)),
            [only] => Ok(folded(&attribute(item, Some(only))?.defined()?, case)),
            several => {
                let parts =
                    several.iter().map(|path| Ok(folded(&attribute(item, Some(path))?.defined()?, case)));
                Ok(Value::list(parts.collect::<Result<_, Error>>()?))
            }
        }
    };
    Ok(Value::list(sorted(items, reverse, key)?))
}

fn extreme(value: &Value, args: &Args, wanted: std::cmp::Ordering, op: &str) -> Result<Value, Error> {
    let [case, path] = args.bind("min", ["case_sensitive", "attribute"])?;
    let case = truth_or(case, false)?;
    let key = |item: &Value| Ok::<_, Error>(folded(&attribute(item, path.as_ref())?.defined()?, case));
    let mut items = value.elements()?.into_iter();
    let Some(mut best) = items.next() else {
        return Ok(Value::undefined("No aggregated item, sequence was empty."));
    };
    let mut best_key = key(&best)?;
    for item in items {
        let item_key = key(&item)?;
        if item_key.python_cmp(&best_key, op)? == Some(wanted) {
            (best, best_key) = (item, item_key);
        }
    }
    Ok(best)
}

fn sum(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [path, start] = args.bind("sum", ["attribute", "start"])?;
    let mut total = start.unwrap_or(Value::Int(0));
    if matches!(total, Value::Str(_)) {
        return Err(Error::new("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    for item in value.elements()? {
        total = apply(Operator::Add, &total, &attribute(&item, path.as_ref())?)?;
    }
    Ok(total)
}

/// Elements that are equal to no earlier one.
pub(super) fn distinct(
    items: Vec<Value>,
    key: impl Fn(&Value) -> Result<Value, Error>,
) -> Result<Vec<Value>, Error> {
    let mut seen = super::collections::Seen::default();
    let mut kept = Vec::new();
    for item in items {
        if seen.add(&key(&item)?)? {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn unique(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [case, path] = args.bind("unique", ["case_sensitive", "attribute"])?;
    let explicit = path.is_some() || matches!(case, Some(Value::Bool(false)));
    let case = truth_or(case, false)?;
    let key = |item: &Value| {
        let key = attribute(item, path.as_ref())?.defined()?;
        // Python cannot put these into a set, and what Ansible does instead knows no parameters.
        if explicit && matches!(key, Value::List(_) | Value::Dict(_)) {
            return Err(Error::new(format!(
                "Jinja2's unique filter failed and we cannot fall back to Ansible's version as it does not \
                 support the parameters supplied: unhashable type: '{}'",
                key.type_name()
            )));
        }
        Ok(folded(&key, case))
    };
    Ok(Value::list(distinct(value.elements()?, key)?))
}

fn join(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [separator, path] = args.bind("join", ["d", "attribute"])?;
    let separator = text_or(separator, "")?;
    let mut out = String::new();
    for (index, item) in value.elements()?.iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        attribute(item, path.as_ref())?.write_str(&mut out, crate::value::Style::Python)?;
    }
    Ok(Value::from(out))
}

fn batch(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [count, fill] = args.bind("batch", ["linecount", "fill_with"])?;
    let count = size_or(Some(needed(count, "batch", "linecount")?), 1)?.max(1);
    let items = value.elements()?;
    let rows = items.chunks(count).map(|row| {
        let mut row = row.to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| !fill.is_none()) {
            row.resize(count, fill.clone());
        }
        Value::list(row)
    });
    Ok(Value::list(rows.collect()))
}

fn slice(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [count, fill] = args.bind("slice", ["slices", "fill_with"])?;
    let count = size_or(Some(needed(count, "slice", "slices")?), 1)?;
    if count == 0 {
        return Err(Error::new("integer division or modulo by zero"));
    }
    let items = value.elements()?;
    let (each, extra) = (items.len() / count, items.len() % count);
    let mut columns = Vec::new();
    let mut at = 0;
    for column in 0..count {
        let width = each + usize::from(column < extra);
        let mut part = items[at..at + width].to_vec();
        at += width;
        if let Some(fill) = fill.as_ref().filter(|fill| !fill.is_none() && column >= extra) {
            part.push(fill.clone());
        }
        columns.push(Value::list(part));
    }
    Ok(Value::list(columns))
}

fn groupby(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    // Ansible's undefined values do not take the default of this filter.
    let [path, _default, case] = args.bind("groupby", ["attribute", "default", "case_sensitive"])?;
    let path = needed(path, "groupby", "attribute")?;
    let case = truth_or(case, false)?;
    let raw = |item: &Value| attribute(item, Some(&path))?.defined();
    let items = sorted(value.elements()?, false, |item| Ok(folded(&raw(item)?, case)))?;
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for item in items {
        let own = raw(&item)?;
        let key = folded(&own, case);
        match groups.last_mut() {
            Some((last, _, members)) if last.python_eq(&key)? => members.push(item),
            _ => groups.push((key, own, vec![item])),
        }
    }
    let groups = groups.into_iter().map(|(_, grouper, members)| {
        Value::object(super::mapping::Group { grouper, list: Value::list(members) })
    });
    Ok(Value::list(groups.collect()))
}

fn dictsort(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [case, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let (case, reverse) = (truth_or(case, false)?, truth_or(reverse, false)?);
    let index = match text_or(by, "key")?.as_str() {
        "key" => 0,
        "value" => 1,
        _ => return Err(Error::new("You can only sort by either \"key\" or \"value\"")),
    };
    let Value::Dict(dict) = value else {
        return Err(Error::new(format!("'{}' object has no attribute 'items'", value.type_name())));
    };
    let pairs = dict.items()?.into_iter().map(|(key, value)| Value::tuple(vec![key, value])).collect();
    let key = |pair: &Value| Ok(folded(&pair.get_item(&Value::Int(index))?, case));
    Ok(Value::list(sorted(pairs, reverse, key)?))
}
