//! Prepares a root for systemd as process 1 of a host, and waits until it has started.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};
use crate::host::LabHost;

/// Units without sense in a namespace, or that would act by themselves in the middle of somebody's test.
/// Masked in /run only, so that the host's own files show nothing of it.
const MASKED: [&str; 52] = [
    "ModemManager.service",
    "NetworkManager-wait-online.service",
    "NetworkManager.service",
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-local.service",
    "cloud-init.service",
    "connman.service",
    "console-getty.service",
    "console-setup.service",
    "dev-hugepages.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "iscsid.service",
    "keyboard-setup.service",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "logrotate.timer",
    "lvm2-lvmpolld.socket",
    "lvm2-monitor.service",
    "man-db.timer",
    "motd-news.timer",
    "multipathd.service",
    "networking.service",
    "open-iscsi.service",
    "proc-sys-fs-binfmt_misc.automount",
    "snapd.seeded.service",
    "snapd.service",
    "snapd.socket",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-pstore.service",
    "systemd-remount-fs.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "unattended-upgrades.service",
];
const MASKED_SOCKETS: [&str; 2] = ["systemd-udevd-control.socket", "systemd-udevd-kernel.socket"];

const UNITS: &str = "/etc/systemd/system";

/// Runs in the entered root, before systemd starts.
pub(crate) fn prepare(own_root: bool) -> io::Result<()> {
    let runtime = Path::new("/run/systemd/system");
    fs::create_dir_all(runtime)?;
    for unit in MASKED.iter().chain(&MASKED_SOCKETS) {
        symlink("/dev/null", runtime.join(unit))?;
    }
    if own_root {
        forget_enabled();
        // Where the machine is a container, this keeps packages from starting their services; here they may.
        let _ = fs::remove_file("/usr/sbin/policy-rc.d");
    }
    Ok(())
}

/// The machine's own services (databases, container engines, jobs) are not started a second time; they are
/// there, disabled, for a playbook to enable.
fn forget_enabled() {
    for entry in fs::read_dir(UNITS).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".wants") || name.ends_with(".requires") {
            for link in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                let _ = fs::remove_file(link.path());
            }
        }
    }
}

/// Lets a unit start with the host, as `systemctl enable` would.
pub(crate) fn enable(unit: &str) -> io::Result<()> {
    let wants = Path::new(UNITS).join("multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    let link = wants.join(unit);
    let Some(file) = unit_file(unit) else { return Err(io::ErrorKind::NotFound.into()) };
    match symlink(file, link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

pub(crate) fn unit_file(unit: &str) -> Option<String> {
    let places = ["/lib/systemd/system", "/usr/lib/systemd/system", UNITS];
    places.iter().map(|place| format!("{place}/{unit}")).find(|path| Path::new(path).exists())
}

/// Waits until systemd has started everything; tells which units failed.
pub(crate) fn wait_started(host: &LabHost, deadline: Instant) -> Result<Vec<String>> {
    loop {
        let mut command = host.command("systemctl");
        command.args(["is-system-running", "--wait"]).stdin(Stdio::null());
        let output = command.output().doing(format!("asking systemd of host {}", host.name))?;
        match String::from_utf8_lossy(&output.stdout).trim() {
            "running" => return Ok(Vec::new()),
            "degraded" => {
                let list = host.run("systemctl", &["list-units", "--failed", "--plain", "--no-legend"])?;
                let units: Vec<&str> =
                    list.lines().filter_map(|line| line.split_whitespace().next()).collect();
                return Ok(vec![format!("units failed to start: {}", units.join(", "))]);
            }
            state if Instant::now() > deadline => {
                let reason = format!("systemd did not finish starting (it says {state:?})");
                return Err(Error::Birth { name: host.name.clone(), reason });
            }
            _ if !host.alive() => {
                let reason = "its systemd has ended".to_owned();
                return Err(Error::Birth { name: host.name.clone(), reason });
            }
            _ => std::thread::sleep(Duration::from_millis(15)),
        }
    }
}
