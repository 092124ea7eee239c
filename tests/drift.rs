//! Drift as people meet it: found, explained, put back, accepted; the odd host.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::{HostOptions, InitKind, Lab, LabHost};
use serde_json::Value;

use crate::common::{Project, lab_is_possible};
use crate::planting::{Field, Planted};

/// Hosts of a pool of their own, and a project that reaches them.
struct Ground {
    lab: Lab,
    hosts: Vec<LabHost>,
    project: Project,
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.lab.down_all();
    }
}

impl Ground {
    fn new(name: &str, count: usize, init: Option<InitKind>, site: &str) -> Self {
        let pool = format!("{name}{}", std::process::id());
        let lab = Lab::pool(&pool).unwrap();
        let option = |i: usize| {
            let options = HostOptions { tied: true, ..HostOptions::new(format!("h{i:02}")) };
            match init {
                Some(init) => HostOptions { init, ..options },
                None => options,
            }
        };
        let hosts = lab.up(&(1..=count).map(option).collect::<Vec<_>>()).unwrap();
        hosts.iter().for_each(|host| drop(host.wait_ready(Duration::from_secs(60)).unwrap()));
        let lines: Vec<String> = hosts
            .iter()
            .map(|host| format!("{} ansible_connection=lab theseus_lab_pool={pool}\n", host.name))
            .collect();
        let project = Project::new(&[
            ("hosts", &lines.concat()),
            ("ansible.cfg", "[defaults]\ninventory = hosts\n"),
            ("site.yml", site),
        ]);
        Self { lab, hosts, project }
    }

    fn sh(&self, script: &str) -> String {
        self.hosts[0].run("sh", &["-c", script]).unwrap()
    }

    /// The lines of a look, alarms only.
    fn alarms(&self, more: &[&str]) -> Vec<Value> {
        let ended = self.project.run(&[&["drift", "--output", "json"], more].concat());
        assert!(ended.code == 0 || ended.code == 2, "{}", ended.shown());
        let lines = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| {
                line["event"] == "change" && line["explained"].is_null() && line["from_before"] != true
            })
            .collect()
    }
}

fn names(all: &[Value]) -> BTreeSet<String> {
    all.iter().filter_map(|f| f["path"].as_str().or(f["object"].as_str()).map(str::to_owned)).collect()
}

const SITE: &str = "- hosts: all
  gather_facts: false
  tasks:
    - name: message of the day
      copy: {dest: /etc/motd, content: \"hello\\n\", mode: '0644'}
    - name: the secret
      copy: {dest: /etc/ship.secret, content: \"hunter2\\n\", mode: '0600'}
      no_log: true
    - name: the ship's unit
      copy:
        dest: /etc/systemd/system/ship.service
        content: |
          [Service]
          ExecStart=/bin/sleep 1000
          [Install]
          WantedBy=multi-user.target
";

#[test]
fn drift_is_found_put_back_and_accepted() {
    if !lab_is_possible("drift_is_found_put_back_and_accepted") {
        return;
    }
    let site = format!(
        "{SITE}    - name: the ship sails\n      systemd: {{name: ship, state: started, enabled: true, daemon_reload: true}}\n"
    );
    let ground = Ground::new("drift", 1, None, &site);
    if ground.hosts[0].init != InitKind::Systemd {
        println!("SKIPPED drift_is_found_put_back_and_accepted: this machine has no systemd");
        return;
    }
    ground.project.run(&["apply", "site.yml"]).fine();
    assert!(ground.alarms(&[]).is_empty());
    ground.sh("echo hotfix >>/etc/motd; echo other >/etc/ship.secret; systemctl stop ship; rm /etc/systemd/system/ship.service; useradd -M rogue; \
               printf '[Service]\nExecStart=/bin/sleep 999\n' >/run/systemd/system/pirate.service; systemctl daemon-reload; systemctl start pirate");
    let found = ground.alarms(&[]);
    let all = names(&found);
    for name in [
        "/etc/motd",
        "/etc/ship.secret",
        "/etc/systemd/system/ship.service",
        "service:ship.service",
        "service:pirate.service",
        "user:rogue",
        "/etc/passwd",
    ] {
        assert!(all.contains(name), "{name}: {all:#?}");
    }
    let motd = found.iter().find(|f| f["path"] == "/etc/motd").unwrap();
    assert!(motd["declared"] == true && motd["kind"] == "changed" && motd["host"] == "h01", "{motd}");
    assert!(motd["cause"].as_str().unwrap().contains("message of the day"), "{motd}");
    assert!(motd["time"].is_string() && motd["evidence"]["confidence"].is_string(), "{motd}");
    let secret = found.iter().find(|f| f["path"] == "/etc/ship.secret").unwrap();
    assert!(secret.get("before").is_none() && secret.get("after").is_none(), "{secret}");
    // Looking twice finds the same; the baseline does not move.
    assert_eq!(names(&ground.alarms(&[])), all);
    assert_eq!(ground.project.run(&["drift", "--exit-code"]).code, 2);
    let shown = ground.project.run(&["drift"]).fine();
    assert!(shown.contains("message of the day") && shown.contains("pirate.service"), "{shown}");

    // Only one of them; then all others.
    ground.project.run(&["drift", "--accept", "--reason", "the hotfix stays", "--path", "/etc/motd"]).fine();
    assert!(!names(&ground.alarms(&[])).contains("/etc/motd"));
    assert_eq!(ground.sh("cat /etc/motd"), "hello\nhotfix\n");
    let fixed = ground.project.run(&["drift", "--fix"]).fine();
    assert!(fixed.contains("put back"), "{fixed}");
    assert_eq!(ground.sh("cat /etc/ship.secret"), "hunter2\n");
    assert_eq!(ground.sh("systemctl is-active ship pirate || true"), "active\ninactive\n");
    assert_eq!(ground.sh("grep -c rogue /etc/passwd || true").trim(), "0");
    let left = names(&ground.alarms(&[]));
    assert!(left.is_empty(), "{left:#?}");
    // Both can be undone.
    ground.project.run(&["rollback", "h01"]).fine();
    assert_eq!(ground.sh("cat /etc/ship.secret; grep -c rogue /etc/passwd"), "other\n1\n");
    assert_eq!(ground.project.run(&["drift", "--accept"]).code, 5);
}

/// `THESEUS_PLANT` says how many changes; `cargo xtask plant` plants a thousand.
#[test]
fn all_that_was_planted_is_found_and_put_back() {
    if !lab_is_possible("all_that_was_planted_is_found_and_put_back") {
        return;
    }
    let count = std::env::var("THESEUS_PLANT").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let ground = Ground::new("plant", 1, Some(InitKind::Small), SITE);
    let host = &ground.hosts[0];
    if host.run("sh", &["-c", "command -v dpkg-deb && command -v setfattr"]).is_err() {
        println!(
            "SKIPPED all_that_was_planted_is_found_and_put_back: needs dpkg-deb and setfattr (package attr)"
        );
        return;
    }
    let field = Field::new(count, 42);
    field.prepare(host);
    let first = ground.alarms(&[]);
    assert!(first.is_empty(), "{:#?}", names(&first));
    let before = tree(&ground);
    // Neither the packages' own seconds nor those of the upgrade: logs know no shorter times.
    std::thread::sleep(Duration::from_secs(11));
    let Planted(planted) = field.plant(host);
    std::thread::sleep(Duration::from_secs(3));
    field.weather(host);
    let after = tree(&ground);
    let found = names(&ground.alarms(&[]));
    let missed: Vec<_> = planted.difference(&found).collect();
    assert!(missed.is_empty(), "{} of {count} were missed: {missed:#?}", missed.len());
    let below = |path: &String| planted.iter().any(|top| path.starts_with(&format!("{top}/")));
    // An entry for cron is told beside the file that has it.
    let strange: Vec<_> =
        found.iter().filter(|p| !planted.contains(*p) && !below(p) && !p.starts_with("cron:rogue")).collect();
    println!("planted {count}: found all, and {} that were not planted: {strange:?}", strange.len());
    assert!(strange.len() <= 1, "{strange:#?}");

    ground.project.run(&["drift", "--fix"]).fine();
    assert_same(&before, &tree(&ground));
    assert!(ground.alarms(&[]).is_empty());
    ground.project.run(&["rollback", "h01"]).fine();
    assert_same(&after, &tree(&ground));
}

/// By tools that are not ours.
fn tree(ground: &Ground) -> BTreeSet<String> {
    let look = "cd /; find etc opt/plank usr/local/bin usr/local/share/plank usr/share/mast -xdev ! -name '*-' ! -name ld.so.cache -printf '%p %y %m %U %G %l\\n'; \
                find etc opt/plank usr/local/bin usr/local/share/plank usr/share/mast -xdev -type f ! -name '*-' ! -name ld.so.cache -printf '%p %s %T@\\n' -exec sha256sum {} + ; \
                getfattr -R -d -m - -P etc/plank.d opt/plank usr/local/share/plank 2>/dev/null; true";
    ground.sh(look).lines().map(str::to_owned).collect()
}

fn assert_same(wanted: &BTreeSet<String>, found: &BTreeSet<String>) {
    let lost: Vec<_> = wanted.difference(found).take(10).collect();
    let new: Vec<_> = found.difference(wanted).take(10).collect();
    assert!(lost.is_empty() && new.is_empty(), "lost: {lost:#?}\nnew: {new:#?}");
}

#[test]
fn the_odd_host_is_named() {
    if !lab_is_possible("the_odd_host_is_named") {
        return;
    }
    let count = std::env::var("THESEUS_HOSTS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let ground = Ground::new("odd", count, Some(InitKind::Small), SITE);
    ground.project.run(&["apply", "site.yml"]).fine();
    let alike = ground.project.run(&["compare", "all", "--exit-code"]);
    assert_eq!(alike.code, 0, "{}", alike.shown());
    // One line in one file; then a package's version; then a setting of the kernel.
    let odd = &ground.hosts[count - 2];
    for (script, reason) in [
        ("echo rogue >>/etc/motd", "/etc/motd"),
        (
            "sed -i '/^Package: base-files$/,/^$/s/^Version: .*/Version: 0.1/' /var/lib/dpkg/status",
            "package:base-files",
        ),
        ("echo 7 >/proc/sys/net/core/somaxconn", "sysctl:net.core.somaxconn"),
    ] {
        odd.run("sh", &["-c", script]).unwrap();
        let ended = ground.project.run(&["compare", "all", "--exit-code", "--output", "json"]);
        assert_eq!(ended.code, 2, "{}", ended.shown());
        let groups: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let one = groups.iter().find(|group| group["odd"] == true).unwrap();
        assert_eq!(one["hosts"], serde_json::json!([odd.name]), "{one}");
        let because: Vec<&str> =
            one["because"].as_array().unwrap().iter().filter_map(|b| b["name"].as_str()).collect();
        assert!(because.contains(&reason), "{reason}: {because:?}");
    }
}
