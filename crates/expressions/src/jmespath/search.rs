//! A query, asked of data.

use super::{Comparator, Node, functions};
use crate::error::Error;
use crate::value::{Dict, Value, deeper, is_number};

impl Node {
    pub(super) fn search(&self, data: &Value) -> Result<Value, Error> {
        deeper()?;
        Ok(match self {
            Node::Current => data.clone(),
            Node::Field(name) => match data {
                Value::Dict(dict) => dict.get(name)?.unwrap_or(Value::None),
                Value::Object(object) if object.keys().is_some() => {
                    object.get(&Value::str(name.as_str()))?.unwrap_or(Value::None)
                }
                _ => Value::None,
            },
            Node::Index(index) => match list(data)? {
                Some(_) => data.item(&Value::Int(*index))?.unwrap_or(Value::None),
                None => Value::None,
            },
            Node::Slice(parts) => match list(data)? {
                Some(_) => {
                    let [start, stop, step] = parts.map(|part| part.map_or(Value::None, Value::Int));
                    data.slice(&start, &stop, &step)?
                }
                None => Value::None,
            },
            Node::Literal(value) => value.clone(),
            Node::Chain(left, right) | Node::Pipe(left, right) => right.search(&left.search(data)?)?,
            Node::Project(left, right) => match list(&left.search(data)?)? {
                Some(items) => right.of_each(items)?,
                None => Value::None,
            },
            Node::ProjectValues(left, right) => match left.search(data)? {
                Value::Dict(dict) => {
                    right.of_each(dict.items()?.into_iter().map(|(_, value)| value).collect())?
                }
                _ => Value::None,
            },
            Node::Filter { left, condition, right } => match list(&left.search(data)?)? {
                Some(items) => {
                    let mut kept = Vec::new();
                    for item in items {
                        if holds(&condition.search(&item)?)? {
                            kept.push(item);
                        }
                    }
                    right.of_each(kept)?
                }
                None => Value::None,
            },
            Node::Flatten(inner) => match list(&inner.search(data)?)? {
                Some(items) => flat(items)?,
                None => Value::None,
            },
            Node::List(_) | Node::Dict(_) if data.is_none() => Value::None,
            Node::List(parts) => {
                Value::list(parts.iter().map(|part| part.search(data)).collect::<Result<_, _>>()?)
            }
            Node::Dict(entries) => {
                let new = Dict::new();
                for (name, part) in entries {
                    new.insert(name.as_str(), part.search(data)?);
                }
                Value::from(new)
            }
            Node::Compare(op, left, right) => compare(*op, &left.search(data)?, &right.search(data)?)?,
            Node::And(left, right) => {
                let first = left.search(data)?;
                if holds(&first)? { right.search(data)? } else { first }
            }
            Node::Or(left, right) => {
                let first = left.search(data)?;
                if holds(&first)? { first } else { right.search(data)? }
            }
            Node::Not(inner) => Value::Bool(!holds(&inner.search(data)?)?),
            Node::Call(name, args) => functions::call(name, args, data)?,
            Node::Reference(_) => {
                return Err(Error::new("an expression reference belongs into a function call"));
            }
        })
    }

    fn of_each(&self, items: Vec<Value>) -> Result<Value, Error> {
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            let value = self.search(&item)?;
            if !value.is_none() {
                found.push(value);
            }
        }
        Ok(Value::list(found))
    }
}

pub(super) fn list(value: &Value) -> Result<Option<Vec<Value>>, Error> {
    match value {
        Value::List(list) => list.items().map(Some),
        Value::Tuple(items) => Ok(Some(items.to_vec())),
        _ => Ok(None),
    }
}

fn flat(items: Vec<Value>) -> Result<Value, Error> {
    let mut all = Vec::new();
    for item in items {
        match list(&item)? {
            Some(inner) => all.extend(inner),
            None => all.push(item),
        }
    }
    Ok(Value::list(all))
}

/// Truth as JMESPath has it: numbers are always true.
pub(super) fn holds(value: &Value) -> Result<bool, Error> {
    match value {
        Value::Int(_) | Value::Float(_) | Value::Big(_) => Ok(true),
        other => other.truth(),
    }
}

fn compare(op: Comparator, left: &Value, right: &Value) -> Result<Value, Error> {
    // `true` is not `1` here.
    let alike = matches!(left, Value::Bool(_)) == matches!(right, Value::Bool(_));
    let order = match op {
        Comparator::Eq => return Ok(Value::Bool(alike && left.python_eq(right)?)),
        Comparator::Ne => return Ok(Value::Bool(!(alike && left.python_eq(right)?))),
        _ if comparable(left) && comparable(right) => match left.python_cmp(right, "<") {
            Ok(Some(order)) => order,
            Ok(None) => return Ok(Value::Bool(false)),
            Err(error) => return Err(error),
        },
        _ => return Ok(Value::None),
    };
    Ok(Value::Bool(match op {
        Comparator::Lt => order.is_lt(),
        Comparator::Le => order.is_le(),
        Comparator::Gt => order.is_gt(),
        _ => order.is_ge(),
    }))
}

fn comparable(value: &Value) -> bool {
    matches!(value, Value::Str(_)) || is_number(value) && !matches!(value, Value::Bool(_))
}
