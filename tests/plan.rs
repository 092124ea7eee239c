//! Plans: what would change is said and nothing done; a plan is applied exactly, or refused.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Ended, Project, lab_is_possible};
use crate::layers::Ground;

const SITE: &str = "- hosts: all
  gather_facts: false
  vars: {word: host}
  tasks:
    - name: message
      copy: {dest: /etc/motd, content: \"new {{ word }}\\n\"}
    - name: greeting
      template: {src: issue.j2, dest: /etc/issue.here}
    - name: gone
      file: {path: /etc/old.conf, state: absent}
    - name: closed
      file: {path: /etc/open, mode: '0600'}
    - name: same
      copy: {dest: /etc/same, content: \"same\\n\"}
    - name: hidden
      copy: {dest: /etc/hidden, content: \"hunter2\\n\"}
      no_log: true
    - name: kernel
      sysctl: {name: vm.swappiness, value: '7', sysctl_set: true, reload: false}
      ignore_errors: true
    - name: by hand
      shell: echo hand >>/etc/hand
";

const TEMPLATE: &str = "welcome to {{ inventory_hostname }}\n";

/// A host with something to change.
struct Planned(Ground);

impl Planned {
    fn new(name: &str) -> Self {
        let ground = Ground::small(name, SITE);
        let script = "cd /etc; echo old >motd; echo x >old.conf; echo o >open; chmod 644 open; echo same >same; \
                      rm -f issue.here hidden hand";
        ground.host.run("sh", &["-c", script]).unwrap();
        ground.project.write("templates/issue.j2", TEMPLATE);
        Self(ground)
    }

    fn tree(&self) -> String {
        let look = "cd /etc; for f in motd old.conf open same issue.here hidden hand sysctl.conf; do stat -c '%n %a %u %g %y' $f; cat $f; done 2>&1; \
                    ls /var/lib/theseus/layers 2>&1; true";
        self.0.host.run("sh", &["-c", look]).unwrap()
    }

    fn text(&self, path: &str) -> String {
        self.0.host.run("cat", &[path]).unwrap()
    }

    fn refused(&self, why: &str, more: &[&str]) {
        let before = self.tree();
        let ended = self.0.project.run(&[&["apply", "plan.json"], more].concat());
        assert_eq!(ended.code, 1, "{}", ended.shown());
        assert!(ended.err.contains(why) && ended.err.contains("nothing was done"), "{}", ended.shown());
        assert_eq!(before, self.tree());
    }
}

fn changes(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Without a terminal: answers come from standard input, one line each.
fn answered(project: &Project, arguments: &[&str], answers: &[u8]) -> Ended {
    let there = project.command("theseus", arguments);
    let mut own = Command::new("setsid");
    own.arg("--wait").arg(there.get_program()).args(arguments).current_dir(&project.root).env_clear();
    own.envs(there.get_envs().filter_map(|(name, value)| Some((name, value?))));
    own.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = own.spawn().unwrap();
    child.stdin.take().unwrap().write_all(answers).unwrap();
    project.ended(child.wait_with_output().unwrap())
}

#[test]
fn a_plan_says_what_would_change_and_is_applied_exactly() {
    if !lab_is_possible("a_plan_says_what_would_change_and_is_applied_exactly") {
        return;
    }
    let ground = Planned::new("plan");
    let before = ground.tree();
    let ended =
        ground.0.project.run(&["plan", "site.yml", "--exit-code", "--output", "json", "-o", "plan.json"]);
    assert_eq!(ended.code, 2, "{}", ended.shown());
    assert_eq!(before, ground.tree(), "a plan changes nothing");
    let all = changes(&ended.out);
    let of = |name: &str| {
        let found = all.iter().find(|change| change["path"] == name || change["object"] == name);
        found.unwrap_or_else(|| panic!("{name}: {all:#?}"))
    };
    assert!(all.iter().all(|c| c["event"] == "change" && c["host"] == "one" && c["at"].is_string()));
    let kind = |name: &str| of(name)["kind"].as_str().unwrap().to_owned();
    assert_eq!(
        ["/etc/motd", "/etc/issue.here", "/etc/old.conf", "/etc/open"].map(kind),
        ["changed", "added", "removed", "changed"]
    );
    assert_eq!(of("/etc/motd")["before"]["content"], "old\n");
    assert_eq!(of("/etc/motd")["after"]["content"], "new host\n");
    assert_eq!(of("/etc/open")["before"]["mode"], "0644");
    assert_eq!(of("/etc/open")["after"]["mode"], "0600");
    assert!(of("/etc/motd")["cause"].as_str().unwrap().contains("site.yml:5"), "{:?}", of("/etc/motd"));
    assert_eq!(
        (&of("task:by hand")["unknown"], of("task:by hand")["irreversible"].is_string()),
        (&true.into(), true)
    );
    assert!(
        all.iter().any(|c| c["irreversible"].as_str().is_some_and(|text| text.contains("vm.swappiness"))),
        "{all:#?}"
    );
    assert!(!all.iter().any(|change| change["path"] == "/etc/same"));
    let written = ground.0.project.read("plan.json");
    assert!(!ended.out.contains("hunter2") && !written.contains("hunter2"), "{written}");

    // Everything else about it is refused.
    ground.0.project.write("templates/issue.j2", "something else\n");
    ground.refused("templates/issue.j2", &[]);
    ground.0.project.write("templates/issue.j2", TEMPLATE);
    ground.refused("-e", &["-e", "word=other"]);
    ground.0.host.run("sh", &["-c", "echo somebody >/etc/motd"]).unwrap();
    ground.refused("/etc/motd", &[]);
    ground.0.host.run("sh", &["-c", "echo old >/etc/motd"]).unwrap();
    let beside = ground.0.project.run(&["apply", "plan.json", "-t", "some"]);
    assert_eq!(beside.code, 5, "{}", beside.shown());

    // It foretells before it runs, and asks once for both.
    answered(&ground.0.project, &["apply", "plan.json", "-K"], b"secret\n").fine();
    assert_eq!([ground.text("/etc/motd"), ground.text("/etc/hand")], ["new host\n", "hand\n"]);
    assert!(ground.0.project.run(&["history", "one"]).fine().contains("plan.json"));
    // Once.
    ground.refused("one has moved on: the plan was made for generation 0, and it is at 1 now", &[]);
}

#[test]
fn people_read_a_plan() {
    if !lab_is_possible("people_read_a_plan") {
        return;
    }
    let ground = Planned::new("planread");
    let out = ground.0.project.run(&["plan", "site.yml"]).fine();
    for words in [
        "one: ",
        "changed  /etc/motd",
        "-old",
        "+new host",
        "added    /etc/issue.here",
        "removed  /etc/old.conf",
        "mode 0600, was 0644",
        "unknown  task:by hand",
        "no undo takes this back",
        "vm.swappiness",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    ground.0.project.write("none.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - copy: {dest: /etc/same, content: \"same\\n\"}\n");
    let none = ground.0.project.run(&["plan", "none.yml", "--exit-code"]).fine();
    assert!(none.contains("nothing would change"), "{none}");
    ground.0.project.write(
        "bad.yml",
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - file: {path: /etc/none/there, mode: '0600'}\n",
    );
    let bad = ground.0.project.run(&["plan", "bad.yml", "-o", "bad.json"]);
    assert_eq!(bad.code, 1, "{}", bad.shown());
    assert!(
        bad.err.contains("could not be foretold") && !ground.0.project.root.join("bad.json").exists(),
        "{}",
        bad.shown()
    );
}
