//! Installs what the tests need: Debian packages (as root) and the real ansible-core in a virtual environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{base, shell};

/// What hosts of the lab need (they are clones of this machine's root), and what makes the environment.
const PACKAGES: &[&str] = &[
    "acl",
    "attr",
    "busybox-static",
    "createrepo-c",
    "cron",
    "curl",
    "debootstrap",
    "docker-registry",
    "docker.io",
    "dosfstools",
    "e2fsprogs",
    "fish",
    "gdisk",
    "git",
    "haproxy",
    "iproute2",
    "locales",
    "nginx-light",
    "openssh-client",
    "openssh-server",
    "openssl",
    "postgresql",
    "python3",
    "python3-apt",
    "python3-venv",
    "rpm",
    "rsync",
    "ruby",
    "sudo",
    "systemd-sysv",
    "tcsh",
    "unzip",
    "xfsprogs",
    "xz-utils",
    "zip",
    "zypper",
];

/// The reference that Theseus is compared with, what some of its filters need, and its fast rival for the bench.
const PYTHON: &[&str] = &["ansible-core==2.19.*", "passlib", "mitogen"];

/// ansible 12 is ansible-core 2.19 with its collections.
const PYTHON_WITH_COLLECTIONS: &[&str] = &["ansible==12.*", "passlib", "netaddr", "jmespath"];

const POLICY: &str = "/usr/sbin/policy-rc.d";

pub(crate) fn run() -> Result<()> {
    packages()?;
    oracle()?;
    if shell::is_root() {
        base::directory()?;
    }
    Ok(())
}

/// The directory of the real ansible-core's programs, made when it is missing.
pub(crate) fn oracle() -> Result<PathBuf> {
    environment("oracle", PYTHON)
}

/// The same with the collections that public roles use.
pub(crate) fn oracle_with_collections() -> Result<PathBuf> {
    environment("oracle-full", PYTHON_WITH_COLLECTIONS)
}

/// The folder that has their `ansible_collections`.
pub(crate) fn collections() -> Result<PathBuf> {
    let libraries = oracle_with_collections()?.with_file_name("lib");
    for entry in fs::read_dir(&libraries)? {
        let packages = entry?.path().join("site-packages");
        if packages.join("ansible_collections").is_dir() {
            return Ok(packages);
        }
    }
    bail!("no collections below {}", libraries.display())
}

/// A virtual environment of Python in which these are installed.
fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let place = shell::target()?.join(name);
    let stamp = place.join("installed");
    let wanted = packages.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(place.join("bin"));
    }
    println!("installing {} into {}", packages.join(", "), place.display());
    shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
    shell::run(
        Command::new(place.join("bin/python")).args(["-m", "pip", "install", "--quiet"]).args(packages),
    )?;
    fs::write(stamp, wanted)?;
    Ok(place.join("bin"))
}

/// Installs the missing packages, or says which are missing where that is not possible.
fn packages() -> Result<()> {
    if !shell::has_program("dpkg-query") {
        println!("not a Debian system: the tests that need these are skipped: {}", PACKAGES.join(" "));
        return Ok(());
    }
    let missing: Vec<_> = PACKAGES.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !shell::is_root() {
        println!("missing, and only root can install: {}", missing.join(" "));
        return Ok(());
    }
    println!("installing Debian packages: {}", missing.join(" "));
    let _guard = NoDaemons::new()?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    };
    shell::run(apt().args(["update", "-q"]))?;
    shell::run(apt().args(["install", "-q", "-y", "--no-install-recommends"]).args(&missing))?;
    let still: Vec<_> = missing.into_iter().filter(|name| !installed(name)).collect();
    if !still.is_empty() {
        bail!("apt-get did not install {}", still.join(" "));
    }
    Ok(())
}

fn installed(package: &str) -> bool {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    output.is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

/// While it lives, no package may start a daemon on this machine.
struct NoDaemons {
    before: Option<Vec<u8>>,
}

impl NoDaemons {
    fn new() -> Result<Self> {
        let before = fs::read(POLICY).ok();
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Self { before })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        let put_back = match &self.before {
            Some(before) => fs::write(POLICY, before),
            None => fs::remove_file(Path::new(POLICY)),
        };
        if let Err(error) = put_back {
            eprintln!("{POLICY} could not be put back: {error}");
        }
    }
}
