//! Just enough rtnetlink to make a bridge, veth pairs, addresses and routes without any program.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const REQUEST_ACK: u16 = 0x1 | 0x4;
const CREATE_EXCL: u16 = 0x400 | 0x200;
const DUMP: u16 = 0x1 | 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_ADDRESS: u16 = 1;
const VETH_INFO_PEER: u16 = 1;
const IFF_UP: u32 = 1;
const RTA_DST: u16 = 1;
const RTA_GATEWAY: u16 = 5;
const AF_INET: u8 = 2;
const RT_TABLE_MAIN: u8 = 254;
const HEADER: usize = 16;

/// A routing socket; it stays in the network namespace it was opened in.
pub(crate) struct Netlink {
    socket: OwnedFd,
}

/// A network that the machine already knows a way to.
#[derive(Clone, Copy)]
pub(crate) struct Network {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
}

impl Network {
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let bits = u32::from(self.prefix.min(other.prefix));
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        self.address.to_bits() & mask == other.address.to_bits() & mask
    }
}

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let family = AddressFamily::NETLINK;
        // Protocol 0 is NETLINK_ROUTE.
        let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket })
    }

    pub(crate) fn add_bridge(&self, name: &str) -> io::Result<()> {
        let mut message = Message::link(RTM_NEWLINK, CREATE_EXCL, 0, 0);
        message.text(IFLA_IFNAME, name);
        message.nested(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge"));
        self.call(message)
    }

    /// Makes a pair: `name` here, `peer` in the namespace `peer_in`; both are down.
    pub(crate) fn add_veth(&self, name: &str, peer: &str, peer_in: BorrowedFd<'_>) -> io::Result<()> {
        let mut message = Message::link(RTM_NEWLINK, CREATE_EXCL, 0, 0);
        message.text(IFLA_IFNAME, name);
        message.nested(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "veth");
            info.nested(IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |end| {
                    end.bytes.extend([0; 16]);
                    end.text(IFLA_IFNAME, peer);
                    end.number(IFLA_NET_NS_FD, peer_in.as_raw_fd().cast_unsigned());
                });
            });
        });
        self.call(message)
    }

    /// Switches an interface on and, if asked, makes it a port of a bridge.
    pub(crate) fn set_up(&self, name: &str, master: Option<u32>) -> io::Result<()> {
        let mut message = Message::link(RTM_NEWLINK, 0, 0, IFF_UP);
        message.text(IFLA_IFNAME, name);
        if let Some(master) = master {
            message.number(IFLA_MASTER, master);
        }
        self.call(message)
    }

    /// Gives an interface that is down another hardware address.
    pub(crate) fn set_hardware(&self, name: &str, address: [u8; 6]) -> io::Result<()> {
        let mut message = Message::link(RTM_NEWLINK, 0, 0, 0);
        message.text(IFLA_IFNAME, name);
        message.attribute(IFLA_ADDRESS, &address);
        self.call(message)
    }

    pub(crate) fn delete_link(&self, name: &str) -> io::Result<()> {
        let mut message = Message::link(RTM_DELLINK, 0, 0, 0);
        message.text(IFLA_IFNAME, name);
        self.call(message)
    }

    pub(crate) fn add_address(&self, index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let mut message = Message::new(RTM_NEWADDR, REQUEST_ACK | CREATE_EXCL);
        message.bytes.extend([AF_INET, prefix, 0, 0]);
        message.bytes.extend(index.to_ne_bytes());
        message.attribute(2, &address.octets());
        message.attribute(1, &address.octets());
        let broadcast =
            Ipv4Addr::from_bits(address.to_bits() | u32::MAX.checked_shr(prefix.into()).unwrap_or(0));
        message.attribute(4, &broadcast.octets());
        self.call(message)
    }

    pub(crate) fn add_default_route(&self, gateway: Ipv4Addr) -> io::Result<()> {
        let mut message = Message::new(RTM_NEWROUTE, REQUEST_ACK | CREATE_EXCL);
        // Family, lengths of destination and source, TOS, table, protocol boot, scope universe, type unicast.
        message.bytes.extend([AF_INET, 0, 0, 0, RT_TABLE_MAIN, 3, 0, 1]);
        message.bytes.extend([0; 4]);
        message.attribute(RTA_GATEWAY, &gateway.octets());
        self.call(message)
    }

    /// All IPv4 networks in the routing tables but the default route.
    pub(crate) fn networks(&self) -> io::Result<Vec<Network>> {
        let mut message = Message::new(RTM_GETROUTE, DUMP);
        message.bytes.extend([AF_INET, 0, 0, 0, 0, 0, 0, 0]);
        message.bytes.extend([0; 4]);
        send(&self.socket, &message.finish(), SendFlags::empty())?;
        let mut found = Vec::new();
        loop {
            let answer = self.receive()?;
            for (kind, body) in messages(&answer) {
                match kind {
                    NLMSG_DONE => return Ok(found),
                    NLMSG_ERROR => return Err(error_of(body)),
                    RTM_NEWROUTE => found.extend(network_of(body)),
                    _ => {}
                }
            }
        }
    }

    fn call(&self, message: Message) -> io::Result<()> {
        send(&self.socket, &message.finish(), SendFlags::empty())?;
        let answer = self.receive()?;
        match messages(&answer).next() {
            Some((NLMSG_ERROR, body)) if body.get(..4) == Some(&[0; 4]) => Ok(()),
            Some((NLMSG_ERROR, body)) => Err(error_of(body)),
            _ => Err(io::Error::other("unexpected answer of the kernel's routing socket")),
        }
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0_u8; 64 * 1024];
        let (_, length) = recv(&self.socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

fn error_of(body: &[u8]) -> io::Error {
    io::Error::from_raw_os_error(-number_at(body, 0).unwrap_or(0).cast_signed())
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The messages in one answer: type and body.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = number_at(rest, 0)? as usize;
        let kind = short_at(rest, 4)?;
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, body))
    })
}

fn network_of(body: &[u8]) -> Option<Network> {
    let prefix = *body.get(1)?;
    let mut rest = body.get(12..)?;
    while let (Some(length), Some(kind)) = (short_at(rest, 0), short_at(rest, 2)) {
        let length = usize::from(length);
        let value = rest.get(4..length)?;
        if kind == RTA_DST {
            let octets: [u8; 4] = value.try_into().ok()?;
            return Some(Network { address: Ipv4Addr::from(octets), prefix });
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    None
}

/// A request under construction; attributes nest and are aligned to four bytes.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | 1).to_ne_bytes());
        bytes.extend([0; 8]);
        Self { bytes }
    }

    fn link(kind: u16, flags: u16, index: u32, up: u32) -> Self {
        let mut message = Self::new(kind, REQUEST_ACK | flags);
        message.bytes.extend([0; 4]);
        message.bytes.extend(index.to_ne_bytes());
        message.bytes.extend(up.to_ne_bytes());
        message.bytes.extend(up.to_ne_bytes());
        message
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nested(kind, |inner| inner.bytes.extend(value));
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.nested(kind, |inner| {
            inner.bytes.extend(value.as_bytes());
            inner.bytes.push(0);
        });
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).expect("attributes are a few hundred bytes");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).expect("requests are a few hundred bytes");
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(a: [u8; 4], prefix: u8) -> Network {
        Network { address: Ipv4Addr::from(a), prefix }
    }

    #[test]
    fn networks_overlap_when_one_holds_the_other() {
        assert!(network([10, 0, 0, 0], 8).overlaps(network([10, 1, 2, 0], 24)));
        assert!(network([10, 1, 2, 0], 24).overlaps(network([10, 0, 0, 0], 8)));
        assert!(!network([198, 18, 0, 0], 22).overlaps(network([198, 18, 4, 0], 22)));
        assert!(network([0, 0, 0, 0], 0).overlaps(network([198, 18, 4, 0], 22)));
    }

    #[test]
    fn the_loopback_network_is_in_the_tables() {
        let networks = Netlink::open().unwrap().networks().unwrap();
        assert!(
            networks.iter().any(|found| found.address == Ipv4Addr::new(127, 0, 0, 0) && found.prefix == 8)
        );
    }
}
