//! Tests of addresses and networks, those of `ansible.utils`.

use super::{Function, Test};
use crate::filters::addresses_testing as testing;

macro_rules! tests {
    ($name:expr, $($known:literal)*) => {
        match $name {
            $($known => |_, value, args| {
                let other = args.positional.first().or(args.named.first().map(|(_, value)| value));
                testing::find($known).map_or(Ok(false), |test| test(value, other))
            },)*
            _ => return None,
        }
    };
}

pub(super) fn find(name: &str) -> Option<Test> {
    let function: Function = tests!(name, "ip" "ip_address" "ipv4" "ipv6" "ipv4_address" "ipv6_address"
        "ipv4_hostmask" "ipv4_netmask" "ipv6_ipv4_mapped" "ipv6_sixtofour" "ipv6_teredo" "loopback" "mac"
        "multicast" "private" "public" "reserved" "unspecified" "subnet_of" "supernet_of" "in_network"
        "in_any_network" "in_one_network" "resolvable");
    Some(Test { function, takes_undefined: false })
}
