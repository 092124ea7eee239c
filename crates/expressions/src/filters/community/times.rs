//! Spans of time like `1h 30m` in other units.

use crate::error::Error;
use crate::eval::Args;
use crate::filters::{Function, needed, text_of};
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "to_time_unit" => |_, value, mut args| {
            let unit = args
                .take("unit")
                .or_else(|| (!args.positional.is_empty()).then(|| args.positional.remove(0)));
            let unit = unit.map_or(Ok("ms".to_owned()), |unit| text_of(&unit))?;
            convert(value, &unit, args)
        },
        "to_milliseconds" => |_, value, args| convert(value, "ms", args),
        "to_seconds" => |_, value, args| convert(value, "s", args),
        "to_minutes" => |_, value, args| convert(value, "m", args),
        "to_hours" => |_, value, args| convert(value, "h", args),
        "to_days" => |_, value, args| convert(value, "d", args),
        "to_weeks" => |_, value, args| convert(value, "w", args),
        "to_months" => |_, value, args| convert(value, "mo", args),
        "to_years" => |_, value, args| convert(value, "y", args),
        _ => return None,
    })
}

/// How many milliseconds a unit has.
fn factor(unit: &str, year: f64, month: f64) -> Option<f64> {
    const DAY: f64 = 86_400_000.0;
    Some(match unit {
        "y" | "year" | "years" => year * DAY,
        "mo" | "month" | "months" => month * DAY,
        "w" | "week" | "weeks" => 7.0 * DAY,
        "d" | "day" | "days" => DAY,
        "h" | "hour" | "hours" => 3_600_000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" | "msecond" | "mseconds" => 1.0,
        _ => return None,
    })
}

fn convert(value: &Value, unit: &str, mut args: Args) -> Result<Value, Error> {
    let mut days = |name: &str, default: f64| -> Result<f64, Error> {
        let Some(given) = args.take(name) else { return Ok(default) };
        given.as_f64().ok_or_else(|| Error::new(format!("{name} must be a number of days")))
    };
    let (year, month) = (days("year", 365.0)?, days("month", 30.0)?);
    if let Some((name, _)) = args.named.first() {
        return Err(Error::new(format!("to_time_unit: unknown keyword arguments: {name}")));
    }
    let unknown = |unit: &str| Error::new(format!("to_time_unit: unknown unit '{unit}'"));
    let target = factor(unit, year, month).ok_or_else(|| unknown(unit))?;
    let Value::Str(text) = needed(Some(value.clone()), "to_time_unit", "value")? else {
        return Err(Error::new(format!("to_time_unit needs text, not '{}'", value.type_name())));
    };
    let mut total = 0.0;
    for part in text.as_str().split_whitespace() {
        let digits = part.trim_start_matches('-');
        let at = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (number, unit) = digits.split_at(at);
        let bad = || Error::new(format!("to_time_unit: can not interpret following string: {part}"));
        if number.is_empty() || unit.is_empty() || part.len() - digits.len() > 1 {
            return Err(bad());
        }
        let number: f64 = number.parse().map_err(|_| bad())?;
        let sign = if part.starts_with('-') { -1.0 } else { 1.0 };
        total += sign * number * factor(unit, year, month).ok_or_else(|| unknown(unit))?;
    }
    let rounded = format!("{:.12}", total / target);
    Ok(Value::Float(rounded.parse().unwrap_or(total / target)))
}
