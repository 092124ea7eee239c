//! Values as Python has them, with marks.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use num_bigint::BigInt;
use parking_lot::RwLock;

use crate::Origin;
use crate::error::Error;

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
    Tuple(Arc<[Value]>),
    Dict(Arc<Dict>),
    Object(Arc<dyn Object>),
}

/// Text and its marks.
#[derive(Clone)]
pub struct Str {
    text: Arc<str>,
    /// `Some`: a person wrote this here, it may be read as a template. `None`: it is data, never a template.
    trusted: Option<Arc<Origin>>,
}

impl Str {
    /// Data: never a template.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), trusted: None }
    }
    /// Written by a person at this place.
    pub fn trusted(text: impl Into<Arc<str>>, origin: Arc<Origin>) -> Self {
        Self { text: text.into(), trusted: Some(origin) }
    }
    pub fn as_str(&self) -> &str {
        &self.text
    }
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.trusted.as_ref()
    }
    pub fn is_trusted(&self) -> bool {
        self.trusted.is_some()
    }
    /// May be a template, and looks like one.
    pub fn is_template(&self) -> bool {
        self.trusted.is_some() && (self.text.contains("{{") || self.text.contains("{%") || self.text.contains("{#"))
    }
}

/// What is known of something undefined: the name, and where it was looked for.
#[derive(Clone, Debug)]
pub struct Missing {
    pub message: String,
}

/// Resolves a trusted template found inside a lazy container.
pub trait Resolve: Send + Sync {
    fn resolve(&self, raw: &Value) -> Result<Value, Error>;
}

/// A list. `resolver`: its elements are resolved when they are used (and then kept).
pub struct List {
    pub items: RwLock<Vec<Value>>,
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// A dict in insertion order. `resolver` as in [`List`].
pub struct Dict {
    pub entries: RwLock<IndexMap<Key, Value>>,
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// A hashable value with Python's equality (`1 == True == 1.0`).
#[derive(Clone)]
pub struct Key(pub Value);

/// What is neither data nor container: functions, `loop`, `namespace`, `hostvars`, `omit`.
pub trait Object: Send + Sync {
    fn type_name(&self) -> &str;
    /// `o.name` and `o['name']`; `None`: there is no such attribute.
    fn get(&self, _name: &Value) -> Result<Option<Value>, Error> {
        Ok(None)
    }
    fn set(&self, name: &str, _value: Value) -> Result<(), Error> {
        Err(Error::new(format!("cannot assign attribute `{name}` on {}", self.type_name())))
    }
    fn call(&self, _args: &[Value], _kwargs: &[(Arc<str>, Value)]) -> Result<Value, Error> {
        Err(Error::new(format!("'{}' object is not callable", self.type_name())))
    }
    fn is_callable(&self) -> bool {
        false
    }
    /// Keys, for objects that behave like a mapping (`hostvars`).
    fn keys(&self) -> Option<Vec<Value>> {
        None
    }
    fn render(&self) -> Result<String, Error> {
        Ok(format!("<{}>", self.type_name()))
    }
    fn truth(&self) -> Result<bool, Error> {
        Ok(true)
    }
    fn as_any(&self) -> &dyn std::any::Any;
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}
