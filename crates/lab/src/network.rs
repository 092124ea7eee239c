//! The private network of a pool: a switch in a namespace of its own, so that the machine's firewall, bridges
//! and interface lists stay as they are; one interface leads from the machine into it.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::UnmountFlags;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::error::{Doing, Error, Result};
use crate::netlink::{Netlink, Network};
use crate::state::{PoolRecord, State};
use crate::sys;

pub(crate) const PREFIX: u8 = 22;
/// The most hosts that a pool's network has room for (a kernel bridge has 1024 ports).
pub(crate) const MOST_HOSTS: u32 = 1000;
/// The name of the machine itself on its hosts.
pub(crate) const CONTROLLER: &str = "controller";
const BRIDGE: &str = "switch";
/// Addresses below this offset belong to the switch (1) and the machine (2).
const FIRST_HOST: u32 = 10;
const SLOTS: u32 = 256;
/// The file system type of namespace files.
const NSFS: i64 = 0x6e73_6673;

pub(crate) fn gateway(pool: &PoolRecord) -> Ipv4Addr {
    Ipv4Addr::from_bits(pool.network.to_bits() + 1)
}

pub(crate) fn controller(pool: &PoolRecord) -> Ipv4Addr {
    Ipv4Addr::from_bits(pool.network.to_bits() + 2)
}

pub(crate) fn address(pool: &PoolRecord, number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(pool.network.to_bits() + FIRST_HOST + number)
}

pub(crate) fn port(number: u32) -> String {
    format!("port{number}")
}

/// The machine's interface towards a pool.
pub(crate) fn uplink(slot: u32) -> String {
    format!("thlab{slot}")
}

/// Candidate networks: 198.18.0.0/15 is set aside for benchmarks, 10.213.0.0/15 is rarely used.
fn candidate(slot: u32) -> Ipv4Addr {
    let half = SLOTS / 2;
    let start = if slot < half { Ipv4Addr::new(198, 18, 0, 0) } else { Ipv4Addr::new(10, 212, 0, 0) };
    Ipv4Addr::from_bits(start.to_bits() + ((slot % half) << (32 - u32::from(PREFIX))))
}

/// A network that neither the machine nor another pool uses. The lock must be held.
pub(crate) fn choose(state: &State, name: &str) -> Result<PoolRecord> {
    let known =
        Netlink::open().and_then(|netlink| netlink.networks()).doing("reading the machine's routes")?;
    let taken: Vec<u32> = state.pools().iter().filter_map(|pool| Some(state.pool(pool)?.slot)).collect();
    for slot in (0..SLOTS).filter(|slot| !taken.contains(slot)) {
        let network = candidate(slot);
        let wanted = Network { address: network, prefix: PREFIX };
        let free = !known.iter().any(|other| other.overlaps(wanted));
        if free && !interface_exists(&uplink(slot)) {
            return Ok(PoolRecord { name: name.to_owned(), slot, network });
        }
    }
    Err(Error::Impossible(
        "every network that the lab could use clashes with a route of this machine".to_owned(),
    ))
}

fn interface_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

fn namespace_path(state: &State, pool: &str) -> PathBuf {
    state.pool_dir(pool).join("net")
}

/// The switch's namespace, if it has been made.
pub(crate) fn open_switch(state: &State, pool: &str) -> Result<File> {
    let path = namespace_path(state, pool);
    File::open(&path).doing_at("opening the switch's namespace", &path)
}

/// Whether what a pool's record promises is really there.
pub(crate) fn usable(state: &State, pool: &PoolRecord) -> bool {
    let mounted =
        rustix::fs::statfs(namespace_path(state, &pool.name)).is_ok_and(|found| found.f_type == NSFS);
    mounted && interface_exists(&uplink(pool.slot))
}

/// Makes the switch and the machine's interface towards it.
pub(crate) fn make_switch(state: &State, pool: &PoolRecord) -> Result<()> {
    let path = namespace_path(state, &pool.name);
    File::create(&path).doing_at("making", &path)?;
    let machine = Netlink::open().doing("opening a routing socket")?;
    let gateway = gateway(pool);
    std::thread::scope(|scope| scope.spawn(|| prepare_switch(&path, gateway)).join())
        .unwrap_or_else(|_| Err(io::Error::other("the thread ended early")))
        .doing("making the lab's switch")?;
    let switch = open_switch(state, &pool.name)?;
    let uplink = uplink(pool.slot);
    (|| {
        machine.add_veth(&uplink, "uplink", switch.as_fd())?;
        machine.add_address(index_of(&uplink)?, controller(pool), PREFIX)?;
        machine.set_up(&uplink, None)
    })()
    .doing("connecting this machine to the lab's switch")?;
    let there = in_namespace(switch.as_fd(), || {
        let netlink = Netlink::open()?;
        netlink.set_up("uplink", Some(index_of(BRIDGE)?))
    });
    there.doing("connecting the lab's switch to this machine")
}

/// Runs in a thread of its own, which stays in the new namespace until it ends.
fn prepare_switch(path: &Path, gateway: Ipv4Addr) -> io::Result<()> {
    sys::unshare(UnshareFlags::NEWNET)?;
    rustix::mount::mount_bind("/proc/thread-self/ns/net", path)?;
    let netlink = Netlink::open()?;
    netlink.set_up("lo", None)?;
    netlink.add_bridge(BRIDGE)?;
    let bridge = index_of(BRIDGE)?;
    netlink.add_address(bridge, gateway, PREFIX)?;
    netlink.set_up(BRIDGE, None)?;
    // With forwarding on and no way out, hosts are told at once that the world cannot be reached.
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")
}

/// Runs `work` in a thread that has entered the given network namespace.
pub(crate) fn in_namespace<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            enter(namespace)?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended early")))
    })
}

fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
        .map_err(io::Error::from)
}

/// An interface's number, read in the caller's network namespace.
fn index_of(name: &str) -> io::Result<u32> {
    let family = rustix::net::AddressFamily::INET;
    let socket = rustix::net::socket(family, rustix::net::SocketType::DGRAM, None)?;
    Ok(rustix::net::netdevice::name_to_index(socket, name)?)
}

/// Puts a pair of interfaces between a host's port and the switch, for a wire process to carry frames across;
/// returns sockets on both sides of the gap.
pub(crate) fn cut(switch: BorrowedFd<'_>, number: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    in_namespace(switch, || {
        let netlink = Netlink::open()?;
        let (near, far) = (format!("near{number}"), format!("far{number}"));
        let here = File::open("/proc/thread-self/ns/net")?;
        netlink.add_veth(&near, &far, here.as_fd())?;
        netlink.set_up(&near, None)?;
        netlink.set_up(&far, Some(index_of(BRIDGE)?))?;
        netlink.set_up(&port(number), Some(0))?;
        Ok((sys::frame_socket(index_of(&port(number))?)?, sys::frame_socket(index_of(&near)?)?))
    })
}

/// Connects a host's port to the switch directly again.
pub(crate) fn join_again(switch: BorrowedFd<'_>, number: u32) -> io::Result<()> {
    in_namespace(switch, || {
        let netlink = Netlink::open()?;
        let _ = netlink.delete_link(&format!("near{number}"));
        netlink.set_up(&port(number), Some(index_of(BRIDGE)?))
    })
}

/// Gives the calling, single-threaded process a network of its own on the switch.
pub(crate) fn join_switch(switch: BorrowedFd<'_>, pool: &PoolRecord, number: u32) -> io::Result<()> {
    enter(switch)?;
    let there = Netlink::open()?;
    let bridge = index_of(BRIDGE)?;
    sys::unshare(UnshareFlags::NEWNET)?;
    let own = File::open("/proc/self/ns/net")?;
    let port = port(number);
    there.add_veth(&port, "eth0", own.as_fd())?;
    there.set_up(&port, Some(bridge))?;
    let here = Netlink::open()?;
    here.set_up("lo", None)?;
    // Of the address itself: who remembers an earlier host of this address does not speak to nobody.
    let [a, b, c, d] = address(pool, number).octets();
    here.set_hardware("eth0", [0x02, 0x74, a, b, c, d])?;
    here.add_address(index_of("eth0")?, address(pool, number), PREFIX)?;
    here.set_up("eth0", None)?;
    here.add_default_route(gateway(pool))
}

/// A network of nothing but `lo`: all that is possible without root.
pub(crate) fn only_loopback() -> io::Result<()> {
    sys::unshare(UnshareFlags::NEWNET)?;
    Netlink::open()?.set_up("lo", None)
}

/// Takes removed hosts off the switch at once; the kernel would do so too, but in its own time.
pub(crate) fn remove_ports(state: &State, pool: &str, numbers: &[u32]) {
    let Ok(switch) = open_switch(state, pool) else { return };
    let _ = in_namespace(switch.as_fd(), || {
        let netlink = Netlink::open()?;
        for number in numbers {
            let _ = netlink.delete_link(&port(*number));
            let _ = netlink.delete_link(&format!("near{number}"));
        }
        Ok(())
    });
}

/// Removes a pool's switch and the machine's interface, whatever of them is there.
pub(crate) fn remove_switch(state: &State, pool: &str) {
    if let Some(record) = state.pool(pool) {
        remove_uplink(&uplink(record.slot));
    }
    let path = namespace_path(state, pool);
    while rustix::mount::unmount(&path, UnmountFlags::DETACH).is_ok() {}
}

fn remove_uplink(name: &str) {
    if interface_exists(name)
        && let Ok(netlink) = Netlink::open()
    {
        let _ = netlink.delete_link(name);
    }
}

/// The machine's lab interfaces that no pool accounts for.
pub(crate) fn orphans(state: &State) -> Vec<String> {
    let known: Vec<String> =
        state.pools().iter().filter_map(|pool| Some(uplink(state.pool(pool)?.slot))).collect();
    let Ok(entries) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| is_uplink(name) && !known.contains(name)).collect()
}

fn is_uplink(name: &str) -> bool {
    name.strip_prefix("thlab").is_some_and(|slot| slot.parse::<u32>().is_ok_and(|slot| slot < SLOTS))
}

pub(crate) fn remove_orphan(name: &str) {
    remove_uplink(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_do_not_overlap_each_other() {
        for slot in 1..SLOTS {
            let before = Network { address: candidate(slot - 1), prefix: PREFIX };
            assert!(!before.overlaps(Network { address: candidate(slot), prefix: PREFIX }), "slot {slot}");
        }
        assert_eq!(candidate(127), Ipv4Addr::new(198, 19, 252, 0));
        assert_eq!(candidate(128), Ipv4Addr::new(10, 212, 0, 0));
    }

    #[test]
    fn the_last_host_still_fits() {
        let pool = PoolRecord { name: "x".to_owned(), slot: 0, network: candidate(0) };
        let last = address(&pool, MOST_HOSTS);
        assert!(last < Ipv4Addr::from_bits(pool.network.to_bits() + 1023));
    }
}
