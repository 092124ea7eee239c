//! The root's own OpenSSH server inside a host, with keys of its own.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::host::{InitKind, LabHost};
use crate::systemd;

const SERVER: &str = "/usr/sbin/sshd";
const CONFIG: &str = "/etc/ssh/sshd_config";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-theseus-lab.conf";

/// Roots stay reachable by key alone; many connections at once are the lab's daily work.
const SETTINGS: &str = "PermitRootLogin prohibit-password\nPubkeyAuthentication yes\nUseDNS no\n\
                        MaxStartups 500:30:1000\nMaxSessions 100\nHostKey /etc/ssh/ssh_host_ed25519_key\n";

/// Whether the base has the server at all.
pub(crate) fn check(base: &Path) -> Result<()> {
    if base.join("usr/sbin/sshd").exists() {
        return Ok(());
    }
    let place = base.display();
    Err(Error::Impossible(format!(
        "a lab host with sshd needs an OpenSSH server in its root, but {place} has no usr/sbin/sshd"
    )))
}

/// Runs in the entered root, before process 1 starts.
pub(crate) fn prepare(kind: InitKind) -> io::Result<()> {
    make_host_key()?;
    configure()?;
    fs::create_dir_all("/run/sshd")?;
    if kind == InitKind::Systemd {
        let unit =
            ["ssh.service", "sshd.service"].into_iter().find(|unit| systemd::unit_file(unit).is_some());
        systemd::enable(unit.ok_or_else(|| io::Error::other("the root has sshd but no unit for it"))?)?;
    }
    Ok(())
}

fn make_host_key() -> io::Result<()> {
    fs::create_dir_all("/etc/ssh")?;
    let made = Command::new("/usr/bin/ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", "/etc/ssh/ssh_host_ed25519_key"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if made.success() { Ok(()) } else { Err(io::Error::other(format!("ssh-keygen ended with {made}"))) }
}

fn configure() -> io::Result<()> {
    let before = fs::read_to_string(CONFIG).unwrap_or_default();
    let includes = before.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("include"))
            && words.any(|word| word.contains("sshd_config.d"))
    });
    if includes && Path::new(DROP_IN).parent().is_some_and(Path::is_dir) {
        return fs::write(DROP_IN, SETTINGS);
    }
    // The first value counts in this file.
    fs::write(CONFIG, format!("{SETTINGS}{before}"))
}

/// Lets a key log in as root, whoever starts a server.
pub(crate) fn authorize(key: &str) -> io::Result<()> {
    let dir = Path::new("/root/.ssh");
    if !dir.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let file = dir.join("authorized_keys");
    fs::write(&file, format!("{}\n", key.trim()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
}

/// Starts the server where no systemd does so.
pub(crate) fn start(host: &LabHost) -> Result<()> {
    host.run(SERVER, &[]).map(drop)
}
