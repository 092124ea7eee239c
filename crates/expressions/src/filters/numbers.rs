//! Filters of numbers.

use num_bigint::BigInt;

use super::{Function, int_or, text_of, text_or, truth_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::value::{Value, float_to_big, is_number};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "int" => int,
        "float" => float,
        "abs" => abs,
        "round" => round,
        "pow" => |_, value, args| {
            let [power] = args.bind("pow", ["y"])?;
            real("pow", value)?.powf_checked(real("pow", &super::needed(power, "pow", "y")?)?)
        },
        "root" => root,
        "log" => log,
        "filesizeformat" => filesize,
        "human_readable" => human_readable,
        "human_to_bytes" => human_to_bytes,
        _ => return None,
    })
}

trait Power {
    fn powf_checked(self, power: f64) -> Result<Value, Error>;
}

impl Power for f64 {
    fn powf_checked(self, power: f64) -> Result<Value, Error> {
        let result = self.powf(power);
        if result.is_nan() || (result.is_infinite() && self.is_finite()) {
            return Err(Error::new("math domain error"));
        }
        Ok(Value::Float(result))
    }
}

fn real(filter: &str, value: &Value) -> Result<f64, Error> {
    let name = value.type_name();
    value.as_f64().ok_or_else(|| {
        Error::new(format!("{filter}() can only be used on numbers: must be real number, not {name}"))
    })
}

fn int(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [default, base] = args.bind("int", ["default", "base"])?;
    let default = default.unwrap_or(Value::Int(0));
    let base = u32::try_from(int_or(base, 10)?).unwrap_or(10);
    Ok(match value {
        Value::Str(text) => parse_int(text.as_str(), base).unwrap_or(default),
        Value::Bool(b) => Value::Int(i64::from(*b)),
        Value::Int(_) | Value::Big(_) => value.clone(),
        Value::Float(f) => float_to_big(f.trunc()).map_or(default, Value::big),
        _ => default,
    })
}

fn parse_int(text: &str, base: u32) -> Option<Value> {
    let clean = text.trim().replace('_', "");
    let (negative, digits) = match clean.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let lower = digits.to_lowercase();
    let (base, digits) = match lower.get(..2) {
        Some("0x") if base == 16 || base == 0 => (16, &lower[2..]),
        Some("0o") if base == 8 || base == 0 => (8, &lower[2..]),
        Some("0b") if base == 2 || base == 0 => (2, &lower[2..]),
        _ => (if base == 0 { 10 } else { base }, lower.as_str()),
    };
    if !(2..=36).contains(&base) || digits.len() > 4300 {
        return None;
    }
    match BigInt::parse_bytes(digits.as_bytes(), base).filter(|_| !digits.starts_with(['-', '+'])) {
        Some(number) => Some(Value::big(if negative { -number } else { number })),
        None => {
            let float: f64 = clean.parse().ok().filter(|float: &f64| float.is_finite())?;
            float_to_big(float.trunc()).map(Value::big)
        }
    }
}

fn float(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [default] = args.bind("float", ["default"])?;
    let default = default.unwrap_or(Value::Float(0.0));
    Ok(match value {
        Value::Str(text) => {
            let clean = text.as_str().trim().replace('_', "").to_lowercase();
            clean.parse().map_or(default, Value::Float)
        }
        other => other.as_f64().map_or(default, Value::Float),
    })
}

fn abs(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    match value {
        Value::Float(f) => Ok(Value::Float(f.abs())),
        other => match other.as_big() {
            Some(number) => Ok(Value::big(BigInt::from(number.magnitude().clone()))),
            None => Err(Error::new(format!("bad operand type for abs(): '{}'", other.type_name()))),
        },
    }
}

fn round(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [precision, method] = args.bind("round", ["precision", "method"])?;
    let precision = int_or(precision, 0)?.clamp(-300, 300);
    let method = text_or(method, "common")?;
    if !is_number(value) {
        return Err(Error::new(format!("type {} doesn't define __round__ method", value.type_name())));
    }
    let number = real("round", value)?;
    let scale = 10_f64.powi(i32::try_from(precision).unwrap_or(0));
    Ok(match method.as_str() {
        // Python rounds what is written, half to even; integers stay integers.
        "common" if !matches!(value, Value::Float(_)) && precision >= 0 => value.clone(),
        "common" if precision >= 0 => {
            let digits = usize::try_from(precision).unwrap_or(0);
            Value::Float(format!("{number:.digits$}").parse().unwrap_or(number))
        }
        "common" => {
            let rounded = (number * scale).round_ties_even() / scale;
            if matches!(value, Value::Float(_)) { Value::Float(rounded) } else { Value::Int(rounded as i64) }
        }
        "ceil" => Value::Float((number * scale).ceil() / scale),
        "floor" => Value::Float((number * scale).floor() / scale),
        _ => return Err(Error::new("method must be common, ceil or floor")),
    })
}

fn root(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [base] = args.bind("root", ["base"])?;
    let base = base.map_or(Ok(2.0), |base| real("root", &base))?;
    let number = real("root", value)?;
    if base == 2.0 {
        return if number < 0.0 {
            Err(Error::new("math domain error"))
        } else {
            Ok(Value::Float(number.sqrt()))
        };
    }
    number.powf_checked(1.0 / base)
}

fn log(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [base] = args.bind("log", ["base"])?;
    let number = real("log", value)?;
    if number <= 0.0 {
        return Err(Error::new("math domain error"));
    }
    let base = base.map_or(Ok(std::f64::consts::E), |base| real("log", &base))?;
    Ok(Value::Float(if base == 10.0 {
        number.log10()
    } else if base == std::f64::consts::E {
        number.ln()
    } else {
        number.ln() / base.ln()
    }))
}

fn filesize(run: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [binary] = args.bind("filesizeformat", ["binary"])?;
    let binary = truth_or(binary, false)?;
    let bytes = match value {
        Value::Str(_) => {
            let nothing = Args { positional: vec![Value::None], named: Vec::new() };
            float(run, value, nothing)?.as_f64()
        }
        other => other.as_f64(),
    };
    let bytes = bytes.ok_or_else(|| Error::new(format!("could not convert {value:?} to a number")))?;
    let base = if binary { 1024.0 } else { 1000.0 };
    let units = if binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    if bytes == 1.0 {
        return Ok(Value::str("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::from(format!("{} Bytes", bytes.trunc())));
    }
    let mut unit = base;
    for (index, name) in units.iter().enumerate() {
        unit *= base;
        if bytes < unit || index + 1 == units.len() {
            let size = format!("{:.1}", base * bytes / unit).to_lowercase();
            return Ok(Value::from(format!("{size} {name}")));
        }
    }
    Ok(Value::from(bytes))
}

const SIZES: [(char, f64); 8] = [
    ('Y', 1_208_925_819_614_629_174_706_176.0),
    ('Z', 1_180_591_620_717_411_303_424.0),
    ('E', 1_152_921_504_606_846_976.0),
    ('P', 1_125_899_906_842_624.0),
    ('T', 1_099_511_627_776.0),
    ('G', 1_073_741_824.0),
    ('M', 1_048_576.0),
    ('K', 1024.0),
];

fn human_readable(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [bits, unit] = args.bind("human_readable", ["isbits", "unit"])?;
    let bits = truth_or(bits, false)?;
    let unit = text_or(unit, "")?.to_uppercase();
    let size: f64 =
        value.as_f64().ok_or_else(|| Error::new("human_readable() failed on bad input: it is no number"))?;
    let (base, letter) = if bits { ("bits", "b") } else { ("Bytes", "B") };
    let chosen = SIZES.iter().find(
        |(name, limit)| {
            if unit.is_empty() { size >= *limit } else { unit.starts_with(*name) }
        },
    );
    Ok(Value::from(match chosen {
        Some((name, limit)) => format!("{:.2} {name}{letter}", size / limit),
        None => format!("{size:.2} {base}"),
    }))
}

fn human_to_bytes(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [unit, bits] = args.bind("human_to_bytes", ["default_unit", "isbits"])?;
    let bits = truth_or(bits, false)?;
    let text = text_of(value)?;
    let wrong = || Error::new(format!("human_to_bytes() can't interpret a valid size out of '{text}'"));
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let number: f64 = trimmed[..end].parse().map_err(|_| wrong())?;
    let given = trimmed[end..].trim().to_owned();
    let unit = if given.is_empty() { text_or(unit, "")? } else { given };
    let Some(first) = unit.chars().next() else { return rounded(number) };
    let wanted = if bits { 'b' } else { 'B' };
    let letter = first.to_ascii_uppercase();
    if letter == 'B' {
        return if first == wanted || unit.len() > 1 || !bits { rounded(number) } else { Err(wrong()) };
    }
    let (_, limit) = SIZES.iter().find(|(name, _)| *name == letter).ok_or_else(wrong)?;
    if unit.len() > 1 && !unit[1..].starts_with(wanted) {
        return Err(wrong());
    }
    rounded(number * limit)
}

fn rounded(number: f64) -> Result<Value, Error> {
    float_to_big(number.round_ties_even()).map(Value::big).ok_or_else(|| Error::new("the size is too large"))
}
