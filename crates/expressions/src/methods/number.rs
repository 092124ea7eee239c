//! Methods of numbers.

use crate::error::Error;
use crate::eval::Args;
use crate::value::{Value, float_to_big};

pub(super) fn call(owner: &Value, name: &str, args: &Args) -> Option<Result<Value, Error>> {
    if !args.positional.is_empty() && !matches!(name, "to_bytes") {
        return None;
    }
    match (owner, name) {
        (Value::Float(f), "is_integer") => Some(Ok(Value::Bool(f.fract() == 0.0))),
        (Value::Float(f), "as_integer_ratio") if f.fract() == 0.0 => {
            let whole = float_to_big(*f).ok_or_else(|| Error::new("cannot convert to integer ratio"));
            Some(whole.map(|whole| Value::tuple(vec![Value::big(whole), Value::Int(1)])))
        }
        (Value::Float(_), _) => None,
        (_, "bit_length") => owner.as_big().map(|b| Ok(Value::from(b.bits()))),
        (_, "bit_count") => owner.as_big().map(|b| {
            Ok(Value::from(
                b.magnitude().iter_u64_digits().map(|digit| u64::from(digit.count_ones())).sum::<u64>(),
            ))
        }),
        (_, "conjugate") => owner.as_big().map(|b| Ok(Value::big(b))),
        _ => None,
    }
}
