//! Layers, as people meet them: shown, compared, put back; on failure, by the guard, after a crash.

use std::time::{Duration, Instant};

use lab::{HostOptions, InitKind, Lab, LabHost};

use crate::common::{Ended, Project, lab_is_possible};

/// A host of a pool of its own, and a project that reaches it.
pub(crate) struct Ground {
    lab: Lab,
    pub(crate) host: LabHost,
    pub(crate) project: Project,
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.lab.down_all();
    }
}

impl Ground {
    fn new(name: &str, options: HostOptions, site: &str) -> Self {
        let pool = format!("{name}{}", std::process::id());
        let lab = Lab::pool(&pool).unwrap();
        let host = lab.up(&[HostOptions { tied: true, ..options }]).unwrap().remove(0);
        host.wait_ready(Duration::from_secs(60)).unwrap();
        let inventory = format!("one ansible_connection=lab theseus_lab_pool={pool}\n");
        let project = Project::new(&[
            ("hosts", &inventory),
            ("ansible.cfg", "[defaults]\ninventory = hosts\n"),
            ("site.yml", site),
        ]);
        Self { lab, host, project }
    }

    pub(crate) fn small(name: &str, site: &str) -> Self {
        Self::new(name, HostOptions { init: InitKind::Small, ..HostOptions::new("one") }, site)
    }

    pub(crate) fn apply(&self, more: &[&str]) -> Ended {
        self.project.run(&[&["apply", "site.yml"], more].concat())
    }

    pub(crate) fn tree(&self) -> String {
        let look = "find /etc /opt/new /home -xdev -printf '%p %y %m %U %G %l %s %t\\n' 2>/dev/null; \
                    find /etc /opt/new /home -xdev -type f -exec sha256sum {} + 2>/dev/null; true";
        self.host.run("sh", &["-c", look]).unwrap()
    }
}

const SITE: &str = "- hosts: all
  gather_facts: false
  tasks:
    - name: message
      copy: {dest: /etc/motd, content: \"new\\n\", mode: '0600'}
    - name: folder
      file: {path: /opt/new/deep, state: directory}
    - name: secret
      copy: {dest: /opt/new/secret, content: \"hunter2\\n\"}
      no_log: true
    - name: by hand
      shell: |
        echo one >/opt/new/a; ln /opt/new/a /opt/new/b; ln -s a /opt/new/c
        mv /etc/issue /etc/issue.old; chmod 700 /etc/issue.net; mkfifo /opt/new/p
        echo more >>/etc/hosts
";

#[test]
fn what_was_done_is_shown_and_taken_back() {
    if !lab_is_possible("what_was_done_is_shown_and_taken_back") {
        return;
    }
    let ground = Ground::small("show", SITE);
    ground
        .host
        .run("sh", &["-c", "echo old >/etc/motd; echo is >/etc/issue; echo net >/etc/issue.net"])
        .unwrap();
    let before = ground.tree();
    ground.apply(&[]).fine();
    let after = ground.tree();
    assert_ne!(before, after);

    let shown = ground.project.run(&["show", "one", "1"]).fine();
    for words in [
        "message",
        "by hand",
        "-old",
        "+new",
        "/opt/new/b",
        "link to a",
        "removed  /etc/issue",
        "+more",
        "is secret",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    let record = ground.host.run("sh", &["-c", "grep -rc hunter2 /var/lib/theseus || true"]).unwrap();
    assert!(record.lines().all(|line| line.ends_with(":0")), "{record}");

    let lines = ground.project.run(&["show", "one", "1", "--output", "json"]).fine();
    let all: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let motd = all.iter().find(|line| line["path"] == "/etc/motd").unwrap();
    assert_eq!(
        (&motd["event"], &motd["kind"], &motd["host"]),
        (&"change".into(), &"changed".into(), &"one".into())
    );
    assert!(
        motd["at"].is_string()
            && motd["declared"] == true
            && motd["cause"].as_str().unwrap().contains("message"),
        "{motd}"
    );

    let only = ground.project.run(&["rollback", "one", "-C"]).fine();
    assert!(only.contains("/etc/motd") && only.contains("would be put back"), "{only}");
    assert_eq!(ground.tree(), after);
    ground.project.run(&["rollback", "one"]).fine();
    assert_eq!(ground.tree(), before);
    // And an undo is undone.
    ground.project.run(&["rollback", "one", "--to", "1"]).fine();
    assert_eq!(ground.tree(), after);
    let compared = ground.project.run(&["diff", "one@1", "one"]).fine();
    assert!(compared.contains("no difference"), "{compared}");
    let compared = ground.project.run(&["diff", "one@0", "one@1", "--exit-code"]);
    assert!(compared.code == 2 && compared.out.contains("/etc/motd"), "{}", compared.shown());
    let store = ground.project.run(&["store", "one", "--check"]).fine();
    assert!(store.contains("every object is what its digest says"), "{store}");
    assert_eq!(ground.project.run(&["show", "one", "77"]).code, 2);
}

#[test]
fn what_somebody_changed_since_is_not_overwritten() {
    if !lab_is_possible("what_somebody_changed_since_is_not_overwritten") {
        return;
    }
    let ground = Ground::small("since", SITE);
    ground.apply(&[]).fine();
    ground.host.run("sh", &["-c", "echo hotfix >/etc/motd"]).unwrap();
    let now = ground.tree();
    let refused = ground.project.run(&["rollback", "one"]);
    assert!(refused.code == 2 && refused.out.contains("/etc/motd"), "{}", refused.shown());
    assert_eq!(ground.tree(), now);
    ground.project.run(&["rollback", "one", "--path", "/opt/new"]).fine();
    assert!(ground.host.run("sh", &["-c", "test ! -e /opt/new && cat /etc/motd"]).unwrap() == "hotfix\n");
    ground.project.run(&["rollback", "one", "--to", "0", "--force"]).fine();
    assert_ne!(ground.host.read("/etc/motd").unwrap_or_default(), b"hotfix\n");
}

#[test]
fn on_failure_the_host_goes_back() {
    if !lab_is_possible("on_failure_the_host_goes_back") {
        return;
    }
    let site = format!("{SITE}    - name: breaks\n      command: \"false\"\n");
    let ground = Ground::small("fail", &site);
    let before = ground.tree();
    let ended = ground.apply(&["--on-failure", "rollback"]);
    assert!(ended.code == 2 && ended.out.contains("put back as generation 0"), "{}", ended.shown());
    assert_eq!(ground.tree(), before);
    // Health checks after the run count as well, and the file may say it.
    ground.project.write("site.yml", SITE);
    ground.project.write(
        "theseus.yml",
        "apply:\n  on_failure: rollback\nhealth:\n  - name: never healthy\n    command: \"false\"\n",
    );
    let ended = ground.apply(&[]);
    assert!(
        ended.code == 2 && ended.out.contains("never healthy") && ended.out.contains("put back"),
        "{}",
        ended.shown()
    );
    assert_eq!(ground.tree(), before);
    ground.project.write("theseus.yml", "apply:\n  on_failure: perhaps\n");
    let wrong = ground.apply(&[]);
    assert!(wrong.code == 1 && wrong.err.contains("theseus.yml:2:15"), "{}", wrong.shown());
}

#[test]
fn after_a_crash_the_next_contact_puts_back() {
    if !lab_is_possible("after_a_crash_the_next_contact_puts_back") {
        return;
    }
    let site = format!("{SITE}    - name: crash\n      shell: echo half >/etc/motd; kill -9 $PPID\n");
    let ground = Ground::small("crash", &site);
    let before = ground.tree();
    assert_eq!(ground.apply(&[]).code, 4);
    assert_ne!(ground.tree(), before);
    let ended = ground.project.run(&["recover", "one"]);
    assert!(ended.code == 0 && ended.err.contains("put back"), "{}", ended.shown());
    assert_eq!(ground.tree(), before);
}

#[test]
fn a_record_that_cannot_be_closed_is_no_success() {
    if !lab_is_possible("a_record_that_cannot_be_closed_is_no_success") {
        return;
    }
    let read_only = "mount -t tmpfs -o ro none /var/lib/theseus/layers";
    let site = format!("{SITE}    - name: in the way\n      shell: {read_only}\n");
    let ground = Ground::small("open", &site);
    ground.host.run("mkdir", &["-p", "-m", "700", "/var/lib/theseus/layers"]).unwrap();
    let before = ground.tree();
    let ended = ground.apply(&[]);
    assert!(ended.code == 4 && ended.err.contains("puts back what this run changed"), "{}", ended.shown());
    ground.host.run("umount", &["/var/lib/theseus/layers"]).unwrap();
    ground.project.run(&["recover", "one"]).fine();
    assert_eq!(ground.tree(), before);
}

#[test]
fn only_so_much_history_is_kept() {
    if !lab_is_possible("only_so_much_history_is_kept") {
        return;
    }
    let site = "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {dest: /etc/count, content: \"{{ number }}\\n\"}\n";
    let ground = Ground::small("keep", site);
    ground.project.write("theseus.yml", "history:\n  keep: 3 generations\n");
    for number in 1..=5 {
        ground.apply(&["-e", &format!("number={number}")]).fine();
    }
    let store = ground.project.run(&["store", "one"]).fine();
    assert!(store.contains("one: 3 generations"), "{store}");
    // Back as far as the history goes, and no further.
    ground.project.run(&["rollback", "one", "--to", "2"]).fine();
    assert_eq!(ground.host.read("/etc/count").unwrap(), b"2\n");
    assert_eq!(ground.project.run(&["rollback", "one", "--to", "1"]).code, 2);
    assert_eq!(ground.project.run(&["store", "one", "--prune", "forever"]).code, 5);
}

/// With a real systemd: what ran runs again, what was started is stopped, users go.
#[test]
fn services_and_users_are_put_back() {
    if !lab_is_possible("services_and_users_are_put_back") {
        return;
    }
    let site = "- hosts: all
  gather_facts: false
  tasks:
    - name: user
      user: {name: sailor, create_home: true}
    - name: unit
      copy:
        dest: /etc/systemd/system/mast.service
        content: |
          [Service]
          ExecStart=/bin/sleep 1000
          [Install]
          WantedBy=multi-user.target
    - name: runs
      systemd: {name: mast, state: started, enabled: true, daemon_reload: true}
";
    let ground = Ground::new("services", HostOptions::new("one"), site);
    if ground.host.init != InitKind::Systemd {
        println!("SKIPPED services_and_users_are_put_back: this machine has no systemd");
        return;
    }
    let before = ground.tree();
    ground.apply(&[]).fine();
    let active = || {
        let state = ground.host.command("systemctl").args(["is-active", "mast"]).output().unwrap();
        String::from_utf8_lossy(&state.stdout).trim().to_owned()
    };
    assert_eq!(active(), "active");
    let out = ground.project.run(&["rollback", "one"]).fine();
    assert!(out.contains("stopped mast.service"), "{out}");
    assert_ne!(active(), "active");
    assert_eq!(ground.tree(), before);
    ground.project.run(&["rollback", "one", "--to", "1"]).fine();
    assert_eq!(active(), "active");
}

#[test]
fn a_second_run_waits_and_says_for_whom() {
    if !lab_is_possible("a_second_run_waits_and_says_for_whom") {
        return;
    }
    let site = "- hosts: all
  gather_facts: false
  tasks:
    - copy: {dest: /etc/motd, content: \"{{ words }}\"}
    - command: sleep 3
      when: words == 'first'
";
    let ground = Ground::small("waits", site);
    let mut first = ground.project.command("theseus", &["apply", "site.yml", "-e", "words=first"]);
    let mut first = first.stdout(std::process::Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while ground.host.read("/etc/motd").ok().as_deref() != Some(b"first") {
        assert!(start.elapsed() < Duration::from_secs(20), "the first run does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = ground.apply(&["-e", "words=second"]);
    assert_eq!((first.wait().unwrap().code(), second.code), (Some(0), 0), "{}", second.shown());
    let said = second.err.lines().filter(|line| line.contains("waits for another run that changes it: run "));
    assert_eq!(said.count(), 1, "{}", second.shown());
    assert_eq!(ground.host.read("/etc/motd").unwrap(), b"second");
}

/// The run breaks the way in; nobody can come back, and the host heals itself.
#[test]
fn the_guard_puts_a_locked_host_back() {
    if !lab_is_possible("the_guard_puts_a_locked_host_back") {
        return;
    }
    let site = "- hosts: all
  gather_facts: false
  tasks:
    - name: a port that nobody asks
      lineinfile: {path: /etc/ssh/sshd_config, line: Port 7777}
      notify: restart
  handlers:
    - name: restart
      systemd: {name: ssh, state: restarted}
";
    let key = std::env::temp_dir().join(format!("theseus-guard-{}", std::process::id()));
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("SKIPPED the_guard_puts_a_locked_host_back: needs ssh-keygen");
        return;
    }
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let options =
        HostOptions { sshd: true, authorized_key: Some(public.trim().to_owned()), ..HostOptions::new("one") };
    let ground = Ground::new("guard", options, site);
    if ground.host.init != InitKind::Systemd {
        println!("SKIPPED the_guard_puts_a_locked_host_back: this machine has no systemd");
        return;
    }
    let inventory = format!(
        "one ansible_host={} ansible_user=root ansible_ssh_private_key_file={} ansible_ssh_common_args='-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no'\n",
        ground.host.address,
        key.display()
    );
    ground.project.write("hosts", &inventory);
    let config = ground.host.read("/etc/ssh/sshd_config").unwrap();
    let ended = ground.apply(&["--guard", "4", "-T", "10"]);
    assert!(ended.shown().contains("its guard puts back"), "{}", ended.shown());
    assert_eq!(ended.code, 4, "{}", ended.shown());
    let start = Instant::now();
    while ground.host.read("/etc/ssh/sshd_config").unwrap() != config {
        assert!(start.elapsed() < Duration::from_secs(30), "nothing was put back");
        std::thread::sleep(Duration::from_millis(200));
    }
    // And it can be reached again, by ssh.
    let mut reached = ground.project.run(&["recover", "one"]);
    while reached.code != 0 && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(500));
        reached = ground.project.run(&["recover", "one"]);
    }
    assert_eq!(reached.code, 0, "{}", reached.shown());
    let _ = (std::fs::remove_file(&key), std::fs::remove_file(key.with_extension("pub")));
}
