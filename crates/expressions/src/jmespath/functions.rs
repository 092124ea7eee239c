//! The functions that queries may call.

use super::Node;
use super::search::list;
use crate::error::Error;
use crate::filters::text_of;
use crate::json_out;
use crate::methods::list::sorted;
use crate::value::{Dict, Operator, Value, apply, is_number};

/// How many arguments a function takes: at least, and at most.
const ARITIES: [(&str, usize, usize); 26] = [
    ("abs", 1, 1),
    ("avg", 1, 1),
    ("ceil", 1, 1),
    ("contains", 2, 2),
    ("ends_with", 2, 2),
    ("floor", 1, 1),
    ("join", 2, 2),
    ("keys", 1, 1),
    ("length", 1, 1),
    ("map", 2, 2),
    ("max", 1, 1),
    ("max_by", 2, 2),
    ("merge", 0, usize::MAX),
    ("min", 1, 1),
    ("min_by", 2, 2),
    ("not_null", 1, usize::MAX),
    ("reverse", 1, 1),
    ("sort", 1, 1),
    ("sort_by", 2, 2),
    ("starts_with", 2, 2),
    ("sum", 1, 1),
    ("to_array", 1, 1),
    ("to_number", 1, 1),
    ("to_string", 1, 1),
    ("type", 1, 1),
    ("values", 1, 1),
];

pub(super) fn call(name: &str, args: &[Node], data: &Value) -> Result<Value, Error> {
    let known = ARITIES.iter().find(|(known, ..)| *known == name);
    let Some((_, least, most)) = known else {
        return Err(Error::new(format!("unknown function in the query: {name}()")));
    };
    if args.len() < *least || args.len() > *most {
        let given = args.len();
        return Err(Error::new(format!("{name}() takes {least} argument(s), {given} given")));
    }
    match (name, args) {
        ("map", [Node::Reference(key), of]) => {
            let items = array(name, &of.search(data)?)?;
            Ok(Value::list(items.iter().map(|item| key.search(item)).collect::<Result<_, _>>()?))
        }
        ("max_by" | "min_by" | "sort_by", [of, Node::Reference(key)]) => {
            by(name, array(name, &of.search(data)?)?, key)
        }
        ("map" | "max_by" | "min_by" | "sort_by", _) => {
            Err(Error::new(format!("{name}() needs an expression reference: &name")))
        }
        _ => {
            let values = args.iter().map(|arg| arg.search(data)).collect::<Result<Vec<_>, _>>()?;
            plain(name, &values)
        }
    }
}

fn plain(name: &str, args: &[Value]) -> Result<Value, Error> {
    let first = args.first().unwrap_or(&Value::None);
    match name {
        "merge" => merge(args),
        "not_null" => Ok(args.iter().find(|arg| !arg.is_none()).cloned().unwrap_or(Value::None)),
        "contains" | "starts_with" | "ends_with" | "join" => two(name, first, &args[1]),
        "abs" => match number(name, first)? {
            Value::Float(f) => Ok(Value::Float(f.abs())),
            other if other.python_cmp(&Value::Int(0), "<")?.is_some_and(|order| order.is_lt()) => {
                apply(Operator::Sub, &Value::Int(0), other)
            }
            other => Ok(other.clone()),
        },
        "ceil" => rounded(number(name, first)?, f64::ceil),
        "floor" => rounded(number(name, first)?, f64::floor),
        "keys" => match first {
            Value::Dict(dict) => Ok(Value::list(dict.keys())),
            other => Err(wrong(name, other, "object")),
        },
        "values" => match first {
            Value::Dict(dict) => Ok(Value::list(dict.items()?.into_iter().map(|(_, value)| value).collect())),
            other => Err(wrong(name, other, "object")),
        },
        "length" => match first {
            Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_) => {
                Ok(Value::from(first.length()?))
            }
            other => Err(wrong(name, other, "string, array or object")),
        },
        "reverse" => match first {
            Value::Str(text) => Ok(Value::from(text.as_str().chars().rev().collect::<String>())),
            other => {
                let mut items = array(name, other)?;
                items.reverse();
                Ok(Value::list(items))
            }
        },
        "sort" => Ok(Value::list(sorted(alike(name, array(name, first)?)?, false, |item| Ok(item.clone()))?)),
        "max" | "min" => extreme(alike(name, array(name, first)?)?, name == "max", |item| Ok(item.clone())),
        "sum" => total(name, first),
        "avg" => {
            let count = array(name, first)?.len();
            if count == 0 {
                return Ok(Value::None);
            }
            apply(Operator::Div, &total(name, first)?, &Value::from(count))
        }
        "to_array" => {
            Ok(if list(first)?.is_some() { first.clone() } else { Value::list(vec![first.clone()]) })
        }
        "to_number" => Ok(to_number(first)),
        "to_string" => match first {
            Value::Str(_) => Ok(first.clone()),
            other => {
                let style = json_out::Style {
                    ascii: true,
                    item: ",".to_owned(),
                    key: ":".to_owned(),
                    ..json_out::Style::default()
                };
                json_out::write(other, &style).map(Value::from)
            }
        },
        _ => Ok(Value::str(kind(first))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Str(_) => "string",
        Value::List(_) | Value::Tuple(_) => "array",
        Value::Dict(_) => "object",
        Value::None => "null",
        other if is_number(other) => "number",
        _ => "unknown",
    }
}

fn wrong(name: &str, value: &Value, wanted: &str) -> Error {
    Error::new(format!("{name}(): invalid type, expected {wanted}, got {}", kind(value)))
}

fn array(name: &str, value: &Value) -> Result<Vec<Value>, Error> {
    list(value)?.ok_or_else(|| wrong(name, value, "array"))
}

fn number<'v>(name: &str, value: &'v Value) -> Result<&'v Value, Error> {
    if kind(value) == "number" { Ok(value) } else { Err(wrong(name, value, "number")) }
}

fn rounded(value: &Value, how: fn(f64) -> f64) -> Result<Value, Error> {
    match value {
        Value::Float(f) => crate::value::float_to_big(how(*f))
            .map(Value::big)
            .ok_or_else(|| Error::new("cannot convert float to integer")),
        other => Ok(other.clone()),
    }
}

/// Only numbers, or only strings.
fn alike(name: &str, items: Vec<Value>) -> Result<Vec<Value>, Error> {
    let first = items.first().map(kind);
    for item in &items {
        if Some(kind(item)) != first || !matches!(kind(item), "number" | "string") {
            return Err(wrong(name, item, "array of numbers or of strings"));
        }
    }
    Ok(items)
}

fn extreme(
    items: Vec<Value>,
    largest: bool,
    key: impl Fn(&Value) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let mut best: Option<(Value, Value)> = None;
    for item in items {
        let own = key(&item)?;
        let better = match &best {
            None => true,
            Some((_, known)) => {
                let order = own.python_cmp(known, "<")?;
                order.is_some_and(|order| if largest { order.is_gt() } else { order.is_lt() })
            }
        };
        if better {
            best = Some((item, own));
        }
    }
    Ok(best.map_or(Value::None, |(item, _)| item))
}

fn by(name: &str, items: Vec<Value>, key: &Node) -> Result<Value, Error> {
    let keys = items.iter().map(|item| key.search(item)).collect::<Result<Vec<_>, _>>()?;
    alike(name, keys)?;
    let key = |item: &Value| key.search(item);
    match name {
        "sort_by" => Ok(Value::list(sorted(items, false, key)?)),
        other => extreme(items, other == "max_by", key),
    }
}

fn total(name: &str, value: &Value) -> Result<Value, Error> {
    let mut sum = Value::Int(0);
    for item in array(name, value)? {
        sum = apply(Operator::Add, &sum, number(name, &item)?)?;
    }
    Ok(sum)
}

fn merge(args: &[Value]) -> Result<Value, Error> {
    let new = Dict::new();
    for arg in args {
        let Value::Dict(dict) = arg else { return Err(wrong("merge", arg, "object")) };
        for (key, value) in dict.items()? {
            new.insert(key, value);
        }
    }
    Ok(Value::from(new))
}

fn two(name: &str, first: &Value, second: &Value) -> Result<Value, Error> {
    if name == "join" {
        let Value::Str(separator) = first else { return Err(wrong(name, first, "string")) };
        let items = array(name, second)?;
        if let Some(other) = items.iter().find(|item| item.as_str().is_none()) {
            return Err(wrong(name, other, "array of strings"));
        }
        let texts = items.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
        return Ok(Value::from(texts.join(separator.as_str())));
    }
    if name == "contains" {
        return match first {
            Value::Str(text) => {
                Ok(Value::Bool(second.as_str().is_some_and(|part| text.as_str().contains(part))))
            }
            other => Ok(Value::Bool(Value::list(array(name, other)?).contains(second)?)),
        };
    }
    let (Value::Str(text), Value::Str(part)) = (first, second) else {
        return Err(wrong(name, if first.as_str().is_some() { second } else { first }, "string"));
    };
    let (text, part) = (text.as_str(), part.as_str());
    Ok(Value::Bool(if name == "starts_with" { text.starts_with(part) } else { text.ends_with(part) }))
}

fn to_number(value: &Value) -> Value {
    match value {
        Value::Str(text) => {
            let text = text.as_str().trim();
            if let Ok(number) = text.parse::<num_bigint::BigInt>() {
                return Value::big(number);
            }
            text.parse::<f64>().map_or(Value::None, Value::Float)
        }
        other if kind(other) == "number" => other.clone(),
        _ => Value::None,
    }
}
