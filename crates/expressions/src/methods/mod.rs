//! Methods of Python's built-in types.

use crate::value::Value;

/// `value.name` as a callable, if it is a method.
pub(crate) fn bound(_value: &Value, _name: &str) -> Option<Value> {
    None
}
