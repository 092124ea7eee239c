//! Values as Python has them, with marks.

mod access;
mod arithmetic;
mod compare;
mod containers;
mod depth;
mod finalize;
mod json;
mod object;
mod repr;
mod shown;
mod str;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use num_bigint::BigInt;

use crate::Origin;
use crate::error::Error;

pub(crate) use access::{as_missing, lifted};
pub(crate) use arithmetic::{Operator, apply, float_to_big, negate, plus};
pub(crate) use compare::is_number;
pub(crate) use containers::position;
pub use containers::{Dict, Key, List, Resolve, Tuple};
pub(crate) use depth::deeper;
pub(crate) use json::json_key;
pub use object::{Object, omit};
pub(crate) use repr::{Style, float_repr};
pub use str::Str;

/// A Python value. Cloning is cheap; lists and dicts are shared, as in Python.
#[derive(Clone)]
pub enum Value {
    /// A name or attribute that does not exist. Passing it on is allowed, using it is an error.
    Undefined(Arc<Missing>),
    None,
    Bool(bool),
    Int(i64),
    /// Beyond 64 bits.
    Big(Arc<BigInt>),
    Float(f64),
    Str(Str),
    Bytes(Arc<[u8]>),
    List(Arc<List>),
    Tuple(Arc<Tuple>),
    Dict(Arc<Dict>),
    Object(Arc<dyn Object>),
}

/// What is known of something undefined: the name, and where it was looked for.
#[derive(Clone, Debug)]
pub struct Missing {
    pub message: String,
    pub origin: Option<Origin>,
    /// The missing `else` of an inline `if`: prints as nothing, is false and empty.
    pub soft: bool,
}

impl Missing {
    pub fn error(&self) -> Error {
        Error { origin: self.origin.clone(), ..Error::undefined(self.message.clone()) }
    }
}

impl Value {
    pub fn undefined(message: impl Into<String>) -> Self {
        Self::Undefined(Arc::new(Missing { message: message.into(), origin: None, soft: false }))
    }
    /// An undefined value from the error that something undefined raised.
    pub fn from_undefined_error(error: Error) -> Self {
        Self::Undefined(Arc::new(Missing { message: error.message, origin: error.origin, soft: false }))
    }
    pub(crate) fn soft_undefined() -> Self {
        let message = "Type 'Undefined' is unsupported for variable storage.".to_owned();
        Self::Undefined(Arc::new(Missing { message, origin: None, soft: true }))
    }
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(Str::new(text))
    }
    pub fn list(items: Vec<Value>) -> Self {
        Self::List(Arc::new(List::new(items)))
    }
    pub fn tuple(items: Vec<Value>) -> Self {
        Self::Tuple(Arc::new(Tuple::new(items)))
    }
    pub fn dict<K: Into<Value>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Dict(Arc::new(entries.into_iter().map(|(k, v)| (k.into(), v)).collect()))
    }
    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Arc::new(object))
    }
    /// An integer of any size, as small as it can be.
    pub fn big(number: BigInt) -> Self {
        i64::try_from(&number).map_or_else(|_| Self::Big(Arc::new(number)), Self::Int)
    }
    /// A plain scalar of YAML 1.1 that is a date or a time, as Python reads it. `None`: it is neither.
    pub fn yaml_timestamp(text: &str) -> Option<Self> {
        crate::datetime::yaml_timestamp(text)
    }
    pub fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s.as_str()),
            _ => None,
        }
    }
    /// Integers; booleans too, since Python's are integers.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            Self::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(i) => Some(*i as f64),
            Self::Bool(b) => Some(f64::from(u8::from(*b))),
            Self::Float(f) => Some(*f),
            Self::Big(b) => Some(repr::big_to_f64(b)),
            _ => None,
        }
    }
    pub fn as_big(&self) -> Option<BigInt> {
        match self {
            Self::Big(b) => Some((**b).clone()),
            _ => self.as_i64().map(BigInt::from),
        }
    }
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }
    /// The elements of a list or tuple, resolved. `None` also when an element cannot be resolved:
    /// use [`Value::iterate`] where that error matters.
    pub fn as_list(&self) -> Option<Vec<Value>> {
        match self {
            Self::List(list) => list.items().ok(),
            Self::Tuple(items) => Some(items.to_vec()),
            _ => None,
        }
    }
    pub fn as_dict(&self) -> Option<Arc<Dict>> {
        match self {
            Self::Dict(dict) => Some(Arc::clone(dict)),
            _ => None,
        }
    }
    pub fn as_object<T: 'static>(&self) -> Option<&T> {
        match self {
            Self::Object(object) => object.as_any().downcast_ref(),
            _ => None,
        }
    }
    pub fn is_omit(&self) -> bool {
        self.as_object::<object::Omit>().is_some()
    }
    /// Python's name of the type.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Undefined(_) => "UndefinedMarker",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Big(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Object(o) => o.type_name(),
        }
    }
    /// Python's truth of a value.
    pub fn truth(&self) -> Result<bool, Error> {
        Ok(match self {
            Self::Undefined(missing) if missing.soft => false,
            Self::Undefined(missing) => return Err(missing.error()),
            Self::None => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Big(_) => true,
            Self::Float(f) => *f != 0.0,
            Self::Str(s) => !s.as_str().is_empty(),
            Self::Bytes(b) => !b.is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Tuple(t) => !t.is_empty(),
            Self::Dict(d) => !d.is_empty(),
            Self::Object(o) => return o.truth(),
        })
    }
    /// Fails on something undefined, gives the value back otherwise.
    pub fn defined(self) -> Result<Value, Error> {
        match self {
            Self::Undefined(missing) => Err(missing.error()),
            other => Ok(other),
        }
    }
}

macro_rules! from {
    ($($type:ty => |$name:ident| $value:expr;)*) => { $(impl From<$type> for Value {
        fn from($name: $type) -> Self { $value }
    })* };
}
from! {
    &str => |s| Value::str(s);
    &String => |s| Value::str(s.as_str());
    String => |s| Value::str(s);
    Arc<str> => |s| Value::str(s);
    Str => |s| Value::Str(s);
    bool => |b| Value::Bool(b);
    i32 => |i| Value::Int(i64::from(i));
    u32 => |i| Value::Int(i64::from(i));
    i64 => |i| Value::Int(i);
    u64 => |i| Value::big(BigInt::from(i));
    usize => |i| Value::big(BigInt::from(i));
    f64 => |f| Value::Float(f);
    Vec<Value> => |items| Value::list(items);
    Arc<Dict> => |dict| Value::Dict(dict);
    Dict => |dict| Value::Dict(Arc::new(dict));
    Arc<List> => |list| Value::List(list);
}
impl From<Vec<String>> for Value {
    fn from(items: Vec<String>) -> Self {
        Value::list(items.into_iter().map(Value::from).collect())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::None, Into::into)
    }
}
