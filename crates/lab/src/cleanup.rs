//! Taking hosts and pools away again, whatever state a crash has left them in.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::capabilities;
use crate::cgroup::Layout;
use crate::disk;
use crate::error::{Doing, Error, Result};
use crate::network;
use crate::state::{HostRecord, Lock, Process, State};

const PATIENCE: Duration = Duration::from_secs(10);

/// Something that is left of a host or pool without a record of it, or a host that nobody looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// `pool/name` of a host, or what the thing is.
    pub what: String,
    pub reason: String,
}

fn layout() -> Layout {
    if capabilities::privileged() { Layout::of_machine() } else { Layout::default() }
}

fn id(host: &HostRecord) -> String {
    format!("{}.{}", host.pool, host.name)
}

/// Removes the given hosts, and their pool with the last one. The lock must be held.
pub(crate) fn remove_hosts(state: &State, pool: &str, hosts: &[HostRecord], _lock: &Lock) -> Result<()> {
    let layout = layout();
    let handles: Vec<_> = hosts.iter().map(|host| host.init.and_then(|init| init.open().ok())).collect();
    for handle in handles.iter().flatten() {
        let _ = rustix::process::pidfd_send_signal(handle, Signal::KILL);
    }
    hosts.iter().for_each(|host| layout.kill(&id(host)));
    for (host, handle) in hosts.iter().zip(&handles) {
        if let Some(handle) = handle {
            wait_end(handle, &host.name)?;
        }
        layout.remove(&id(host)).doing(format!("removing the control groups of host {}", host.name))?;
    }
    let ids: Vec<String> = hosts.iter().map(id).collect();
    // Without privileges there are no disks; one of that name is somebody else's, whose host has the same name.
    if capabilities::privileged() {
        wait_disks(&ids)?;
    }
    let numbers: Vec<u32> = hosts.iter().map(|host| host.number).collect();
    let gone = |host: &HostRecord| hosts.iter().any(|removed| removed.name == host.name);
    let last = state.hosts(pool).iter().all(gone);
    if !last {
        network::remove_ports(state, pool, &numbers);
    }
    hosts.iter().try_for_each(|host| state.forget_host(pool, &host.name))?;
    if last {
        remove_pool(state, pool)?;
        layout.remove_parent();
        state.forget_if_empty();
    }
    Ok(())
}

fn remove_pool(state: &State, pool: &str) -> Result<()> {
    network::remove_switch(state, pool);
    state.forget_pool(pool)
}

fn wait_end(handle: &std::os::fd::OwnedFd, name: &str) -> Result<()> {
    let limit = Timespec::try_from(PATIENCE).ok();
    let mut events = [PollFd::new(handle, PollFlags::IN)];
    let ended =
        rustix::io::retry_on_intr(|| poll(&mut events, limit.as_ref())).doing("waiting for a host's end")?;
    if ended == 0 {
        return Err(Error::Impossible(format!("host {name} does not end although it was killed")));
    }
    Ok(())
}

/// The kernel frees the disks a moment after the last process.
fn wait_disks(ids: &[String]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let attached = disk::attached();
        let Some(held) = ids.iter().find(|id| attached.iter().any(|(host, _)| host == *id)) else {
            return Ok(());
        };
        if Instant::now() > deadline {
            return Err(Error::Impossible(format!(
                "the disk of {held} is still in use: some process of the machine entered it"
            )));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Removes a tied host if it still is the very one; used when its owner has ended.
pub(crate) fn remove_if_same(state: &State, pool: &str, name: &str, init: Process) -> Result<()> {
    let lock = state.lock()?;
    match state.host(pool, name) {
        Some(host) if host.init == Some(init) => remove_hosts(state, pool, &[host], &lock),
        _ => Ok(()),
    }
}

/// Everything of the lab that has no record.
pub(crate) fn orphans(state: &State) -> Vec<Stray> {
    if !capabilities::privileged() {
        return Vec::new();
    }
    let stray =
        |what: String| Stray { what, reason: "nothing is known of a host or pool it belongs to".to_owned() };
    let groups = orphan_groups(state).into_iter().map(|id| stray(format!("control group {id}")));
    let links = network::orphans(state).into_iter().map(|name| stray(format!("network interface {name}")));
    groups.chain(links).collect()
}

fn orphan_groups(state: &State) -> Vec<String> {
    let pools = state.pools();
    let known: Vec<String> = pools.iter().flat_map(|pool| state.hosts(pool)).map(|host| id(&host)).collect();
    layout().hosts().into_iter().filter(|group| !known.contains(group)).collect()
}

/// Removes everything without a record. The lock must be held.
pub(crate) fn remove_orphans(state: &State, _lock: &Lock) -> Result<()> {
    if !capabilities::privileged() {
        return Ok(());
    }
    let layout = layout();
    for group in orphan_groups(state) {
        layout.kill(&group);
        layout.remove(&group).doing(format!("removing the control group {group}"))?;
    }
    network::orphans(state).iter().for_each(|name| network::remove_orphan(name));
    layout.remove_parent();
    Ok(())
}
