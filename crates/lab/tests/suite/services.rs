//! Real systemd and real sshd inside hosts.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use lab::{HostOptions, InitKind};

use crate::support::{one, pool};

const UNIT: &[u8] = b"[Unit]\nDescription=Test\n[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n";

fn has_systemd(test: &str) -> bool {
    let there = Path::new("/lib/systemd/systemd").exists();
    if !there {
        println!("SKIPPED {test}: this machine's root has no systemd");
    }
    there
}

#[test]
fn systemd_starts_restarts_enables_and_stops_a_service() {
    let Some(pool) = pool("systemd").filter(|_| has_systemd("systemd")) else { return };
    let start = Instant::now();
    let host = one(&pool, HostOptions { init: InitKind::Systemd, ..HostOptions::new("one") });
    println!("a host with systemd is up in {:?}", start.elapsed());
    assert_eq!((host.init, host.notes.as_slice()), (InitKind::Systemd, [].as_slice()));
    assert_eq!(host.run("systemctl", &["is-system-running"]).unwrap(), "running\n");
    host.copy_in("/etc/systemd/system/napper.service", UNIT, 0o644).unwrap();
    host.run("systemctl", &["daemon-reload"]).unwrap();
    let main_pid = || host.run("systemctl", &["show", "-P", "MainPID", "napper"]).unwrap();
    host.run("systemctl", &["enable", "--now", "napper"]).unwrap();
    let first = main_pid();
    assert_ne!(first, "0\n");
    host.run("systemctl", &["restart", "napper"]).unwrap();
    let second = main_pid();
    assert!(second != first && second != "0\n");
    // Its place in the control groups is what systemd finds its processes by.
    let group = host.run("sh", &["-c", &format!("cat /proc/{}/cgroup", second.trim())]).unwrap();
    assert!(group.contains("/system.slice/napper.service"), "{group}");
    host.run("systemctl", &["stop", "napper"]).unwrap();
    assert_eq!(main_pid(), "0\n");
    let journal = host.run("journalctl", &["-u", "napper", "--no-pager"]).unwrap();
    assert!(journal.contains("Started napper.service"), "{journal}");
}

#[test]
fn two_hosts_with_systemd_have_services_of_their_own() {
    let Some(pool) = pool("apart-sd").filter(|_| has_systemd("apart-sd")) else { return };
    let hosts = pool.0.up(&[HostOptions::new("one"), HostOptions::new("two")]).unwrap();
    for host in &hosts {
        host.copy_in("/etc/systemd/system/napper.service", UNIT, 0o644).unwrap();
        host.run("systemctl", &["daemon-reload"]).unwrap();
        host.run("systemctl", &["start", "napper"]).unwrap();
    }
    hosts[0].run("systemctl", &["kill", "-s", "KILL", "napper"]).unwrap();
    assert_eq!(hosts[1].run("systemctl", &["is-active", "napper"]).unwrap(), "active\n");
}

fn log_in(init: InitKind, test: &str) {
    let Some(pool) = pool(test) else { return };
    if !Path::new("/usr/sbin/sshd").exists() || !Path::new("/usr/bin/ssh").exists() {
        let error = pool.0.up(&[HostOptions { sshd: true, ..HostOptions::new("one") }]);
        assert!(error.is_err() || Path::new("/usr/sbin/sshd").exists());
        println!("SKIPPED {test}: no OpenSSH server and client on this machine");
        return;
    }
    let dir = std::env::temp_dir().join(format!("lab-key-{}-{test}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let key = dir.join("key");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    let authorized_key = Some(std::fs::read_to_string(key.with_extension("pub")).unwrap());
    let host = one(&pool, HostOptions { init, sshd: true, authorized_key, ..HostOptions::new("one") });
    assert_eq!(host.ssh_port, Some(22));
    let output = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-i"])
        .arg(&key)
        .arg(format!("root@{}", host.address))
        .args(["hostname; cat /etc/ssh/ssh_host_ed25519_key.pub"])
        .output()
        .unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("one\nssh-ed25519 "), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let machine = std::fs::read_to_string("/etc/ssh/ssh_host_ed25519_key.pub").unwrap_or_default();
    assert_ne!(said.lines().nth(1), machine.lines().next());
}

#[test]
fn sshd_lets_the_key_in_under_systemd() {
    if has_systemd("ssh-systemd") {
        log_in(InitKind::Systemd, "ssh-systemd");
    }
}

#[test]
fn sshd_lets_the_key_in_under_the_small_init() {
    log_in(InitKind::Small, "ssh-small");
}
