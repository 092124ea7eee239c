//! Python's equality, order and hashes.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use num_bigint::BigInt;

use super::{Dict, Value, deeper};
use crate::error::Error;

impl Value {
    pub fn python_eq(&self, other: &Value) -> Result<bool, Error> {
        use Value::{Bytes, List, None, Object, Str, Tuple, Undefined};
        Ok(match (self, other) {
            (Undefined(missing), _) | (_, Undefined(missing)) => return Err(missing.error()),
            (Str(a), Str(b)) => a.as_str() == b.as_str(),
            (None, None) => true,
            (Bytes(a), Bytes(b)) => a == b,
            (List(a), List(b)) => Arc::ptr_eq(a, b) || slices_equal(&a.items()?, &b.items()?)?,
            (Tuple(a), Tuple(b)) => slices_equal(a, b)?,
            (Value::Dict(a), Value::Dict(b)) => Arc::ptr_eq(a, b) || dicts_equal(a, b)?,
            (Object(a), Object(b)) => {
                std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b)) || a.compare(other) == Some(Ordering::Equal)
            }
            _ => numbers(self, other) == Some(Ordering::Equal),
        })
    }

    /// `<`, `>`: an error where Python has no order. `None`: unordered (`nan`). `op` is for the message.
    pub fn python_cmp(&self, other: &Value, op: &str) -> Result<Option<Ordering>, Error> {
        use Value::{Bytes, List, Object, Str, Tuple, Undefined};
        match (self, other) {
            (Undefined(missing), _) | (_, Undefined(missing)) => return Err(missing.error()),
            (Str(a), Str(b)) => return Ok(Some(a.as_str().cmp(b.as_str()))),
            (Bytes(a), Bytes(b)) => return Ok(Some(a.cmp(b))),
            (List(a), List(b)) => return compare_slices(&a.items()?, &b.items()?, op),
            (Tuple(a), Tuple(b)) => return compare_slices(a, b, op),
            (Object(a), Object(_)) => {
                if let Some(order) = a.compare(other) {
                    return Ok(Some(order));
                }
            }
            _ if is_number(self) && is_number(other) => return Ok(numbers(self, other)),
            _ => {}
        }
        let (a, b) = (self.type_name(), other.type_name());
        Err(Error::new(format!("'{op}' not supported between instances of '{a}' and '{b}'")))
    }

    pub(crate) fn python_hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Str(s) => s.as_str().hash(state),
            Value::Bool(b) => i64::from(*b).hash(state),
            Value::Int(i) => i.hash(state),
            Value::Float(f) if f.fract() == 0.0 && f.abs() < 9e15 => (*f as i64).hash(state),
            Value::Float(f) => f.to_bits().hash(state),
            Value::Big(b) => b.hash(state),
            Value::Bytes(b) => b.hash(state),
            Value::Tuple(items) => {
                if deeper().is_ok() {
                    items.iter().for_each(|item| item.python_hash(state));
                }
            }
            _ => 0.hash(state),
        }
    }

    /// May be a key of a dict.
    pub fn check_hashable(&self) -> Result<(), Error> {
        deeper()?;
        match self {
            Value::Undefined(missing) => Err(missing.error()),
            Value::List(_) | Value::Dict(_) => {
                Err(Error::new(format!("unhashable type: '{}'", self.type_name())))
            }
            Value::Tuple(items) => items.iter().try_for_each(Value::check_hashable),
            _ => Ok(()),
        }
    }
}

pub(crate) fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Big(_) | Value::Float(_) | Value::Bool(_))
}

fn numbers(a: &Value, b: &Value) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return Some(a.cmp(&b));
    }
    match (a, b) {
        (Value::Float(x), Value::Float(y)) => x.partial_cmp(y),
        (Value::Float(x), _) => Some(compare_exact(&b.as_big()?, *x)?.reverse()),
        (_, Value::Float(y)) => compare_exact(&a.as_big()?, *y),
        _ => Some(a.as_big()?.cmp(&b.as_big()?)),
    }
}

/// Integer against float without rounding the integer.
fn compare_exact(integer: &BigInt, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole: BigInt = super::arithmetic::float_to_big(float.trunc())?;
    Some(integer.cmp(&whole).then_with(|| 0.0_f64.total_cmp(&(float.fract() + 0.0))))
}

fn slices_equal(a: &[Value], b: &[Value]) -> Result<bool, Error> {
    deeper()?;
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !a.python_eq(b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn dicts_equal(a: &Dict, b: &Dict) -> Result<bool, Error> {
    deeper()?;
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, value) in a.items()? {
        match b.get_value(&key)? {
            Some(other) if value.python_eq(&other)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn compare_slices(a: &[Value], b: &[Value], op: &str) -> Result<Option<Ordering>, Error> {
    deeper()?;
    for (x, y) in a.iter().zip(b) {
        if !x.python_eq(y)? {
            return x.python_cmp(y, op);
        }
    }
    Ok(Some(a.len().cmp(&b.len())))
}

/// Python's `==`; what cannot be compared (undefined, unresolvable) is not equal.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.python_eq(other).unwrap_or(false)
    }
}
