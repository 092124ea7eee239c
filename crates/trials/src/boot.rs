//! After a power cut the kernel has started anew: its identity is another one.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// What the kernel says of its start.
const IDENTITY: &str = "/proc/sys/kernel/random/boot_id";
const STAT: &str = "/proc/stat";

/// While it lives, this machine seems to have been started anew (for us and our children: the mounts are private).
pub(crate) struct Other;

impl Other {
    pub(crate) fn begin() -> Result<Self> {
        let room = crate::room();
        let identity = room.join("boot_id");
        fs::write(&identity, "00000000-1111-2222-3333-444444444444\n")?;
        mount(&identity, IDENTITY, "", MountFlags::BIND, None).context("another identity of the boot")?;
        // From here on it must be taken back, also on errors.
        let other = Self;
        let soon = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 2;
        let stat = room.join("stat");
        fs::write(&stat, format!("cpu 0 0 0 0\nbtime {soon}\n"))?;
        mount(&stat, STAT, "", MountFlags::BIND, None).context("another time of the boot")?;
        Ok(other)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        for path in [IDENTITY, STAT] {
            // Where it was not mounted, there is nothing to take back.
            _ = unmount(path, UnmountFlags::DETACH);
        }
    }
}
