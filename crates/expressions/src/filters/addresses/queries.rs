//! What `ipaddr` may be asked about an address.

use num_bigint::BigInt;

use super::net::{Net, number_text};
use crate::error::Error;
use crate::value::Value;

/// A value that is an address, as it was written.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) net: Net,
    pub(super) text: String,
    /// Without a prefix.
    pub(super) plain: bool,
}

impl Subject {
    /// `None`: the value is no address.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Int(number) if *number > 0 => number.to_string(),
            Value::Big(number) => number.to_string(),
            Value::Str(text) => text.as_str().to_owned(),
            _ => return None,
        };
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number: u128 = text.parse().ok()?;
            let net = Net::host(number > u128::from(u32::MAX), number);
            return Some(Self { net, text: net.cidr(), plain: true });
        }
        let net = Net::parse(text.trim())?;
        Some(Self { net, plain: !text.contains('/'), text })
    }

    /// The address is that of the network itself.
    pub(super) fn is_network(&self) -> bool {
        self.net.span() > 0 && self.net.address == self.net.first()
    }

    /// The network's own address, where no host may have it.
    fn is_base(&self) -> bool {
        self.net.span() > 1 && self.is_network()
    }

    fn kept_if(&self, holds: bool) -> Value {
        if holds { Value::str(self.text.as_str()) } else { Value::None }
    }

    pub(super) fn shown(&self) -> String {
        if self.plain { self.net.ip() } else { self.net.cidr() }
    }

    fn usable(&self) -> Result<Option<(u128, u128)>, Error> {
        if self.plain {
            return Err(Error::new(format!("Not a network address: {}", self.text)));
        }
        Ok(self.net.usable())
    }

    /// One step along the usable addresses.
    fn neighbour(&self, up: bool) -> Result<Value, Error> {
        let usable = self.usable()?;
        let at = self.net.address;
        let next = if up { at.checked_add(1) } else { at.checked_sub(1) };
        let next = next.ok_or_else(|| Error::new("the address is out of range"))?;
        Ok(match usable {
            Some((first, last)) if (first..=last).contains(&next) => Value::from(number_text(next)),
            _ => Value::None,
        })
    }

    fn peer(&self) -> Result<Value, Error> {
        let (net, at) = (self.net, self.net.address);
        let peer = match net.span() {
            1 => Some(at ^ 1),
            3 if at == net.first() + 1 => Some(at + 1),
            3 if at == net.first() + 2 => Some(at - 1),
            _ => None,
        };
        match peer {
            Some(peer) => Ok(net.text(peer)),
            None => Err(Error::new(format!("Not a point-to-point network: {}", self.text))),
        }
    }

    fn wrapped(&self) -> Value {
        match (self.net.v6, self.plain) {
            (false, _) => Value::str(self.text.as_str()),
            (true, true) => Value::from(format!("[{}]", self.net.ip())),
            (true, false) => Value::from(format!("[{}]/{}", self.net.ip(), self.net.prefix)),
        }
    }

    fn as_v4(&self) -> Value {
        let net = self.net;
        let fits = net.address <= u128::from(u32::MAX) || net.is_in("::ffff:0:0/96");
        if !net.v6 {
            return Value::str(self.text.as_str());
        }
        match net.prefix.checked_sub(96).filter(|_| fits) {
            Some(prefix) => {
                Value::from(Net::host(false, net.address & u128::from(u32::MAX)).with_prefix(prefix).cidr())
            }
            None => Value::Bool(false),
        }
    }

    fn as_v6(&self) -> Value {
        if self.net.v6 {
            return Value::str(self.text.as_str());
        }
        let mapped = Net::host(true, self.net.address | 0xffff_0000_0000);
        Value::from(mapped.with_prefix(self.net.prefix + 96).cidr())
    }

    fn six_to_four(&self) -> Value {
        if self.net.v6 {
            let own = self.net.is_in("2002::/16");
            return if own { Value::str(self.text.as_str()) } else { Value::Bool(false) };
        }
        if self.is_network() || self.net.is_multicast() {
            return Value::Bool(false);
        }
        let address = self.net.address;
        Value::from(format!("2002:{:04x}:{:04x}::1/48", address >> 16, address & 0xffff))
    }

    /// A host in its network.
    fn hostnet(&self) -> Value {
        let may = match self.net.usable() {
            None => true,
            Some((first, last)) => (first..=last).contains(&self.net.address),
        };
        if may { Value::from(self.net.cidr()) } else { Value::Bool(false) }
    }

    fn nth(&self, index: i64) -> Value {
        if self.net.span() == 0 {
            return Value::from(self.shown());
        }
        match self.net.nth(index) {
            Some(address) => Value::from(Net { address, ..self.net }.cidr()),
            None => Value::Bool(false),
        }
    }

    /// Two addresses with a word between them, unless the address is the network's own.
    fn own_pair(&self, second: String) -> Value {
        let none = self.net.span() == 0 || self.is_base();
        if none { Value::None } else { Value::from(format!("{}{second}", self.net.ip())) }
    }

    pub(super) fn answer(&self, query: &str) -> Result<Value, Error> {
        let net = self.net;
        let both = |value: u128| super::net::address_text(net.v6, value);
        Ok(match query {
            "" => Value::from(self.shown()),
            "bool" => Value::Bool(true),
            "6to4" => self.six_to_four(),
            "address" | "ip" if !net.v6 && self.is_base() => Value::None,
            "address" | "ip" => Value::from(net.ip()),
            "address/prefix" | "host/prefix" | "hostnet" | "router" | "gateway" | "gw" => self.hostnet(),
            "host" if self.is_base() => Value::None,
            "host" | "cidr" => Value::from(net.cidr()),
            "broadcast" if net.span() > 1 => net.text(net.last()),
            "broadcast" => Value::None,
            "first_usable" => {
                self.usable()?.map_or(Value::None, |(first, _)| Value::from(number_text(first)))
            }
            "last_usable" => self.usable()?.map_or(Value::None, |(_, last)| Value::from(number_text(last))),
            "range_usable" => self.usable()?.map_or(Value::None, |(first, last)| {
                Value::from(format!("{}-{}", number_text(first), number_text(last)))
            }),
            "next_usable" => self.neighbour(true)?,
            "previous_usable" => self.neighbour(false)?,
            "hostmask" | "wildcard" => net.text(net.hostmask()),
            "netmask" => net.text(net.mask()),
            "int" if self.plain => Value::big(net.address.into()),
            "int" => Value::from(format!("{}/{}", net.address, net.prefix)),
            "ip/prefix" => self.own_pair(format!("/{}", net.prefix)),
            "ip_netmask" => self.own_pair(format!(" {}", both(net.mask()))),
            "ipv4" => self.as_v4(),
            "ipv6" => self.as_v6(),
            "link-local" => self.kept_if(net.is_link_local()),
            "loopback" | "lo" => self.kept_if(net.is_loopback()),
            "multicast" => self.kept_if(net.is_multicast()),
            "unicast" => self.kept_if(!net.is_multicast()),
            "private" => self.kept_if(!net.is_multicast() && !net.is_global()),
            "public" => self.kept_if(!net.is_multicast() && net.is_global()),
            "net" => self.kept_if(self.is_network()),
            "network" | "network_id" => net.text(net.first()),
            "network/prefix" | "subnet" => Value::from(net.network().cidr()),
            "network_netmask" => Value::from(format!("{} {}", both(net.first()), both(net.mask()))),
            "network_wildcard" => Value::from(format!("{} {}", both(net.first()), both(net.hostmask()))),
            "peer" => self.peer()?,
            "prefix" => Value::Int(i64::from(net.prefix)),
            "revdns" => Value::from(net.reverse_name()),
            "size" => Value::big(net.size()),
            "size_usable" if net.span() == 1 => Value::Int(2),
            "size_usable" => Value::big(std::cmp::max(net.size() - BigInt::from(2), BigInt::ZERO)),
            "type" => Value::str(if self.is_network() { "network" } else { "address" }),
            "wrap" => self.wrapped(),
            other => return self.other(other),
        })
    }

    /// A place in the network, or a network that may hold the address.
    fn other(&self, query: &str) -> Result<Value, Error> {
        if let Ok(index) = query.parse::<i64>() {
            return Ok(self.nth(index));
        }
        match Net::parse(query) {
            Some(network) => Ok(self.kept_if(network.contains(self.net))),
            None => Err(Error::new(format!("ipaddr: unknown filter type: {query}"))),
        }
    }
}
