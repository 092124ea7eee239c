//! What is neither data nor container, and the one `omit`.

use std::any::Any;
use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use super::Value;
use crate::error::Error;

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
    /// `o.name(args)`; `None`: there is no such method (then `get` and `call` are tried).
    fn call_method(
        &self,
        _name: &str,
        _args: &[Value],
        _kwargs: &[(Arc<str>, Value)],
    ) -> Option<Result<Value, Error>> {
        None
    }
    fn is_callable(&self) -> bool {
        false
    }
    /// Keys, for objects that behave like a mapping (`hostvars`).
    fn keys(&self) -> Option<Vec<Value>> {
        None
    }
    /// Elements, for objects that behave like a sequence; a mapping gives its keys.
    fn iterate(&self) -> Option<Result<Vec<Value>, Error>> {
        self.keys().map(Ok)
    }
    fn render(&self) -> Result<String, Error> {
        Ok(format!("<{}>", self.type_name()))
    }
    /// Python's `repr`, where it differs from its `str`.
    fn repr(&self) -> Result<String, Error> {
        self.render()
    }
    fn truth(&self) -> Result<bool, Error> {
        Ok(true)
    }
    /// May be the result of a template (dates, mappings), or is it a tool that lives inside templates only?
    fn is_data(&self) -> bool {
        self.keys().is_some()
    }
    /// The plain data that the object becomes when it leaves a template.
    fn as_data(&self) -> Option<Value> {
        None
    }
    fn compare(&self, _other: &Value) -> Option<Ordering> {
        None
    }
    /// `self op other` for `+` and `-`; `reflected`: `other op self`.
    fn arithmetic(&self, _op: char, _other: &Value, _reflected: bool) -> Option<Result<Value, Error>> {
        None
    }
    /// How the value is written in JSON, for data that is not a mapping.
    fn json(&self) -> Option<serde_json::Value> {
        None
    }
    fn as_any(&self) -> &dyn Any;
}

/// Ansible's placeholder text for an omitted value.
const PLACEHOLDER: &str = "__omit_place_holder__";

pub(super) struct Omit;

impl Object for Omit {
    fn type_name(&self) -> &str {
        "Omit"
    }
    fn render(&self) -> Result<String, Error> {
        Ok(PLACEHOLDER.to_owned())
    }
    fn repr(&self) -> Result<String, Error> {
        Ok("<<Omit>>".to_owned())
    }
    fn is_data(&self) -> bool {
        true
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The unique object that stands for "leave this argument out".
pub fn omit() -> Value {
    static OMIT: OnceLock<Arc<Omit>> = OnceLock::new();
    Value::Object(Arc::clone(OMIT.get_or_init(|| Arc::new(Omit))) as Arc<dyn Object>)
}
