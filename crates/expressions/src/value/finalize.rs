//! What leaves a template: only data, nothing undefined, tuples as lists.

use super::{Value, deeper};
use crate::error::Error;

impl Value {
    /// The value as the result of a template. Lazy containers stay lazy; only what a template itself built is
    /// looked into. `omit` stays: whoever takes the arguments drops it.
    pub(crate) fn finalize(self) -> Result<Value, Error> {
        let plain = !matches!(
            self,
            Value::Undefined(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Object(_)
        );
        if plain {
            return Ok(self);
        }
        Ok(changed(&self, false)?.unwrap_or(self))
    }

    /// Everything resolved, to the last element; undefined is an error, tuples become lists, omitted entries
    /// of containers are left out.
    pub fn resolved(&self) -> Result<Value, Error> {
        Ok(changed(self, true)?.unwrap_or_else(|| self.clone()))
    }

    /// A copy whose containers are not shared with this one.
    pub(crate) fn deep_copy(&self) -> Result<Value, Error> {
        deeper()?;
        Ok(match self {
            Value::List(list) => {
                let items = list.raw_items().iter().map(Value::deep_copy).collect::<Result<Vec<_>, _>>()?;
                Value::from(std::sync::Arc::new(super::List {
                    items: items.into(),
                    resolver: list.resolver.clone(),
                }))
            }
            Value::Dict(dict) => {
                let mut copy = super::containers::Entries::default();
                for (key, value) in dict.raw_items() {
                    copy.insert(super::Key(key), value.deep_copy()?);
                }
                Value::from(super::Dict { entries: copy.into(), resolver: dict.resolver.clone() })
            }
            other => other.clone(),
        })
    }
}

/// `None`: nothing has to change.
fn changed(value: &Value, force: bool) -> Result<Option<Value>, Error> {
    deeper()?;
    match value {
        Value::Undefined(missing) => Err(missing.error()),
        Value::List(list) if list.resolver.is_none() || force => {
            let lazy = list.resolver.is_some();
            let items = list.items()?;
            let new = changed_items(&items, force)?;
            Ok(new.or(if lazy { Some(items) } else { None }).map(Value::list))
        }
        Value::Tuple(items) => {
            let new = changed_items(items, force)?;
            Ok(Some(Value::list(new.unwrap_or_else(|| items.to_vec()))))
        }
        Value::Dict(dict) if dict.resolver.is_none() || force => {
            let entries = dict.items()?;
            let mut new = Vec::with_capacity(entries.len());
            let mut differs = dict.resolver.is_some();
            for (key, value) in entries {
                if force && value.is_omit() {
                    differs = true;
                    continue;
                }
                if matches!(key, Value::Tuple(_)) {
                    return Err(Error::new("a tuple cannot be a key of a dict outside a template"));
                }
                let replaced = changed(&value, force)?;
                differs |= replaced.is_some();
                new.push((key, replaced.unwrap_or(value)));
            }
            Ok(differs.then(|| Value::dict(new)))
        }
        Value::Object(object) if object.as_data().is_some() => Ok(object.as_data()),
        Value::Object(object) if !object.is_data() => {
            Err(Error::new(format!("Type '{}' is unsupported for variable storage.", object.type_name())))
        }
        _ => Ok(None),
    }
}

fn changed_items(items: &[Value], force: bool) -> Result<Option<Vec<Value>>, Error> {
    let mut new: Option<Vec<Value>> = None;
    for (index, item) in items.iter().enumerate() {
        if force && item.is_omit() {
            new.get_or_insert_with(|| items[..index].to_vec());
            continue;
        }
        let replaced = changed(item, force)?;
        match (&mut new, replaced) {
            (Some(new), replaced) => new.push(replaced.unwrap_or_else(|| item.clone())),
            (None, Some(replaced)) => {
                let mut copy = items[..index].to_vec();
                copy.push(replaced);
                new = Some(copy);
            }
            (None, None) => {}
        }
    }
    Ok(new)
}
