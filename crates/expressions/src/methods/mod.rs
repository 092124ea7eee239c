//! Methods of Python's built-in types.

pub(crate) mod dict;
pub(crate) mod list;
mod number;
pub(crate) mod string;

use std::any::Any;
use std::sync::Arc;

use crate::error::Error;
use crate::eval::Args;
use crate::value::{Object, Value};

/// Calls a method; `None`: the type has no method of this name.
pub(crate) fn call(owner: &Value, name: &str, args: &Args) -> Option<Result<Value, Error>> {
    match owner {
        Value::Str(s) => string::call(s.as_str(), name, args),
        Value::List(l) => list::call(l, name, args),
        Value::Tuple(t) => list::call_tuple(t, name, args),
        Value::Dict(d) => dict::call(d, name, args),
        Value::Int(_) | Value::Big(_) | Value::Float(_) | Value::Bool(_) => number::call(owner, name, args),
        Value::Bytes(b) => string::call_bytes(b, name, args),
        Value::Object(o) => o.call_method(name, &args.positional, &args.named),
        _ => None,
    }
}

/// `value.real` and its kin.
pub(crate) fn number_attribute(value: &Value, name: &str) -> Option<Value> {
    let plain = || match value {
        Value::Bool(b) => Value::Int(i64::from(*b)),
        other => other.clone(),
    };
    match (value, name) {
        (Value::Int(_) | Value::Big(_) | Value::Bool(_), "real" | "numerator") => Some(plain()),
        (Value::Int(_) | Value::Big(_) | Value::Bool(_), "imag") => Some(Value::Int(0)),
        (Value::Int(_) | Value::Big(_) | Value::Bool(_), "denominator") => Some(Value::Int(1)),
        (Value::Float(_), "real") => Some(plain()),
        (Value::Float(_), "imag") => Some(Value::Float(0.0)),
        _ => None,
    }
}

/// `value.name` as a callable, if it is a method.
pub(crate) fn bound(value: &Value, name: &str) -> Option<Value> {
    let known: &[&str] = match value {
        Value::Str(_) => &string::NAMES,
        Value::List(_) => &list::NAMES,
        Value::Tuple(_) => &["count", "index"],
        Value::Dict(_) => &dict::NAMES,
        Value::Bytes(_) => &["decode", "hex"],
        _ => return None,
    };
    known.contains(&name).then(|| Value::object(Bound { owner: value.clone(), name: Arc::from(name) }))
}

struct Bound {
    owner: Value,
    name: Arc<str>,
}

impl Object for Bound {
    fn type_name(&self) -> &str {
        "method"
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn call(&self, args: &[Value], named: &[(Arc<str>, Value)]) -> Result<Value, Error> {
        let args = Args { positional: args.to_vec(), named: named.to_vec() };
        call(&self.owner, &self.name, &args)
            .unwrap_or_else(|| Err(Error::new(format!("'{}' is not callable", self.name))))
    }
    fn render(&self) -> Result<String, Error> {
        Ok(format!("<built-in method {} of {} object>", self.name, self.owner.type_name()))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A string argument.
pub(crate) fn text(value: &Value) -> Result<&str, Error> {
    match value {
        Value::Undefined(missing) => Err(missing.error()),
        other => other.as_str().ok_or_else(|| Error::new(format!("expected str, not {}", other.type_name()))),
    }
}

/// An integer argument.
pub(crate) fn integer(value: &Value) -> Result<i64, Error> {
    match value {
        Value::Undefined(missing) => Err(missing.error()),
        other => other.as_i64().ok_or_else(|| {
            Error::new(format!("'{}' object cannot be interpreted as an integer", other.type_name()))
        }),
    }
}
