//! Filters of hardware addresses.

use super::net::Net;
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::filters::{needed, text_of, text_or};
use crate::value::Value;

/// The six bytes of a hardware address in any of the usual spellings.
pub(super) fn parse(text: &str) -> Option<[u8; 6]> {
    let (parts, width): (Vec<&str>, usize) = match text {
        _ if text.contains(':') => (text.split(':').collect(), 2),
        _ if text.contains('-') => (text.split('-').collect(), 2),
        _ if text.contains('.') => (text.split('.').collect(), 4),
        _ if text.len() == 12 => (vec![text], 12),
        _ => return None,
    };
    let width = if width == 2 && parts.len() == 3 {
        4
    } else if width == 2 && parts.len() == 2 {
        6
    } else {
        width
    };
    if parts.len() * width != 12 {
        return None;
    }
    let mut digits = String::new();
    for part in parts {
        if part.is_empty() || part.len() > width || !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        digits.push_str(&format!("{part:0>width$}"));
    }
    let number = u64::from_str_radix(&digits, 16).ok()?;
    number.to_be_bytes()[2..].try_into().ok()
}

fn read(value: &Value) -> Option<[u8; 6]> {
    match value {
        Value::Str(text) => parse(text.as_str()).or_else(|| {
            let number: u64 = text.as_str().parse().ok()?;
            number.to_be_bytes()[2..].try_into().ok()
        }),
        other => {
            let number = u64::try_from(other.as_i64()?).ok().filter(|number| number >> 48 == 0)?;
            number.to_be_bytes()[2..].try_into().ok()
        }
    }
}

pub(super) fn hwaddr(value: &Value, args: Args, name: &str) -> Result<Value, Error> {
    let [query] = args.bind(name, ["query"])?;
    let query = text_or(query, "")?;
    let Some(bytes) = read(value) else {
        return match query.as_str() {
            "" | "bool" => Ok(Value::None),
            _ => Err(Error::new(format!("{name}: {value:?} is not a hardware address"))),
        };
    };
    let joined = |separator: &str, every: usize| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts: Vec<&str> = (0..12).step_by(every).map(|start| &digits[start..start + every]).collect();
        parts.join(separator)
    };
    Ok(match query.as_str() {
        "" => value.clone(),
        "bool" => Value::Bool(true),
        "int" => Value::Int(bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte))),
        "bare" => Value::from(joined("", 2).to_uppercase()),
        "cisco" => Value::from(joined(".", 4)),
        "eui48" | "win" => Value::from(joined("-", 2).to_uppercase()),
        "linux" => Value::from(joined(":", 2)),
        "unix" => Value::from(bytes.map(|byte| format!("{byte:x}")).join(":")),
        "pgsql" | "postgresql" | "psql" => Value::from(joined(":", 6)),
        other => return Err(Error::new(format!("{name}: unknown filter type: {other}"))),
    })
}

/// The address that a host gives itself in a network.
pub(super) fn slaac(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [mac] = args.bind("slaac", ["query"])?;
    let net = Net::parse(&text_of(value)?).filter(|net| net.v6);
    let mac = read(&needed(mac, "slaac", "query")?);
    let (Some(net), Some([a, b, c, d, e, f])) = (net, mac) else { return Ok(Value::Bool(false)) };
    let identifier = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ok(net.text(net.first() + u128::from(identifier)))
}
