//! Tests of values.

use super::{Function, argument};
use crate::ast::Comparison;
use crate::error::Error;
use crate::eval::Args;
use crate::eval::compare_values;
use crate::filters::{self, to_bool};
use crate::methods::string::{is_lower, is_upper};
use crate::regex::{self, Anchor, Flags};
use crate::value::{Operator, Value, apply, is_number};

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "defined" => |_, value, _| Ok(!value.is_undefined()),
        "undefined" => |_, value, _| Ok(value.is_undefined()),
        "none" => |_, value, _| Ok(value.is_none()),
        "true" => |_, value, _| Ok(value.as_bool() == Some(true)),
        "false" => |_, value, _| Ok(value.as_bool() == Some(false)),
        "boolean" => |_, value, _| Ok(value.as_bool().is_some()),
        "integer" => |_, value, _| Ok(matches!(value, Value::Int(_) | Value::Big(_))),
        "float" => |_, value, _| Ok(matches!(value, Value::Float(_))),
        "number" => |_, value, _| Ok(is_number(value)),
        "string" => |_, value, _| Ok(matches!(value, Value::Str(_))),
        "mapping" => |_, value, _| Ok(is_mapping(value)),
        "sequence" => |_, value, _| {
            Ok(is_mapping(value)
                || matches!(value, Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_))
                || is_iterable_object(value))
        },
        "iterable" => {
            |_, value, _| Ok(value.iterate().is_ok() || matches!(value, Value::List(_) | Value::Dict(_)))
        }
        "callable" => |_, value, _| Ok(matches!(value, Value::Object(o) if o.is_callable())),
        "escaped" => |_, _, _| Ok(false),
        "filter" => |_, value, _| Ok(value.as_str().is_some_and(|name| filters::find(name).is_some())),
        "test" => |_, value, _| Ok(value.as_str().is_some_and(|name| super::find(name).is_some())),
        "lower" => |_, value, _| Ok(is_lower(&value.python_str()?)),
        "upper" => |_, value, _| Ok(is_upper(&value.python_str()?)),
        "odd" => |_, value, _| remainder(value, &Value::Int(2), 1),
        "even" => |_, value, _| remainder(value, &Value::Int(2), 0),
        "divisibleby" => |_, value, args| remainder(value, argument(&args, "divisibleby")?, 0),
        "eq" | "equalto" | "==" => |_, value, args| compare(Comparison::Eq, value, &args),
        "ne" | "!=" => |_, value, args| compare(Comparison::Ne, value, &args),
        "lt" | "lessthan" | "<" => |_, value, args| compare(Comparison::Lt, value, &args),
        "le" | "<=" => |_, value, args| compare(Comparison::Le, value, &args),
        "gt" | "greaterthan" | ">" => |_, value, args| compare(Comparison::Gt, value, &args),
        "ge" | ">=" => |_, value, args| compare(Comparison::Ge, value, &args),
        "in" => |_, value, args| argument(&args, "in")?.contains(value),
        "contains" => |_, value, args| value.contains(argument(&args, "contains")?),
        "sameas" => |_, value, args| Ok(same(value, argument(&args, "sameas")?)),
        "truthy" => |_, value, args| truthy(value, args),
        "falsy" => |_, value, args| truthy(value, args).map(|truth| !truth),
        "all" => |_, value, _| quantified(value, false).map(|found| !found),
        "any" => |_, value, _| quantified(value, true),
        "nan" | "isnan" => |_, value, _| match value {
            other if is_number(other) => Ok(other.as_f64().is_some_and(f64::is_nan)),
            _ => Ok(false),
        },
        "subset" | "issubset" => |_, value, args| within(value, argument(&args, "subset")?),
        "superset" | "issuperset" => |_, value, args| within(argument(&args, "superset")?, value),
        "match" => |_, value, args| matched(value, args, Some("match")),
        "search" => |_, value, args| matched(value, args, Some("search")),
        "regex" => |_, value, args| matched(value, args, None),
        _ => return None,
    })
}

fn is_mapping(value: &Value) -> bool {
    match value {
        Value::Dict(_) => true,
        Value::Object(object) => object.keys().is_some(),
        _ => false,
    }
}

fn is_iterable_object(value: &Value) -> bool {
    matches!(value, Value::Object(object) if matches!(object.type_name(), "range" | "GroupTuple"))
}

fn remainder(value: &Value, divisor: &Value, wanted: i64) -> Result<bool, Error> {
    if !is_number(value) {
        return Err(Error::new(format!(
            "not all arguments converted: '{}' is not a number",
            value.type_name()
        )));
    }
    apply(Operator::Mod, value, divisor)?.python_eq(&Value::Int(wanted))
}

fn compare(comparison: Comparison, value: &Value, args: &Args) -> Result<bool, Error> {
    compare_values(comparison, value, argument(args, "compare")?)
}

fn same(a: &Value, b: &Value) -> bool {
    use std::sync::Arc;
    match (a, b) {
        (Value::List(a), Value::List(b)) => Arc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Arc::ptr_eq(a, b),
        (Value::Tuple(a), Value::Tuple(b)) => Arc::ptr_eq(a, b),
        (Value::Object(a), Value::Object(b)) => std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b)),
        (a, b) => a.type_name() == b.type_name() && a == b,
    }
}

fn truthy(value: &Value, args: Args) -> Result<bool, Error> {
    let [convert] = args.bind("truthy", ["convert_bool"])?;
    let convert = convert.map_or(Ok(false), |convert| convert.truth())?;
    match value {
        Value::Str(text) if convert => {
            let text = text.as_str().to_lowercase();
            let known = ["yes", "on", "1", "true", "t", "y", "no", "off", "0", "false", "f", "n"];
            if known.contains(&text.as_str()) { to_bool(value) } else { value.truth() }
        }
        other => other.truth(),
    }
}

fn quantified(value: &Value, wanted: bool) -> Result<bool, Error> {
    for item in value.elements()? {
        if item.truth()? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

fn within(small: &Value, large: &Value) -> Result<bool, Error> {
    let large = Value::list(large.elements()?);
    large.iterate()?.iter().try_for_each(Value::check_hashable)?;
    for item in small.elements()? {
        item.check_hashable()?;
        if !large.contains(&item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn matched(value: &Value, args: Args, kind: Option<&str>) -> Result<bool, Error> {
    let names = ["pattern", "ignorecase", "multiline", "match_type"];
    let [pattern, ignore_case, multiline, given] = args.bind("regex", names)?;
    let pattern = pattern.ok_or_else(|| Error::new("a pattern is needed"))?.python_str()?;
    let truth = |value: Option<Value>| value.map_or(Ok(false), |value| value.truth());
    let flags = Flags { ignore_case: truth(ignore_case)?, multiline: truth(multiline)? };
    let given = given.map(|given| given.python_str()).transpose()?;
    let anchor = match kind.or(given.as_deref()).unwrap_or("search") {
        "match" => Anchor::Start,
        "fullmatch" => Anchor::Whole,
        "search" => Anchor::Anywhere,
        other => return Err(Error::new(format!("unknown match_type '{other}'"))),
    };
    let text = match value {
        Value::Str(text) => text.as_str().to_owned(),
        other => other.python_str()?,
    };
    regex::is_match(&*regex::compile(&pattern, flags, anchor)?, &text)
}
