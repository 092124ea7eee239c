//! Filters that compute with networks.

use super::net::{Net, address_text};
use super::{Function, Subject, invalid, net_needed, net_of};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::filters::{int_or, needed, text_of, text_or};
use crate::value::{Dict, Value};

/// More addresses than this are not listed.
const MOST: u128 = 1 << 20;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "ipsubnet" => subnet,
        "ipmath" => math,
        "network_in_usable" => |_, value, args| inside(value, args, true),
        "network_in_network" => |_, value, args| inside(value, args, false),
        "next_nth_usable" => |_, value, args| step(value, args, true),
        "previous_nth_usable" => |_, value, args| step(value, args, false),
        "nthhost" => nth_host,
        "cidr_merge" => merge,
        "reduce_on_network" => reduce,
        "usable_range" => usable_range,
        _ => return None,
    })
}

fn subnet(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [query, index] = args.bind("ipsubnet", ["query", "index"])?;
    let Some(subject) = Subject::read(value) else { return Ok(Value::Bool(false)) };
    let query = text_or(query, "")?;
    let index = match index.filter(|index| !index.is_none()) {
        None => None,
        Some(Value::Str(text)) if text.as_str().is_empty() => None,
        Some(Value::Str(text)) => {
            Some(text.as_str().parse().map_err(|_| Error::new("the index must be a number"))?)
        }
        Some(number) => Some(int_or(Some(number), 0)?),
    };
    if query.is_empty() {
        return Ok(Value::from(subject.net.network().cidr()));
    }
    if let Ok(prefix) = query.parse::<u8>() {
        return by_prefix(&subject, prefix, index);
    }
    let outer = Net::parse(&query)
        .filter(|outer| outer.contains(subject.net))
        .ok_or_else(|| Error::new(format!("{} is not in the network {query}", subject.text)))?;
    let place = (subject.net.first() - outer.first()) >> (subject.net.width() - subject.net.prefix);
    Ok(Value::from((num_bigint::BigInt::from(place) + 1_u8).to_string()))
}

fn by_prefix(subject: &Subject, prefix: u8, index: Option<i64>) -> Result<Value, Error> {
    let net = subject.net;
    if prefix > net.width() {
        return Ok(Value::Bool(false));
    }
    let network = net.span() > 0;
    // An address counts as the smallest network there is.
    let own = if network { net } else { Net::host(net.v6, net.address) };
    if prefix < own.prefix || !network {
        // The networks around it, the largest first.
        let Some(index) = index else {
            return if network {
                Err(Error::new(format!("{} has no subnets of length {prefix}", subject.text)))
            } else {
                Ok(Value::from(own.with_prefix(prefix).network().cidr()))
            };
        };
        let count = i64::from(own.prefix) - i64::from(prefix);
        let place = if index < 0 { index + count } else { index };
        if !(0..count).contains(&place) {
            return Ok(Value::Bool(false));
        }
        let length = prefix + u8::try_from(place).unwrap_or(0);
        return Ok(Value::from(own.with_prefix(length).network().cidr()));
    }
    let count_bits = prefix - own.prefix;
    let last = if count_bits >= 128 { u128::MAX } else { (1_u128 << count_bits) - 1 };
    let Some(index) = index else {
        return Ok(Value::from((num_bigint::BigInt::from(last) + 1_u8).to_string()));
    };
    let distance = u128::from(index.unsigned_abs());
    let place = if index < 0 { (last + 1).checked_sub(distance) } else { Some(distance) };
    let Some(place) = place.filter(|place| *place <= last) else { return Ok(Value::Bool(false)) };
    let shift = own.width() - prefix;
    let offset = if shift >= 128 { 0 } else { place << shift };
    Ok(Value::from(Net { address: own.first() + offset, prefix, ..own }.cidr()))
}

fn math(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [amount] = args.bind("ipmath", ["amount"])?;
    let amount = match needed(amount, "ipmath", "amount")? {
        Value::Str(text) => {
            text.as_str().trim().parse().map_err(|_| Error::new("You must pass an integer"))?
        }
        other => int_or(Some(other), 0)?,
    };
    let text = text_of(value)?;
    let address = text.split('/').next().unwrap_or("");
    let (v6, address) = super::net::parse_address(address)
        .ok_or_else(|| Error::new(format!("You must pass a valid IP address; {text} is invalid")))?;
    let far = u128::from(amount.unsigned_abs());
    let moved = if amount < 0 { address.checked_sub(far) } else { address.checked_add(far) };
    let most = if v6 { u128::MAX } else { u128::from(u32::MAX) };
    let moved =
        moved.filter(|moved| *moved <= most).ok_or_else(|| Error::new("result outside of the range"))?;
    Ok(Value::from(address_text(v6, moved)))
}

fn inside(value: &Value, args: Args, usable: bool) -> Result<Value, Error> {
    let [test] = args.bind("network_in_network", ["test"])?;
    let (Some(outer), Some(test)) = (net_of(value)?, net_of(&needed(test, "network_in_network", "test")?)?)
    else {
        return Ok(Value::Bool(false));
    };
    if outer.v6 != test.v6 {
        return Ok(Value::Bool(false));
    }
    let (first, last) = if usable {
        match outer.usable() {
            Some(range) => range,
            None => return Ok(Value::Bool(false)),
        }
    } else {
        (outer.first(), outer.last())
    };
    Ok(Value::Bool(test.first() >= first && test.last() <= last))
}

fn step(value: &Value, args: Args, up: bool) -> Result<Value, Error> {
    let [offset] = args.bind("next_nth_usable", ["offset"])?;
    let Some(subject) = Subject::read(value) else { return Ok(Value::Bool(false)) };
    let offset = match offset {
        Some(Value::Str(text)) => text.as_str().parse().map_err(|_| Error::new("Must pass in an integer"))?,
        other => int_or(other, 0)?,
    };
    let far = u128::try_from(offset).map_err(|_| Error::new("Must pass in a positive integer"))?;
    let at = subject.net.address;
    let next = if up { at.checked_add(far) } else { at.checked_sub(far) };
    Ok(match (subject.net.usable(), next) {
        (Some((first, last)), Some(next)) if (first..=last).contains(&next) => subject.net.text(next),
        _ => Value::None,
    })
}

fn nth_host(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [query] = args.bind("nthhost", ["query"])?;
    let Some(net) = net_of(value)? else { return Ok(Value::Bool(false)) };
    let index = match query {
        Some(Value::Str(text)) => text.as_str().parse::<i64>().ok(),
        Some(other) => other.as_i64(),
        None => None,
    };
    Ok(index.and_then(|index| net.nth(index)).map_or(Value::Bool(false), |address| net.text(address)))
}

fn merge(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [action] = args.bind("cidr_merge", ["action"])?;
    let items = match value {
        Value::Str(_) => vec![value.clone()],
        other => other.elements()?,
    };
    let mut nets = Vec::new();
    for item in &items {
        nets.push(Net::parse(&text_of(item)?).ok_or_else(|| invalid(item))?.network());
    }
    match text_or(action, "merge")?.as_str() {
        "merge" => Ok(Value::list(merged(nets).iter().map(|net| Value::from(net.cidr())).collect())),
        "span" => {
            if nets.iter().any(|net| net.v6 != nets[0].v6) {
                return Err(Error::new("IP sequence cannot contain both IPv4 and IPv6"));
            }
            let first = nets.iter().map(|net| net.first()).min();
            let last = nets.iter().map(|net| net.last()).max();
            let (Some(first), Some(last)) = (first, last) else { return Ok(Value::None) };
            let mut span = Net { address: first, ..nets[0] };
            while span.last() < last || span.first() > first {
                span = span.with_prefix(span.prefix - 1).network();
            }
            Ok(Value::from(span.cidr()))
        }
        other => Err(Error::new(format!("cidr_merge: unknown action: {other}"))),
    }
}

/// The fewest networks that hold the same addresses.
fn merged(mut nets: Vec<Net>) -> Vec<Net> {
    nets.sort_by_key(|net| (net.v6, net.first(), net.prefix));
    let mut kept: Vec<Net> = Vec::new();
    for net in nets {
        if kept.last().is_some_and(|last| last.contains(net)) {
            continue;
        }
        kept.push(net);
        while let [.., left, right] = kept.as_slice() {
            let (left, right) = (*left, *right);
            let twins = left.v6 == right.v6 && left.prefix == right.prefix && left.prefix > 0;
            let parent = left.with_prefix(left.prefix.saturating_sub(1)).network();
            if !twins || left == right || !parent.contains(right) {
                break;
            }
            kept.truncate(kept.len() - 2);
            kept.push(parent);
        }
    }
    kept
}

fn reduce(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [network] = args.bind("reduce_on_network", ["network"])?;
    let outer = net_needed(network, "reduce_on_network")?;
    let mut kept = Vec::new();
    for item in value.elements()? {
        if net_of(&item)?.is_some_and(|net| outer.contains(net)) {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn usable_range(_: &Run<'_>, value: &Value, _: Args) -> Result<Value, Error> {
    let net = Net::parse(&text_of(value)?).ok_or_else(|| invalid(value))?;
    if net.span() >= MOST {
        return Err(Error::new("the network has too many addresses to list them"));
    }
    let all: Vec<Value> = (net.first()..=net.last()).map(|address| net.text(address)).collect();
    let count = Value::from(all.len());
    Ok(Value::from(
        [("usable_ips", Value::list(all)), ("number_of_ips", count)]
            .into_iter()
            .map(|(name, value)| (Value::str(name), value))
            .collect::<Dict>(),
    ))
}
