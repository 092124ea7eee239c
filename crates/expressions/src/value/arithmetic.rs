//! Python's arithmetic.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{FromPrimitive, Pow, ToPrimitive, Zero};

use super::compare::is_number;
use super::{Value, deeper};
use crate::error::Error;

/// The largest string or list that multiplication makes, and the most bits of an integer: beyond it is an error
/// instead of a machine without memory.
const LARGEST: usize = 1 << 26;
const MOST_BITS: u64 = 1 << 22;

/// A binary operator of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

impl Operator {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "** or pow()",
        }
    }
}

/// `a op b`.
pub(crate) fn apply(op: Operator, a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Value::Int(x), Value::Int(y)) = (a, b)
        && let Some(result) = small(op, *x, *y)
    {
        return Ok(result);
    }
    for side in [a, b] {
        if let Value::Undefined(missing) = side {
            return Err(missing.error());
        }
    }
    if is_number(a) && is_number(b) {
        return numbers(op, a, b);
    }
    match (op, a, b) {
        (Operator::Add, ..) => add(a, b),
        (Operator::Mod, Value::Str(format), _) => crate::format::percent(format.as_str(), b).map(Value::from),
        (Operator::Mul, Value::Str(_) | Value::List(_) | Value::Tuple(_), _) if is_integer(b) => repeat(a, b),
        (Operator::Mul, _, Value::Str(_) | Value::List(_) | Value::Tuple(_)) if is_integer(a) => repeat(b, a),
        (Operator::Mul, Value::Str(_) | Value::List(_) | Value::Tuple(_), other)
        | (Operator::Mul, other, Value::Str(_) | Value::List(_) | Value::Tuple(_)) => {
            let kind = other.type_name();
            Err(Error::new(format!("can't multiply sequence by non-int of type '{kind}'")))
        }
        (Operator::Sub, Value::Object(o), _) => {
            o.arithmetic('-', b, false).unwrap_or_else(|| Err(unsupported(op, a, b)))
        }
        _ => Err(unsupported(op, a, b)),
    }
}

fn is_integer(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Bool(_) | Value::Big(_))
}

fn unsupported(op: Operator, a: &Value, b: &Value) -> Error {
    let symbol = op.symbol();
    Error::new(format!(
        "unsupported operand type(s) for {symbol}: '{}' and '{}'",
        a.type_name(),
        b.type_name()
    ))
}

/// The common case, when nothing overflows.
fn small(op: Operator, x: i64, y: i64) -> Option<Value> {
    let result = match op {
        Operator::Add => x.checked_add(y)?,
        Operator::Sub => x.checked_sub(y)?,
        Operator::Mul => x.checked_mul(y)?,
        Operator::FloorDiv if y != 0 && y != -1 => Integer::div_floor(&x, &y),
        Operator::Mod if y != 0 && y != -1 => Integer::mod_floor(&x, &y),
        _ => return None,
    };
    Some(Value::Int(result))
}

fn numbers(op: Operator, a: &Value, b: &Value) -> Result<Value, Error> {
    if !matches!(a, Value::Float(_))
        && !matches!(b, Value::Float(_))
        && let (Some(x), Some(y)) = (a.as_big(), b.as_big())
    {
        return integers(op, &x, &y);
    }
    let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) else { return Err(unsupported(op, a, b)) };
    for (side, float) in [(a, x), (b, y)] {
        if matches!(side, Value::Big(_)) && float.is_infinite() {
            return Err(Error::new("int too large to convert to float"));
        }
    }
    floats(op, x, y)
}

fn integers(op: Operator, x: &BigInt, y: &BigInt) -> Result<Value, Error> {
    let zero = y.is_zero();
    Ok(Value::big(match op {
        Operator::Add => x + y,
        Operator::Sub => x - y,
        Operator::Mul => {
            check_bits(x.bits() + y.bits())?;
            x * y
        }
        Operator::Div if zero => return Err(Error::new("division by zero")),
        Operator::Div => return divide(x, y),
        Operator::FloorDiv if zero => return Err(Error::new("integer division or modulo by zero")),
        Operator::Mod if zero => return Err(Error::new("integer modulo by zero")),
        Operator::FloorDiv => x.div_floor(y),
        Operator::Mod => x.mod_floor(y),
        Operator::Pow => return power(x, y),
    }))
}

/// True division rounds once, also for integers that a float cannot hold.
fn divide(x: &BigInt, y: &BigInt) -> Result<Value, Error> {
    const EXACT: u64 = 53;
    if x.bits() <= EXACT
        && y.bits() <= EXACT
        && let (Some(a), Some(b)) = (x.to_f64(), y.to_f64())
    {
        return Ok(Value::Float(a / b));
    }
    // A quotient of 66 or more bits, its last bit set if something is left: rounding it once is exact.
    let shift = i64::try_from(y.bits()).unwrap_or(i64::MAX) - i64::try_from(x.bits()).unwrap_or(0) + 66;
    let (numerator, denominator) =
        if shift >= 0 { (x << shift, y.clone()) } else { (x.clone(), y << -shift) };
    let negative = (numerator.sign() == num_bigint::Sign::Minus) != (y.sign() == num_bigint::Sign::Minus);
    let (quotient, rest) = numerator.magnitude().div_rem(denominator.magnitude());
    let sticky = if rest.is_zero() { quotient } else { quotient | num_bigint::BigUint::from(1_u8) };
    let scaled = sticky.to_f64().unwrap_or(f64::INFINITY);
    let half = i32::try_from(-shift / 2).unwrap_or(0);
    let other = i32::try_from(-shift).unwrap_or(0) - half;
    let result = scaled * 2_f64.powi(half) * 2_f64.powi(other);
    if result.is_infinite() {
        return Err(Error::new("integer division result too large for a float"));
    }
    Ok(Value::Float(if negative { -result } else { result }))
}

fn power(x: &BigInt, y: &BigInt) -> Result<Value, Error> {
    if y.sign() == num_bigint::Sign::Minus {
        let (Some(x), Some(y)) = (x.to_f64(), y.to_f64()) else { return Err(too_large()) };
        return floats(Operator::Pow, x, y);
    }
    if x.bits() <= 1 && *x >= BigInt::zero() && !y.is_zero() {
        return Ok(Value::big(x.clone()));
    }
    let exponent = y.to_u32().ok_or_else(too_large)?;
    if x.bits() > 1 {
        check_bits(x.bits().saturating_mul(u64::from(exponent)))?;
    }
    Ok(Value::big(Pow::pow(x, exponent)))
}

fn too_large() -> Error {
    Error::new("the result is too large")
}

fn check_bits(bits: u64) -> Result<(), Error> {
    if bits > MOST_BITS { Err(too_large()) } else { Ok(()) }
}

fn floats(op: Operator, x: f64, y: f64) -> Result<Value, Error> {
    let floor_mod = |x: f64, y: f64| {
        let rest = x % y;
        if rest == 0.0 {
            return 0.0_f64.copysign(y);
        }
        if (rest < 0.0) != (y < 0.0) { rest + y } else { rest }
    };
    let error = match op {
        Operator::Div if y == 0.0 => "float division by zero",
        Operator::FloorDiv if y == 0.0 => "float floor division by zero",
        Operator::Mod if y == 0.0 => "float modulo",
        Operator::Pow if x == 0.0 && y < 0.0 => "0.0 cannot be raised to a negative power",
        Operator::Pow if x < 0.0 && y.fract() != 0.0 => "complex results are not supported",
        _ => "",
    };
    if !error.is_empty() {
        return Err(Error::new(error));
    }
    Ok(Value::Float(match op {
        Operator::Add => x + y,
        Operator::Sub => x - y,
        Operator::Mul => x * y,
        Operator::Div => x / y,
        Operator::FloorDiv => match ((x - floor_mod(x, y)) / y).round() {
            0.0 => 0.0_f64.copysign(x / y),
            quotient => quotient,
        },
        Operator::Mod => floor_mod(x, y),
        Operator::Pow => match x.powf(y) {
            power if power.is_infinite() && x.is_finite() && y.is_finite() => {
                return Err(Error::new("(34, 'Numerical result out of range')"));
            }
            power => power,
        },
    }))
}

fn add(a: &Value, b: &Value) -> Result<Value, Error> {
    deeper()?;
    Ok(match (a, b) {
        (Value::Str(x), Value::Str(y)) => Value::str(format!("{}{}", x.as_str(), y.as_str())),
        (Value::List(x), Value::List(y)) => {
            let mut items = x.items()?;
            items.extend(y.items()?);
            Value::list(items)
        }
        (Value::Tuple(x), Value::Tuple(y)) => Value::tuple(x.iter().chain(y.iter()).cloned().collect()),
        (Value::Bytes(x), Value::Bytes(y)) => Value::Bytes([&x[..], &y[..]].concat().into()),
        (Value::Object(o), _) => {
            return o.arithmetic('+', b, false).unwrap_or_else(|| Err(unsupported(Operator::Add, a, b)));
        }
        (_, Value::Object(o)) => {
            return o.arithmetic('+', a, true).unwrap_or_else(|| Err(unsupported(Operator::Add, a, b)));
        }
        (Value::Str(_), _) => {
            let kind = b.type_name();
            return Err(Error::new(format!("can only concatenate str (not \"{kind}\") to str")));
        }
        (Value::List(_) | Value::Tuple(_), _) => {
            let (kind, other) = (a.type_name(), b.type_name());
            return Err(Error::new(format!("can only concatenate {kind} (not \"{other}\") to {kind}")));
        }
        _ => return Err(unsupported(Operator::Add, a, b)),
    })
}

fn repeat(value: &Value, times: &Value) -> Result<Value, Error> {
    let times = match times {
        Value::Big(b) if b.sign() == num_bigint::Sign::Minus => 0,
        other => match other.as_i64() {
            Some(times) => usize::try_from(times).unwrap_or(0),
            None => return Err(too_large()),
        },
    };
    let size = match value {
        Value::Str(s) => s.as_str().len(),
        other => other.length()?,
    };
    if size.saturating_mul(times) > LARGEST {
        return Err(too_large());
    }
    let repeated = |items: &[Value]| {
        let mut all = Vec::with_capacity(items.len() * times);
        (0..times).for_each(|_| all.extend_from_slice(items));
        all
    };
    Ok(match value {
        Value::Str(s) => Value::str(s.as_str().repeat(times)),
        Value::Tuple(items) => Value::tuple(repeated(items)),
        other => Value::list(repeated(&other.iterate()?)),
    })
}

/// `-value`.
pub(crate) fn negate(value: &Value) -> Result<Value, Error> {
    match value {
        Value::Float(f) => Ok(Value::Float(-f)),
        _ => match value.as_big() {
            Some(b) => Ok(Value::big(-b)),
            None => Err(bad_unary("-", value)),
        },
    }
}

/// `+value`.
pub(crate) fn plus(value: &Value) -> Result<Value, Error> {
    match value {
        Value::Bool(b) => Ok(Value::Int(i64::from(*b))),
        other if is_number(other) => Ok(other.clone()),
        other => Err(bad_unary("+", other)),
    }
}

fn bad_unary(op: &str, value: &Value) -> Error {
    match value {
        Value::Undefined(missing) => missing.error(),
        _ => Error::new(format!("bad operand type for unary {op}: '{}'", value.type_name())),
    }
}

pub(crate) fn float_to_big(float: f64) -> Option<BigInt> {
    BigInt::from_f64(float)
}
