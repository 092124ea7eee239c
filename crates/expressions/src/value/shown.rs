//! A value as JSON although something in it is undefined: that is said in its place.

use serde_json::{Map, Value as Json};

use super::{Value, deeper, json_key, lifted};
use crate::error::Error;

type Instead<'a> = &'a mut dyn FnMut(Error) -> Json;

impl Value {
    /// As [`Value::to_json`] of what is resolved; `instead` says what stands for something undefined, wherever it is.
    pub fn to_json_or(&self, instead: Instead<'_>) -> Result<Json, Error> {
        deeper()?;
        match self {
            Value::Undefined(missing) => Ok(instead(missing.error())),
            Value::List(list) => {
                let count = i64::try_from(list.len()).unwrap_or(i64::MAX);
                array((0..count).map(|index| list.get(index)), instead)
            }
            Value::Tuple(items) => array(items.iter().map(|item| Ok(Some(item.clone()))), instead),
            Value::Dict(dict) => {
                let entries = dict.raw_items();
                object(entries.iter().map(|(key, _)| (key, dict.get_value(key))), instead)
            }
            Value::Object(found) if found.json().is_none() => match (found.as_data(), found.keys()) {
                (Some(data), _) => data.to_json_or(instead),
                (None, Some(keys)) => object(keys.iter().map(|key| (key, found.get(key))), instead),
                (None, None) => self.to_json(),
            },
            other => other.to_json(),
        }
    }
}

/// What was found, unless it is to be left out.
fn part(found: Result<Option<Value>, Error>, instead: Instead<'_>) -> Result<Option<Json>, Error> {
    match lifted(found.map(|value| value.unwrap_or(Value::None)))? {
        value if value.is_omit() => Ok(None),
        value => value.to_json_or(instead).map(Some),
    }
}

fn array(
    items: impl Iterator<Item = Result<Option<Value>, Error>>,
    instead: Instead<'_>,
) -> Result<Json, Error> {
    let mut all = Vec::new();
    for item in items {
        all.extend(part(item, instead)?);
    }
    Ok(Json::Array(all))
}

fn object<'a>(
    entries: impl Iterator<Item = (&'a Value, Result<Option<Value>, Error>)>,
    instead: Instead<'_>,
) -> Result<Json, Error> {
    let mut map = Map::new();
    for (key, value) in entries {
        if let Some(value) = part(value, instead)? {
            map.insert(json_key(key)?, value);
        }
    }
    Ok(Json::Object(map))
}
