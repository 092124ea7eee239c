//! Filters of addresses and networks: `ansible.utils.ipaddr` and its family.

mod mac;
mod net;
mod queries;
mod subnets;
pub(crate) mod testing;

use self::net::{Net, address_text};
use self::queries::Subject;
use super::{Function, needed, text_of, text_or};
use crate::error::Error;
use crate::eval::Args;
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "ipaddr" => |_, value, args| ipaddr(value, args, None),
        "ipv4" => |_, value, args| ipaddr(value, args, Some(4)),
        "ipv6" => |_, value, args| ipaddr(value, args, Some(6)),
        "ipwrap" => |_, value, _| wrap(value),
        "ip4_hex" => |_, value, args| {
            let [delimiter] = args.bind("ip4_hex", ["delimiter"])?;
            let (v6, address) = net::parse_address(&text_of(value)?).ok_or_else(|| invalid(value))?;
            if v6 {
                return Err(invalid(value));
            }
            let byte = |place: u32| format!("{:02x}", address >> (8 * place) & 255);
            Ok(Value::from([3, 2, 1, 0].map(byte).join(&text_or(delimiter, "")?)))
        },
        "ipv6form" => |_, value, args| {
            let [form] = args.bind("ipv6form", ["action"])?;
            let (v6, address) = net::parse_address(&text_of(value)?).ok_or_else(|| invalid(value))?;
            let groups = |width: usize| {
                let group = |place: u32| format!("{:0width$x}", address >> (16 * place) & 0xffff);
                Value::from([7, 6, 5, 4, 3, 2, 1, 0].map(group).join(":"))
            };
            match text_or(form, "")?.as_str() {
                "expand" => Ok(groups(4)),
                "x509" => Ok(groups(1)),
                "compress" => Ok(Value::from(address_text(v6, address))),
                _ => Err(Error::new("ipv6form takes expand, compress or x509")),
            }
        },
        "hwaddr" => |_, value, args| mac::hwaddr(value, args, "hwaddr"),
        "macaddr" => |_, value, args| mac::hwaddr(value, args, "macaddr"),
        "slaac" => mac::slaac,
        other => return subnets::find(other),
    })
}

fn invalid(value: &Value) -> Error {
    Error::new(format!("{value:?} is not a valid IP address or network"))
}

fn ipaddr(value: &Value, args: Args, version: Option<i64>) -> Result<Value, Error> {
    let [query, asked] = args.bind("ipaddr", ["query", "version"])?;
    let version = version.or(asked.as_ref().and_then(Value::as_i64));
    let query = text_or(query, "")?;
    if let Value::List(_) | Value::Tuple(_) = value {
        let mut kept = Vec::new();
        for item in value.elements()? {
            let found = one(&item, &query, version)?;
            if found.truth()? {
                kept.push(found);
            }
        }
        return Ok(Value::list(kept));
    }
    if value.is_none() {
        return Err(Error::new("Unrecognized type <class 'NoneType'> for ipaddr filter <value>"));
    }
    one(value, &query, version)
}

fn one(value: &Value, query: &str, version: Option<i64>) -> Result<Value, Error> {
    let Some(subject) = Subject::read(value) else { return Ok(Value::Bool(false)) };
    if version.is_some_and(|version| (version == 6) != subject.net.v6) {
        return Ok(Value::Bool(false));
    }
    subject.answer(query)
}

/// Brackets around what is an address of version 6; everything else stays.
fn wrap(value: &Value) -> Result<Value, Error> {
    if let Value::List(_) | Value::Tuple(_) = value {
        return Ok(Value::list(value.elements()?.iter().map(wrap).collect::<Result<_, _>>()?));
    }
    match Subject::read(value) {
        Some(subject) if !subject.net.v6 => Ok(Value::from(subject.shown())),
        Some(subject) => subject.answer("wrap"),
        None => Ok(value.clone()),
    }
}

fn net_of(value: &Value) -> Result<Option<Net>, Error> {
    match value {
        Value::Undefined(missing) => Err(missing.error()),
        other => Ok(Subject::read(other).map(|subject| subject.net)),
    }
}

fn net_needed(value: Option<Value>, filter: &str) -> Result<Net, Error> {
    let value = needed(value, filter, "value")?;
    net_of(&value)?.ok_or_else(|| invalid(&value))
}
