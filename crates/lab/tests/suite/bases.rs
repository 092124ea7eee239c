//! Hosts on a given root file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::{HostOptions, InitKind};

use crate::support::{one, pool, traces};

/// A root with nothing but a few programs and their libraries. Its path has characters that mount options use.
fn tiny_base(test: &str) -> PathBuf {
    let base = std::env::temp_dir().join(format!("lab base,x:y\\z {} {test}", std::process::id()));
    for program in ["/bin/bash", "/bin/cat", "/bin/hostname", "/bin/mkdir"] {
        copy(program, &base);
        let output = Command::new("ldd").arg(program).output().unwrap();
        for word in
            String::from_utf8_lossy(&output.stdout).split_whitespace().filter(|word| word.starts_with('/'))
        {
            copy(word, &base);
        }
    }
    fs::create_dir_all(base.join("root")).unwrap();
    fs::write(base.join("marker"), "given base\n").unwrap();
    base
}

fn copy(file: &str, base: &Path) {
    let place = base.join(file.trim_start_matches('/'));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::copy(file, &place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_given_base_without_anything_gets_the_small_init() {
    let Some(pool) = pool("base") else { return };
    let base = tiny_base("base");
    let host = one(&pool, HostOptions { base: Some(base.clone()), ..HostOptions::new("tiny") });
    assert_eq!(host.init, InitKind::Small);
    assert_eq!(host.run("/bin/cat", &["/marker", "/etc/hostname"]).unwrap(), "given base\ntiny\n");
    host.run("/bin/bash", &["-c", "echo changed >/marker; echo x >/dev/null; [ -e /proc/1/comm ]"]).unwrap();
    assert_eq!(fs::read_to_string(base.join("marker")).unwrap(), "given base\n");
    assert!(!base.join("etc/hostname").exists() && !base.join("proc").exists());

    let refused = |options: HostOptions| pool.0.up(&[options]).unwrap_err().to_string();
    let with = |init, sshd| HostOptions { base: Some(base.clone()), init, sshd, ..HostOptions::new("more") };
    assert!(refused(with(InitKind::Systemd, false)).contains("its root has no systemd"));
    assert!(refused(with(InitKind::Auto, true)).contains("has no usr/sbin/sshd"));
    let name = pool.0.pool_name().to_owned();
    drop(pool);
    assert_eq!(traces(&name), Vec::<String>::new());
    fs::remove_dir_all(base).unwrap();
}

#[test]
fn an_empty_base_is_enough_for_a_static_program() {
    let Some(pool) = pool("empty") else { return };
    let base = std::env::temp_dir().join(format!("lab-empty-{}", std::process::id()));
    fs::create_dir_all(&base).unwrap();
    let host = one(&pool, HostOptions { base: Some(base.clone()), ..HostOptions::new("bare") });
    host.copy_in("/etc/note", b"there", 0o640).unwrap();
    assert_eq!(host.read("/etc/note").unwrap(), b"there");
    assert_eq!(host.command("sh").status().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(fs::read_dir(&base).unwrap().count(), 0);
    fs::remove_dir(&base).unwrap();
}
