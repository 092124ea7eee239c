//! What the tests share: pools that are removed in the end, and a look for anything left behind.

use std::fs;
use std::path::Path;

use lab::{HostOptions, InitKind, Lab, LabHost};

/// A pool of a test's own; removed when the test ends, however it ends.
pub(crate) struct Pool(pub(crate) Lab);

impl Drop for Pool {
    fn drop(&mut self) {
        if let Err(error) = self.0.down_all() {
            eprintln!("removing the pool {}: {error}", self.0.pool_name());
        }
    }
}

/// None, with the reason printed, where a test cannot run.
pub(crate) fn pool(test: &str) -> Option<Pool> {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED {test}: needs root");
        return None;
    }
    // The process number keeps two runs of the tests apart.
    let name = format!("t{}-{test}", std::process::id());
    Some(Pool(Lab::pool(&name).unwrap()))
}

pub(crate) fn small(name: &str) -> HostOptions {
    HostOptions { init: InitKind::Small, ..HostOptions::new(name) }
}

pub(crate) fn one(pool: &Pool, options: HostOptions) -> LabHost {
    pool.0.up(&[options]).unwrap().remove(0)
}

/// Everything of the pool that can be found on the machine.
pub(crate) fn traces(pool: &str) -> Vec<String> {
    let mut found = Vec::new();
    if Path::new("/run/theseus-lab").join(pool).exists() {
        found.push("its state".to_owned());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(mounts.lines().filter(|line| line.contains(pool)).map(str::to_owned));
    for hierarchy in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"] {
        let groups = fs::read_dir(Path::new(hierarchy).join("theseus-lab")).into_iter().flatten().flatten();
        let names = groups.map(|group| group.path().display().to_string());
        found.extend(names.filter(|name| name.contains(pool)));
    }
    for device in fs::read_dir("/sys/block").unwrap().flatten() {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        if file.contains(pool) {
            found.push(file);
        }
    }
    found
}

/// The machine's interface with this address, if there is one: it must not outlive the pool.
pub(crate) fn has_address(address: std::net::Ipv4Addr) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_ok()
}
