//! To and from JSON.

use num_bigint::BigInt;
use serde_json::{Map, Number, Value as Json};

use super::{Value, deeper};
use crate::error::Error;

impl Value {
    /// Data from outside: nothing in it is trusted.
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Value::None,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => from_number(n),
            Json::String(s) => Value::str(s.as_str()),
            Json::Array(items) => Value::list(items.iter().map(Value::from_json).collect()),
            Json::Object(entries) => {
                Value::dict(entries.iter().map(|(k, v)| (k.as_str(), Value::from_json(v))))
            }
        }
    }

    /// Everything resolved, as JSON. Something undefined or omitted in it is an error. Integers beyond 64 bits
    /// become floats, which is all that JSON readers promise to keep.
    pub fn to_json(&self) -> Result<Json, Error> {
        deeper()?;
        Ok(match self {
            Value::Undefined(missing) => return Err(missing.error()),
            Value::None => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::Number((*i).into()),
            Value::Big(b) => {
                u64::try_from(&**b).map_or_else(|_| float(super::repr::big_to_f64(b)), Json::from)
            }
            Value::Float(f) => float(*f),
            Value::Str(s) => Json::String(s.as_str().to_owned()),
            Value::Bytes(b) => Json::String(String::from_utf8_lossy(b).into_owned()),
            Value::List(list) => array(&list.items()?)?,
            Value::Tuple(items) => array(items)?,
            Value::Dict(dict) => object(dict.items()?)?,
            Value::Object(o) => {
                if self.is_omit() {
                    return Err(Error::new("an omitted value was used where a value is needed"));
                }
                if let Some(json) = o.json() {
                    return Ok(json);
                }
                if let Some(data) = o.as_data() {
                    return data.to_json();
                }
                let Some(keys) = o.keys() else {
                    return Err(Error::new(format!("a value of type '{}' is not data", o.type_name())));
                };
                let entries: Result<Vec<_>, Error> =
                    keys.into_iter().map(|k| Ok((k.clone(), o.get(&k)?.unwrap_or(Value::None)))).collect();
                object(entries?)?
            }
        })
    }
}

fn from_number(number: &Number) -> Value {
    if let Some(i) = number.as_i64() {
        return Value::Int(i);
    }
    if let Some(u) = number.as_u64() {
        return Value::big(BigInt::from(u));
    }
    number.as_f64().map_or(Value::None, Value::Float)
}

fn float(number: f64) -> Json {
    Number::from_f64(number).map_or_else(|| Json::String(super::float_repr(number)), Json::Number)
}

fn array(items: &[Value]) -> Result<Json, Error> {
    Ok(Json::Array(items.iter().map(Value::to_json).collect::<Result<_, _>>()?))
}

fn object(entries: Vec<(Value, Value)>) -> Result<Json, Error> {
    let mut map = Map::new();
    for (key, value) in entries {
        map.insert(json_key(&key)?, value.to_json()?);
    }
    Ok(Json::Object(map))
}

/// A key of a dict as Python's `json` writes it.
pub(crate) fn json_key(key: &Value) -> Result<String, Error> {
    Ok(match key {
        Value::None => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        _ => key.python_str()?,
    })
}
