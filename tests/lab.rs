//! `lab` and `tour`, where this user can make hosts.

use std::process::Stdio;
use std::time::Duration;

use lab::{HostOptions, Lab};

use crate::common::{Project, lab_is_possible};

/// Hosts of this test run only.
fn name(what: &str) -> String {
    format!("{what}-{}", std::process::id())
}

/// Takes a host away, however the test ends.
struct Host(String);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = Lab::open().and_then(|lab| lab.down(&self.0));
    }
}

#[test]
fn hosts_come_and_go() {
    if !lab_is_possible("hosts_come_and_go") {
        return;
    }
    let project = Project::new(&[]);
    let prefix = name("go");
    let hosts = [Host(format!("{prefix}1")), Host(format!("{prefix}2"))];
    project.run(&["lab", "up", "2", "--name", &prefix, "--small"]).fine();
    let listed = project.run(&["lab", "list"]).fine();
    assert!(hosts.iter().all(|host| listed.contains(&host.0)), "{listed}");
    let ended = project.run(&["lab", "exec", &hosts[0].0, "--", "sh", "-c", "hostname; exit 7"]);
    assert_eq!((ended.code, ended.out.trim()), (7, hosts[0].0.as_str()), "{}", ended.shown());
    let wrong = project.run(&["lab", "down", &hosts[0].0, "nobody"]);
    assert_eq!(wrong.code, 1, "{}", wrong.shown());
    project.run(&["lab", "down", &hosts[0].0, &hosts[1].0]).fine();
    assert!(!project.run(&["lab", "list"]).fine().contains(&prefix));
    assert_eq!(project.run(&["lab", "down"]).code, 5);
}

#[test]
fn a_full_disk_is_said() {
    if !lab_is_possible("a_full_disk_is_said") {
        return;
    }
    let host = Host(name("full"));
    let lab = Lab::open().unwrap();
    let options = HostOptions {
        tied: true,
        disk: Some(64 << 20),
        init: lab::InitKind::Small,
        ..HostOptions::new(host.0.clone())
    };
    let made = lab.up(&[options]).unwrap();
    // The agent is there before the disk is full.
    let inventory = format!("{} ansible_connection=lab\n", host.0);
    let site = "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: write\n      copy: {dest: /big, content: \"{{ 'x' * 5000000 }}\"}\n";
    let project = Project::new(&[
        ("hosts", &inventory),
        ("site.yml", site),
        ("ping.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - ping:\n"),
    ]);
    project.run(&["apply", "-i", "hosts", "ping.yml"]).fine();
    let _ = made[0].run("dd", &["if=/dev/zero", "of=/fill", "bs=1M"]);
    let ended = project.run(&["apply", "-i", "hosts", "site.yml"]);
    assert!(matches!(ended.code, 2 | 4), "{}", ended.shown());
    let text = ended.shown().to_lowercase();
    let said = ["no space left", "disk is full", "not enough space"];
    assert!(said.iter().any(|words| text.contains(words)), "{text}");
}

/// The hosts have fixed names, so one test plays it all: interrupted, then to its end.
#[test]
fn the_tour() {
    if !lab_is_possible("the_tour") {
        return;
    }
    let project = Project::new(&[]);
    let mut command = project.command("theseus", &["tour"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = project.ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 99, "{}", ended.shown());
    let names = || Lab::open().unwrap().list().into_iter().map(|host| host.name).collect::<Vec<_>>();
    assert!(!names().contains(&"web1".to_owned()), "{:?}", names());
    let out = project.run(&["tour"]).fine();
    for words in [
        "changed=0 on each of them",
        "Sisters: web2 web3",
        "we have seen every plank go",
        "made generation 1",
        "because 1 member of generation ship@",
        "and 0 requests have failed",
        "That was the tour",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let picture = project.read("theseus-tour.svg");
    assert!(picture.contains("0 failed") && picture.contains("in place"), "{picture}");
    assert!(!names().contains(&"web1".to_owned()), "{:?}", names());
}
