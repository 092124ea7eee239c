//! Items, attributes, elements and lengths.

use super::containers::position;
use super::{Missing, Value};
use crate::error::Error;

impl Value {
    /// `value[key]`, then the attribute of that name. Undefined if there is neither.
    pub fn get_item(&self, key: &Value) -> Result<Value, Error> {
        if let Value::Undefined(missing) = key {
            return Err(missing.error());
        }
        if let Some(found) = self.item(key)? {
            return Ok(found);
        }
        if let Value::Str(name) = key
            && let Some(method) = crate::methods::bound(self, name.as_str())
        {
            return Ok(method);
        }
        self.absent(key)
    }

    /// `value.name`: a method, then the item of that name. Undefined if there is neither.
    pub fn get_attr(&self, name: &str) -> Result<Value, Error> {
        if let Some(method) = crate::methods::bound(self, name) {
            return Ok(method);
        }
        let found = match self {
            Value::Undefined(_) => return Ok(self.clone()),
            Value::Int(_) | Value::Big(_) | Value::Float(_) | Value::Bool(_) => {
                Ok(crate::methods::number_attribute(self, name))
            }
            Value::Dict(dict) => dict.get(name),
            Value::Object(object) => object.get(&Value::str(name)),
            _ => Ok(None),
        };
        match found {
            Ok(None) => self.absent(&Value::str(name)),
            Ok(Some(found)) => Ok(found),
            Err(error) => lifted(Err(error)),
        }
    }

    /// The item itself; `None`: there is none. An item that is itself undefined inside comes as undefined.
    pub(crate) fn item(&self, key: &Value) -> Result<Option<Value>, Error> {
        let index = key.as_i64();
        let found = match self {
            Value::Undefined(_) => Ok(Some(self.clone())),
            Value::Dict(_) if matches!(key, Value::List(_) | Value::Dict(_)) => Ok(None),
            Value::Dict(dict) => {
                key.check_hashable()?;
                dict.get_value(key)
            }
            Value::Object(object) => object.get(key),
            Value::List(list) => index.map_or(Ok(None), |index| list.get(index)),
            Value::Tuple(items) => {
                Ok(index.and_then(|index| position(index, items.len())).map(|place| items[place].clone()))
            }
            Value::Str(s) => Ok(index.and_then(|index| character(s.as_str(), index))),
            Value::Bytes(b) => {
                let place = index.and_then(|index| position(index, b.len()));
                Ok(place.map(|place| Value::Int(i64::from(b[place]))))
            }
            _ => Ok(None),
        };
        match found {
            Err(error) => lifted(Err(error)).map(Some),
            found => found,
        }
    }

    fn absent(&self, key: &Value) -> Result<Value, Error> {
        let kind = self.type_name();
        if let Some(name) = key.as_str().filter(|name| name.starts_with("__") && name.ends_with("__")) {
            return Ok(Value::undefined(format!(
                "access to attribute '{name}' of '{kind}' object is unsafe."
            )));
        }
        // Of nothing but the first element Jinja itself speaks.
        let is_first = matches!(key, Value::Int(0)) && !matches!(self, Value::Str(_) | Value::Tuple(_));
        if is_first {
            return Ok(Value::undefined(format!("{kind} object has no element 0")));
        }
        let key = key.python_repr()?;
        Ok(Value::undefined(format!("object of type '{kind}' has no attribute {key}")))
    }

    /// The elements that a loop over this value sees, resolved.
    pub fn iterate(&self) -> Result<Vec<Value>, Error> {
        match self {
            Value::Undefined(missing) if missing.soft => Ok(Vec::new()),
            Value::Undefined(missing) => Err(missing.error()),
            Value::List(list) => list.items(),
            Value::Tuple(items) => Ok(items.to_vec()),
            Value::Dict(dict) => Ok(dict.keys()),
            Value::Str(s) => Ok(s.as_str().chars().map(char_value).collect()),
            Value::Bytes(b) => Ok(b.iter().map(|&byte| Value::Int(i64::from(byte))).collect()),
            Value::Object(object) => object.iterate().unwrap_or_else(|| Err(self.not_iterable())),
            _ => Err(self.not_iterable()),
        }
    }

    /// As [`Value::iterate`], and no element may be undefined: what filters see.
    pub(crate) fn elements(&self) -> Result<Vec<Value>, Error> {
        let items = self.iterate()?;
        match items.iter().find_map(as_missing) {
            Some(missing) => Err(missing.error()),
            None => Ok(items),
        }
    }

    fn not_iterable(&self) -> Error {
        Error::new(format!("'{}' object is not iterable", self.type_name()))
    }

    /// Python's `len()`.
    pub fn length(&self) -> Result<usize, Error> {
        Ok(match self {
            Value::Undefined(missing) => return Err(missing.error()),
            Value::Str(s) => s.as_str().chars().count(),
            Value::Bytes(b) => b.len(),
            Value::List(l) => l.len(),
            Value::Tuple(t) => t.len(),
            Value::Dict(d) => d.len(),
            Value::Object(o) => match o.iterate() {
                Some(items) => items?.len(),
                None => return Err(self.no_length()),
            },
            _ => return Err(self.no_length()),
        })
    }

    fn no_length(&self) -> Error {
        Error::new(format!("object of type '{}' has no len()", self.type_name()))
    }

    /// `needle in self`.
    pub fn contains(&self, needle: &Value) -> Result<bool, Error> {
        if let Value::Undefined(missing) = needle {
            return Err(missing.error());
        }
        match self {
            Value::Undefined(missing) => Err(missing.error()),
            Value::Str(s) => match needle {
                Value::Str(part) => Ok(s.as_str().contains(part.as_str())),
                other => {
                    let kind = other.type_name();
                    Err(Error::new(format!("'in <string>' requires string as left operand, not {kind}")))
                }
            },
            Value::Dict(dict) => {
                needle.check_hashable()?;
                Ok(dict.contains_value(needle))
            }
            Value::Object(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_) => {
                for item in self.iterate()? {
                    if item.python_eq(needle)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Err(Error::new(format!("argument of type '{}' is not iterable", self.type_name()))),
        }
    }

    /// `value[start:stop:step]`.
    pub(crate) fn slice(&self, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
        let bound = |value: &Value| match value {
            Value::None => Ok(None),
            Value::Undefined(missing) => Err(missing.error()),
            Value::Big(b) => Ok(Some(if b.sign() == num_bigint::Sign::Minus { i64::MIN } else { i64::MAX })),
            other => other.as_i64().map(Some).ok_or_else(|| {
                Error::new("slice indices must be integers or None or have an __index__ method")
            }),
        };
        let (start, stop, step) = (bound(start)?, bound(stop)?, bound(step)?.unwrap_or(1));
        if step == 0 {
            return Err(Error::new("slice step cannot be zero"));
        }
        Ok(match self {
            Value::Undefined(_) => self.clone(),
            Value::Str(s) if s.as_str().is_ascii() => {
                let bytes = picked(s.as_str().as_bytes(), start, stop, step);
                Value::str(String::from_utf8(bytes).expect("ASCII stays ASCII"))
            }
            Value::Str(s) => {
                let chars: Vec<char> = s.as_str().chars().collect();
                Value::str(picked(&chars, start, stop, step).into_iter().collect::<String>())
            }
            Value::List(list) => Value::list(picked(&list.items()?, start, stop, step)),
            Value::Tuple(items) => Value::tuple(picked(items, start, stop, step)),
            Value::Bytes(b) => Value::Bytes(picked(b, start, stop, step).into()),
            other => {
                let kind = other.type_name();
                return Ok(Value::undefined(format!("object of type '{kind}' cannot be sliced")));
            }
        })
    }
}

pub(crate) fn as_missing(value: &Value) -> Option<&Missing> {
    match value {
        Value::Undefined(missing) if !missing.soft => Some(missing),
        _ => None,
    }
}

/// An undefined-error from inside becomes an undefined value, which `default` can rescue.
pub(crate) fn lifted(result: Result<Value, Error>) -> Result<Value, Error> {
    match result {
        Err(error) if error.is_undefined() => Ok(Value::from_undefined_error(error)),
        other => other,
    }
}

pub(crate) fn char_value(c: char) -> Value {
    Value::str(c.encode_utf8(&mut [0; 4]) as &str)
}

fn character(text: &str, index: i64) -> Option<Value> {
    let count = if index < 0 || !text.is_ascii() { text.chars().count() } else { text.len() };
    text.chars().nth(position(index, count)?).map(char_value)
}

fn picked<T: Clone>(items: &[T], start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<T> {
    let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |value: i64| if value < 0 { (value.saturating_add(len)).max(low) } else { value.min(high) };
    let first = start.map_or(if step > 0 { 0 } else { len - 1 }, clamp);
    let last = stop.map_or(if step > 0 { len } else { -1 }, clamp);
    let mut result = Vec::new();
    let mut at = first;
    while (step > 0 && at < last) || (step < 0 && at > last) {
        if let Some(item) = usize::try_from(at).ok().and_then(|place| items.get(place)) {
            result.push(item.clone());
        }
        at = at.saturating_add(step);
    }
    result
}
