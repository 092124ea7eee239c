//! Addresses and networks of both versions, as `netaddr` has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use num_bigint::BigInt;

use crate::value::Value;

/// An address and the length of its prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Net {
    pub(super) v6: bool,
    pub(super) address: u128,
    pub(super) prefix: u8,
}

/// The text of an address.
pub(super) fn address_text(v6: bool, address: u128) -> String {
    if v6 {
        return Ipv6Addr::from(address).to_string();
    }
    Ipv4Addr::from(u32::try_from(address).unwrap_or(u32::MAX)).to_string()
}

/// A bare number as an address: of version 4 as long as it fits.
pub(super) fn number_text(number: u128) -> String {
    address_text(number > u128::from(u32::MAX), number)
}

pub(super) fn parse_address(text: &str) -> Option<(bool, u128)> {
    match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => Some((false, u128::from(u32::from(v4)))),
        IpAddr::V6(v6) => Some((true, u128::from(v6))),
    }
}

impl Net {
    pub(super) fn host(v6: bool, address: u128) -> Self {
        Self { v6, address, prefix: if v6 { 128 } else { 32 } }
    }

    pub(super) fn with_prefix(self, prefix: u8) -> Self {
        Self { prefix, ..self }
    }

    /// `address`, `address/prefix`, `address/netmask` or `address/hostmask`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some((address, prefix)) = text.split_once('/') else {
            return parse_address(text).map(|(v6, address)| Self::host(v6, address));
        };
        let (v6, address) = parse_address(address)?;
        let host = Self::host(v6, address);
        let prefix = if !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            prefix.parse::<u8>().ok().filter(|prefix| *prefix <= host.width())?
        } else {
            let (mask_v6, mask) = parse_address(prefix).filter(|(mask_v6, _)| *mask_v6 == v6)?;
            debug_assert_eq!(mask_v6, v6);
            (0..=host.width()).find(|length| {
                let net = host.with_prefix(*length);
                net.mask() == mask || net.hostmask() == mask
            })?
        };
        Some(host.with_prefix(prefix))
    }

    pub(super) fn width(self) -> u8 {
        if self.v6 { 128 } else { 32 }
    }

    fn all(self) -> u128 {
        if self.v6 { u128::MAX } else { u128::from(u32::MAX) }
    }

    pub(super) fn hostmask(self) -> u128 {
        match self.width().saturating_sub(self.prefix) {
            128 => u128::MAX,
            bits => (1_u128 << bits) - 1,
        }
    }

    pub(super) fn mask(self) -> u128 {
        self.all() & !self.hostmask()
    }

    pub(super) fn first(self) -> u128 {
        self.address & self.mask()
    }

    pub(super) fn last(self) -> u128 {
        self.address | self.hostmask()
    }

    /// The network that the address is in.
    pub(super) fn network(self) -> Self {
        Self { address: self.first(), ..self }
    }

    /// How many addresses, less one: that always fits.
    pub(super) fn span(self) -> u128 {
        self.last() - self.first()
    }

    pub(super) fn size(self) -> BigInt {
        BigInt::from(self.span()) + 1
    }

    /// The first and the last address that a host may have.
    pub(super) fn usable(self) -> Option<(u128, u128)> {
        match self.span() {
            0 => None,
            1 => Some((self.first(), self.last())),
            _ => Some((self.first() + 1, self.last() - 1)),
        }
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.v6 == other.v6 && self.first() <= other.first() && other.last() <= self.last()
    }

    pub(super) fn is_in(self, network: &str) -> bool {
        Self::parse(network).is_some_and(|network| network.contains(Self::host(self.v6, self.address)))
    }

    pub(super) fn is_in_any(self, networks: &[&str]) -> bool {
        networks.iter().any(|network| self.is_in(network))
    }

    /// The address of this place in the network; negative places count from the end.
    pub(super) fn nth(self, index: i64) -> Option<u128> {
        let distance = u128::from(index.unsigned_abs());
        if index < 0 {
            return (distance - 1 <= self.span()).then(|| self.last() - (distance - 1));
        }
        (distance <= self.span()).then(|| self.first() + distance)
    }

    pub(super) fn text(self, address: u128) -> Value {
        Value::from(address_text(self.v6, address))
    }

    pub(super) fn ip(self) -> String {
        address_text(self.v6, self.address)
    }

    pub(super) fn cidr(self) -> String {
        format!("{}/{}", self.ip(), self.prefix)
    }

    pub(super) fn reverse_name(self) -> String {
        let mut out = String::new();
        if self.v6 {
            (0..32).for_each(|place| out.push_str(&format!("{:x}.", self.address >> (4 * place) & 15)));
            return out + "ip6.arpa.";
        }
        (0..4).for_each(|place| out.push_str(&format!("{}.", self.address >> (8 * place) & 255)));
        out + "in-addr.arpa."
    }

    pub(super) fn is_multicast(self) -> bool {
        self.is_in_any(&["224.0.0.0/4", "ff00::/8"])
    }

    pub(super) fn is_loopback(self) -> bool {
        self.is_in_any(&["127.0.0.0/8", "::1/128"])
    }

    pub(super) fn is_link_local(self) -> bool {
        self.is_in_any(&["169.254.0.0/16", "fe80::/10"])
    }

    /// Reachable from everywhere, by the registries of special addresses.
    pub(super) fn is_global(self) -> bool {
        if self.is_in_any(&["192.0.0.9/32", "192.0.0.10/32", "2001:1::1/128", "2001:1::2/128"])
            || self.is_in_any(&["2001:3::/32", "2001:4:112::/48", "2001:20::/28"])
        {
            return true;
        }
        !self.is_in_any(&SPECIAL)
    }

    /// Python's `is_private`.
    pub(super) fn is_private(self) -> bool {
        !self.is_in("100.64.0.0/10") && self.is_in_any(&PRIVATE)
    }

    pub(super) fn is_reserved(self) -> bool {
        self.is_in_any(&RESERVED)
    }
}

const SPECIAL: [&str; 23] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
];

const PRIVATE: [&str; 22] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/29",
    "192.0.0.170/31",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::/127",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
];

const RESERVED: [&str; 16] = [
    "240.0.0.0/4",
    "::/8",
    "100::/8",
    "200::/7",
    "400::/6",
    "800::/5",
    "1000::/4",
    "4000::/3",
    "6000::/3",
    "8000::/3",
    "a000::/3",
    "c000::/3",
    "e000::/4",
    "f000::/5",
    "f800::/6",
    "fe00::/9",
];
