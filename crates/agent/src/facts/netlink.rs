//! Asks the kernel for addresses and routes over a netlink socket, as `ip` does, without a child process.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const LOCAL_TABLE: u8 = 255;
const LOCAL_ROUTE: u8 = 2;

/// One address of an interface.
#[derive(Debug)]
pub struct Address {
    pub index: u32,
    pub ip: IpAddr,
    pub prefix: u8,
    /// 0 global, 200 site, 253 link, 254 host.
    pub scope: u8,
    pub secondary: bool,
    pub broadcast: Option<IpAddr>,
    /// An alias such as `eth0:1`.
    pub label: Option<String>,
}

/// One route.
#[derive(Debug, Default)]
pub struct Route {
    pub family_v6: bool,
    pub table: u8,
    pub kind: u8,
    pub prefix: u8,
    pub destination: Option<IpAddr>,
    pub gateway: Option<IpAddr>,
    pub source: Option<IpAddr>,
    pub interface: Option<u32>,
}

impl Route {
    /// The host answers to the route's destinations itself.
    pub fn is_local(&self) -> bool {
        self.table == LOCAL_TABLE && self.kind == LOCAL_ROUTE
    }
}

/// Every address of the network namespace.
pub fn addresses() -> Vec<Address> {
    let Some(socket) = open() else { return Vec::new() };
    let mut found = Vec::new();
    ask(&socket, GET_ADDRESS, DUMP, &[0; 8], &mut |kind, body| {
        if kind == NEW_ADDRESS {
            found.extend(address(body));
        }
    });
    found
}

/// Every route of a family.
pub fn routes(v6: bool) -> Vec<Route> {
    let Some(socket) = open() else { return Vec::new() };
    let mut header = [0u8; 12];
    header[0] = if v6 { 10 } else { 2 };
    let mut found = Vec::new();
    ask(&socket, GET_ROUTE, DUMP, &header, &mut |kind, body| {
        if kind == NEW_ROUTE {
            found.extend(route(body));
        }
    });
    found
}

/// The route by which the kernel would reach an address.
pub fn route_to(to: IpAddr) -> Option<Route> {
    let socket = open()?;
    let bytes = match to {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let mut body = vec![0u8; 12];
    body[0] = if to.is_ipv6() { 10 } else { 2 };
    body[1] = u8::try_from(bytes.len() * 8).ok()?;
    body.extend(u16::try_from(bytes.len() + 4).ok()?.to_ne_bytes());
    body.extend(1u16.to_ne_bytes());
    body.extend(&bytes);
    let mut found = None;
    ask(&socket, GET_ROUTE, 0, &body, &mut |kind, body| {
        if kind == NEW_ROUTE {
            found = route(body);
        }
    });
    found
}

fn open() -> Option<OwnedFd> {
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).ok()?;
    let wait = std::time::Duration::from_secs(2);
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(wait)).ok()?;
    Some(socket)
}

/// Sends one request and hands every message of the answer on.
fn ask(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8], each: &mut dyn FnMut(u16, &[u8])) {
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend((16 + body.len() as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    if rustix::net::send(socket, &message, SendFlags::empty()).is_err() {
        return;
    }
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        let Ok((length, _)) = rustix::net::recv(socket, buffer.as_mut_slice(), RecvFlags::empty()) else {
            return;
        };
        let mut rest = &buffer[..length.min(64 * 1024)];
        if rest.is_empty() {
            return;
        }
        while let Some((kind, body, next)) = message_at(rest) {
            if kind == DONE || kind == ERROR {
                return;
            }
            each(kind, body);
            rest = next;
        }
        if flags & DUMP == 0 {
            return;
        }
    }
}

fn message_at(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32_at(bytes, 0)? as usize;
    let kind = u16_at(bytes, 4)?;
    let body = bytes.get(16..length)?;
    Some((kind, body, bytes.get(aligned(length)..).unwrap_or_default()))
}

fn address(body: &[u8]) -> Option<Address> {
    let (prefix, flags, scope) = (*body.get(1)?, *body.get(2)?, *body.get(3)?);
    let index = u32_at(body, 4)?;
    let (mut peer, mut local, mut broadcast, mut label) = (None, None, None, None);
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            1 => peer = ip(value),
            2 => local = ip(value),
            3 => label = Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()),
            4 => broadcast = ip(value),
            _ => {}
        }
    }
    let ip = local.or(peer)?;
    Some(Address { index, ip, prefix, scope, secondary: ip.is_ipv4() && flags & 1 != 0, broadcast, label })
}

fn route(body: &[u8]) -> Option<Route> {
    let mut route = Route {
        family_v6: *body.first()? == 10,
        prefix: *body.get(1)?,
        table: *body.get(4)?,
        kind: *body.get(7)?,
        ..Route::default()
    };
    for (kind, value) in attributes(body.get(12..)?) {
        match kind {
            1 => route.destination = ip(value),
            4 => route.interface = u32_at(value, 0),
            5 => route.gateway = ip(value),
            7 => route.source = ip(value),
            _ => {}
        }
    }
    Some(route)
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u16_at(bytes, 0)? as usize;
        let kind = u16_at(bytes, 2)?;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind & 0x3fff, value))
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
