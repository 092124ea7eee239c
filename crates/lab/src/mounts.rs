//! What a host finds at /proc, /sys, /dev and /run. The machine's own settings there stay out of its reach.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::MountFlags;

use crate::cgroup::Layout;

const DEVICES: [(&str, u32, u32); 8] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("net/tun", 10, 200),
    ("fuse", 10, 229),
];

/// Files of /proc that reach the whole machine.
const GUARDED: [&str; 4] = ["sysrq-trigger", "kmsg", "kcore", "kallsyms"];

/// Mounts everything below `root`; runs as process 1 of the new pid namespace, before the root is entered.
pub(crate) fn mount_all(root: &Path, privileged: bool, groups: Option<&Layout>) -> io::Result<()> {
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    mount_kernel(root, quiet, groups)?;
    let run = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", root.join("run"), "tmpfs", run, c"mode=0755")?;
    fs::create_dir(root.join("run/lock"))?;
    fs::set_permissions(root.join("run/lock"), fs::Permissions::from_mode(0o1777))?;
    fill_dev(&root.join("dev"), privileged)
}

/// The same for a root whose /run and /tmp are its own and stay, as while an image is made.
pub(crate) fn mount_few(root: &Path) -> io::Result<()> {
    mount_kernel(root, MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV, None)?;
    fill_dev(&root.join("dev"), true)
}

fn mount_kernel(root: &Path, quiet: MountFlags, groups: Option<&Layout>) -> io::Result<()> {
    for name in ["proc", "sys", "dev", "run", "tmp"] {
        let place = root.join(name);
        if !place.is_dir() {
            fs::create_dir(&place)?;
        }
    }
    rustix::mount::mount("proc", root.join("proc"), "proc", quiet, None::<&CStr>)?;
    guard_proc(&root.join("proc"), quiet)?;
    mount_sys(&root.join("sys"), quiet, groups)
}

/// Makes the machine-wide settings read-only; those of the host's own network stay writable.
fn guard_proc(proc: &Path, quiet: MountFlags) -> io::Result<()> {
    let (settings, network) = (proc.join("sys"), proc.join("sys/net"));
    rustix::mount::mount_bind(&settings, &settings)?;
    rustix::mount::mount_bind(&network, &network)?;
    let read_only = MountFlags::BIND | MountFlags::RDONLY | quiet;
    rustix::mount::mount_remount(&settings, read_only, c"")?;
    for name in GUARDED {
        let file = proc.join(name);
        if file.exists() {
            rustix::mount::mount_bind("/dev/null", &file)?;
            // A reader of the kernel's messages that is told of an end at once would ask again, and again: it is refused.
            if name == "kmsg" {
                rustix::mount::mount_remount(&file, MountFlags::BIND | quiet, c"")?;
            }
        }
    }
    Ok(())
}

fn mount_sys(sys: &Path, quiet: MountFlags, groups: Option<&Layout>) -> io::Result<()> {
    let read_only = quiet | MountFlags::RDONLY;
    if rustix::mount::mount("sysfs", sys, "sysfs", read_only, None::<&CStr>).is_err() {
        // Some kernels refuse a new sysfs without root; an empty directory is then the honest answer.
        rustix::mount::mount("tmpfs", sys, "tmpfs", quiet, c"mode=0755")?;
    }
    let Some(groups) = groups else { return Ok(()) };
    let top = sys.join("fs/cgroup");
    let Some(named) = &groups.named else {
        rustix::mount::mount("cgroup2", &top, "cgroup2", quiet, None::<&CStr>)?;
        return Ok(());
    };
    debug_assert!(named.is_absolute());
    rustix::mount::mount("tmpfs", &top, "tmpfs", quiet, c"mode=0755")?;
    fs::create_dir(top.join("systemd"))?;
    rustix::mount::mount("cgroup", top.join("systemd"), "cgroup", quiet, c"none,name=systemd,xattr")?;
    if groups.unified.is_some() {
        fs::create_dir(top.join("unified"))?;
        rustix::mount::mount("cgroup2", top.join("unified"), "cgroup2", quiet, None::<&CStr>)?;
    }
    Ok(())
}

fn fill_dev(dev: &Path, privileged: bool) -> io::Result<()> {
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount("tmpfs", dev, "tmpfs", MountFlags::NOSUID, c"mode=0755")?;
    for name in ["pts", "shm", "mqueue", "net"] {
        fs::create_dir(dev.join(name))?;
    }
    for (name, major, minor) in DEVICES {
        add_device(dev, name, rustix::fs::makedev(major, minor), privileged)?;
    }
    // Group 5 is the terminals' group on all common distributions; without root it is not ours to give.
    let terminals = if privileged {
        c"newinstance,ptmxmode=0666,mode=620,gid=5"
    } else {
        c"newinstance,ptmxmode=0666,mode=620"
    };
    rustix::mount::mount("devpts", dev.join("pts"), "devpts", quiet, terminals)?;
    rustix::mount::mount(
        "tmpfs",
        dev.join("shm"),
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        c"mode=1777",
    )?;
    rustix::mount::mount("mqueue", dev.join("mqueue"), "mqueue", quiet | MountFlags::NODEV, None::<&CStr>)?;
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name))?;
    }
    Ok(())
}

/// A device node, or the machine's own bound in where nodes may not be made.
fn add_device(dev: &Path, name: &str, number: u64, privileged: bool) -> io::Result<()> {
    let place = dev.join(name);
    if privileged {
        rustix::fs::mknodat(CWD, &place, FileType::CharacterDevice, Mode::from_raw_mode(0o666), number)?;
        return fs::set_permissions(&place, fs::Permissions::from_mode(0o666));
    }
    let own = Path::new("/dev").join(name);
    if own.exists() {
        File::create(&place)?;
        rustix::mount::mount_bind(&own, &place)?;
    }
    Ok(())
}
