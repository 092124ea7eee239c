//! Filters about values as such: defaults, types, truth, time.

use super::{Function, text_of, text_or, truth_or};
use crate::datetime;
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::twister::Twister;
use crate::value::{Value, as_missing};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "default" | "d" => default,
        "mandatory" => mandatory,
        "type_debug" => |_, value, _| Ok(Value::str(value.type_name())),
        "bool" => |_, value, _| Ok(Value::Bool(to_bool(value)?)),
        "ternary" => ternary,
        "attr" => attr,
        "pprint" => |_, value, _| Ok(Value::from(value.python_repr()?)),
        "random" => random,
        "shuffle" => shuffle,
        "strftime" => strftime,
        "to_datetime" => to_datetime,
        _ => return None,
    })
}

fn default(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [otherwise, boolean] = args.bind("default", ["default_value", "boolean"])?;
    let otherwise = otherwise.unwrap_or_else(|| Value::str(""));
    if value.is_undefined() || (truth_or(boolean, false)? && !value.truth()?) {
        return Ok(otherwise);
    }
    Ok(value.clone())
}

fn mandatory(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [message] = args.bind("mandatory", ["msg"])?;
    if !value.is_undefined() {
        return Ok(value.clone());
    }
    let what = as_missing(value).map_or("", |missing| missing.message.as_str());
    let name = what.strip_suffix("' is undefined").map(|name| format!("{name}' ")).unwrap_or_default();
    match message {
        Some(message) if !message.is_none() => Err(Error::new(text_of(&message)?)),
        _ => Err(Error::new(format!("Mandatory variable {name}not defined."))),
    }
}

/// Ansible's `bool`.
pub(crate) fn to_bool(value: &Value) -> Result<bool, Error> {
    Ok(match value {
        Value::Undefined(missing) => return Err(missing.error()),
        Value::Bool(b) => *b,
        Value::Int(i) => *i == 1,
        Value::Float(f) => *f == 1.0,
        Value::Str(s) => {
            matches!(s.as_str().to_lowercase().as_str(), "yes" | "on" | "1" | "true" | "t" | "y")
        }
        _ => false,
    })
}

fn ternary(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [yes, no, none] = args.bind("ternary", ["true_val", "false_val", "none_val"])?;
    let yes = super::needed(yes, "ternary", "true_val")?;
    let no = super::needed(no, "ternary", "false_val")?;
    Ok(match none {
        Some(none) if value.is_none() && !none.is_none() => none,
        _ if to_truth(value)? => yes,
        _ => no,
    })
}

fn to_truth(value: &Value) -> Result<bool, Error> {
    value.truth()
}

fn attr(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [name] = args.bind("attr", ["name"])?;
    let name = text_or(name, "")?;
    match value {
        Value::Object(object) => {
            let found = object.get(&Value::str(name.as_str()))?;
            Ok(found.unwrap_or_else(|| Value::undefined(format!("no attribute '{name}'"))))
        }
        other => Ok(crate::methods::bound(other, &name).unwrap_or_else(|| {
            Value::undefined(format!("object of type '{}' has no attribute '{name}'", other.type_name()))
        })),
    }
}

fn random(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    // The first argument without a name is Ansible's `start`.
    let [start, step, seed] = args.bind("random", ["start", "step", "seed"])?;
    let mut random = Twister::new(seed.as_ref())?;
    if let Some(end) = value.as_i64() {
        let start = super::int_or(start.filter(|start| !start.is_none()), 0)?;
        let step = super::int_or(step.filter(|step| !step.is_none()), 1)?;
        let width = end.checked_sub(start).filter(|width| *width > 0 && step > 0);
        let width =
            width.ok_or_else(|| Error::new(format!("empty range in random ({start}, {end}, {step})")))?;
        let count = (width - 1) / step + 1;
        let chosen = i64::try_from(random.below(count.unsigned_abs())).unwrap_or(0);
        return Ok(Value::Int(start + chosen * step));
    }
    if start.or(step).is_some() {
        return Err(Error::new("start and step can only be used with integer values"));
    }
    if matches!(value, Value::Dict(_)) {
        return Err(Error::new("a dict has no element at random; take its keys or items"));
    }
    let items = value.elements()?;
    if items.is_empty() {
        return Err(Error::new("Cannot choose from an empty sequence"));
    }
    Ok(items[random.below_len(items.len())].clone())
}

fn shuffle(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [seed] = args.bind("shuffle", ["seed"])?;
    let mut random = Twister::new(seed.as_ref())?;
    let Ok(mut items) = value.elements() else { return Ok(value.clone()) };
    for last in (1..items.len()).rev() {
        items.swap(last, random.below_len(last + 1));
    }
    Ok(Value::list(items))
}

fn strftime(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [second, utc] = args.bind("strftime", ["second", "utc"])?;
    let utc = truth_or(utc, false)?;
    let moment = match second {
        None | Some(Value::None) => datetime::now(utc),
        Some(second) => {
            let seconds = match &second {
                Value::Str(s) => s.as_str().trim().parse().ok(),
                other => other.as_f64(),
            };
            let seconds =
                seconds.ok_or_else(|| Error::new(format!("Invalid value for epoch value ({second:?})")))?;
            datetime::from_seconds(seconds, utc)?
        }
    };
    let Value::Str(format) = value else {
        return Err(Error::new(format!("strftime needs a format, not '{}'", value.type_name())));
    };
    // C's `strftime` does not know `%f`.
    Ok(Value::from(moment.strftime(&format.as_str().replace("%f", "%%f"))))
}

fn to_datetime(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [format] = args.bind("to_datetime", ["format"])?;
    let format = text_or(format, "%Y-%m-%d %H:%M:%S")?;
    Ok(Value::object(datetime::strptime(&text_of(value)?, &format)?))
}
