//! Tests of addresses: `is ansible.utils.ipv4_address` and its kin.

use super::mac;
use super::net::{Net, parse_address};
use crate::error::Error;
use crate::value::Value;

pub(crate) type Function = fn(&Value, Option<&Value>) -> Result<bool, Error>;

pub(crate) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "ip" => |value, _| Ok(any(value).is_some()),
        "ip_address" => |value, _| Ok(address(value).is_some()),
        "ipv4" => |value, _| Ok(any(value).is_some_and(|net| !net.v6)),
        "ipv6" => |value, _| Ok(any(value).is_some_and(|net| net.v6)),
        "ipv4_address" => |value, _| Ok(address(value).is_some_and(|net| !net.v6)),
        "ipv6_address" => |value, _| Ok(address(value).is_some_and(|net| net.v6)),
        "ipv4_hostmask" => |value, _| Ok(address(value).is_some_and(is_hostmask)),
        "ipv4_netmask" => |value, _| Ok(address(value).is_some_and(is_netmask)),
        "ipv6_ipv4_mapped" => |value, _| Ok(address_in(value, "::ffff:0:0/96")),
        "ipv6_sixtofour" => |value, _| Ok(address_in(value, "2002::/16")),
        "ipv6_teredo" => |value, _| Ok(address_in(value, "2001::/32")),
        "loopback" => |value, _| Ok(address(value).is_some_and(Net::is_loopback)),
        "mac" => {
            |value, _| Ok(value.as_str().is_some_and(|text| mac::parse(text).is_some() && strict_mac(text)))
        }
        "multicast" => |value, _| Ok(address(value).is_some_and(Net::is_multicast)),
        "private" => |value, _| Ok(address(value).is_some_and(Net::is_private)),
        "public" => {
            |value, _| Ok(address(value).is_some_and(|net| !net.is_private() && !net.is_in("100.64.0.0/10")))
        }
        "reserved" => |value, _| Ok(address(value).is_some_and(Net::is_reserved)),
        "unspecified" => |value, _| Ok(address(value).is_some_and(|net| net.address == 0)),
        "subnet_of" => |value, other| Ok(within(any(value), other.and_then(any))),
        "supernet_of" => |value, other| Ok(within(other.and_then(any), any(value))),
        "in_network" => |value, other| Ok(within(any(value), other.and_then(any))),
        "in_any_network" => |value, other| in_networks(value, other).map(|count| count > 0),
        "in_one_network" => |value, other| in_networks(value, other).map(|count| count == 1),
        "resolvable" => |value, _| {
            use std::net::ToSocketAddrs as _;
            Ok(value.as_str().is_some_and(|name| (name, 0).to_socket_addrs().is_ok()))
        },
        _ => return None,
    })
}

/// An address, or a network whose own address it is.
fn any(value: &Value) -> Option<Net> {
    let text = value.as_str()?;
    Net::parse(text).filter(|net| !text.contains('/') || net.address == net.first())
}

fn address(value: &Value) -> Option<Net> {
    let (v6, address) = parse_address(value.as_str()?)?;
    Some(Net::host(v6, address))
}

fn address_in(value: &Value, network: &str) -> bool {
    address(value).is_some_and(|net| net.is_in(network))
}

fn is_netmask(net: Net) -> bool {
    !net.v6 && (0..=32).any(|prefix| net.with_prefix(prefix).mask() == net.address)
}

fn is_hostmask(net: Net) -> bool {
    !net.v6 && (0..=32).any(|prefix| net.with_prefix(prefix).hostmask() == net.address)
}

/// The spellings that the test accepts: full groups only.
fn strict_mac(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 12
}

fn within(inner: Option<Net>, outer: Option<Net>) -> bool {
    matches!((inner, outer), (Some(inner), Some(outer)) if outer.contains(inner))
}

fn in_networks(value: &Value, networks: Option<&Value>) -> Result<usize, Error> {
    let Some(networks) = networks else { return Err(Error::new("the test needs a list of networks")) };
    let inner = any(value);
    Ok(networks.elements()?.iter().filter(|outer| within(inner, any(outer))).count())
}
