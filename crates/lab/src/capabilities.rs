//! What we may do here, and what root inside a host may not do, because it would reach the whole machine: modules, clock, raw hardware.

use std::io;

use rustix::thread::CapabilitySet as Set;

const REFUSED: [Set; 11] = [
    Set::SYS_MODULE,
    Set::SYS_RAWIO,
    Set::SYS_PACCT,
    Set::SYS_TIME,
    Set::SYSLOG,
    Set::WAKE_ALARM,
    Set::BLOCK_SUSPEND,
    Set::MAC_ADMIN,
    Set::MAC_OVERRIDE,
    Set::PERFMON,
    Set::BPF,
];

/// Whether we may do all that hosts need: root may lack it, say in a container.
pub(crate) fn privileged() -> bool {
    let needed = Set::SYS_ADMIN | Set::NET_ADMIN | Set::MKNOD | Set::CHOWN;
    let held = rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
    rustix::process::geteuid().is_root() && held
}

/// Takes them from this process's descendants; they go with the next `exec`.
pub(crate) fn restrict() -> io::Result<()> {
    for capability in REFUSED {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // An older kernel does not know it.
            Err(rustix::io::Errno::INVAL) => {}
            done => done?,
        }
    }
    Ok(())
}
