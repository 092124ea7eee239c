//! Without root: what user namespaces allow.

use lab::{Error, HostOptions, InitKind, Lab};

/// What follows runs as a user who is not root.
fn use_the_lab() {
    let lab = Lab::pool(&format!("t{}", std::process::id())).unwrap();
    assert!(Lab::missing().iter().any(|line| line.contains("without root")));
    let host = lab.up(&[HostOptions::new("one")]).unwrap().remove(0);
    assert_eq!(host.init, InitKind::Small);
    assert_eq!(
        host.run("sh", &["-c", "id -u; hostname; echo x >/etc/new; cat /etc/new"]).unwrap(),
        "0\none\nx\n"
    );
    assert_eq!(host.command("sh").args(["-c", "exit 3"]).status().unwrap().code(), Some(3));
    let refused = lab.up(&[HostOptions { sshd: true, ..HostOptions::new("two") }]);
    assert!(matches!(refused, Err(Error::Impossible(_))));
    lab.down_all().unwrap();
    assert!(!host.alive() && lab.list().is_empty());
}

#[test]
#[ignore = "is run by the other test as a process of another user"]
fn without_root() {
    assert!(!rustix::process::geteuid().is_root(), "run by the other test");
    use_the_lab();
}

#[test]
fn without_root_hosts_are_alone_but_work() {
    use std::os::unix::process::CommandExt;
    if std::fs::read_to_string("/proc/sys/kernel/unprivileged_userns_clone").is_ok_and(|on| on.trim() == "0")
    {
        println!(
            "SKIPPED without_root_hosts_are_alone_but_work: this kernel denies user namespaces to users"
        );
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return use_the_lab();
    }
    let copy = std::env::temp_dir().join(format!("lab-suite-{}", std::process::id()));
    // By a program: a descriptor of ours, open for writing, might be in another test's child when this is started.
    let made =
        std::process::Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&copy).status().unwrap();
    assert!(made.success());
    let output = std::process::Command::new(&copy)
        .args(["unprivileged::without_root", "--exact", "--ignored", "--nocapture"])
        .env_remove("XDG_RUNTIME_DIR")
        .current_dir("/")
        .gid(54_321)
        .uid(54_321)
        .output()
        .unwrap();
    std::fs::remove_file(&copy).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
