//! The program under the name `ansible`, and `theseus facts`.

use crate::common::{Ended, Project};

fn ansible(arguments: &[&str]) -> Ended {
    Project::new(&[]).run_as("ansible", arguments)
}

#[test]
fn commands_print_what_they_printed() {
    insta::assert_snapshot!(ansible(&["localhost", "-a", "echo hello"]).shown());
    insta::assert_snapshot!(
        ansible(&["localhost", "-m", "shell", "-a", "echo out; echo err >&2; exit 3"]).shown()
    );
    insta::assert_snapshot!(ansible(&["localhost", "-o", "-m", "shell", "-a", "echo a; echo b"]).shown());
}

#[test]
fn other_modules_print_json() {
    insta::assert_snapshot!(ansible(&["localhost", "-m", "ping"]).shown());
    insta::assert_snapshot!(ansible(&["localhost", "-m", "debug", "-a", "msg={{ 6 * 7 }}", "-o"]).shown());
    insta::assert_snapshot!(ansible(&["localhost", "-m", "fail", "-a", "msg=no"]).shown());
    insta::assert_snapshot!(ansible(&["localhost", "-m", "debug", "-a", "{\"msg\": {\"a\": [1]}}"]).shown());
}

#[test]
fn hosts_are_listed_or_missing() {
    insta::assert_snapshot!(ansible(&["all", "-i", "a,b,", "--list-hosts"]).shown());
    insta::assert_snapshot!(ansible(&["nobody", "-i", "a,", "-m", "ping"]).shown());
    insta::assert_snapshot!(ansible(&["localhost", "-m", "command"]).shown());
}

#[test]
fn the_name_may_be_the_first_word() {
    let project = Project::new(&[]);
    let out = project.run(&["ansible", "localhost", "-m", "ping", "-o"]).fine();
    assert_eq!(out, "localhost | SUCCESS => {\"changed\": false,\"ping\": \"pong\"}\n");
}

#[test]
fn facts_are_json() {
    let project = Project::new(&[]);
    let out = project.run(&["facts", "localhost", "--filter", "ansible_system"]).fine();
    let facts: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(facts["localhost"]["ansible_system"], "Linux");
    let out = project.run(&["facts", "localhost", "--filter", "ansible_system", "--output", "json"]).fine();
    let line: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!((&line["event"], &line["facts"]["ansible_system"]), (&"facts".into(), &"Linux".into()));
    assert_eq!(project.run(&["facts", "nobody"]).code, 1);
}

/// Timing and the JUnit report come beside the usual output.
#[test]
fn callbacks_add_times_and_a_report() {
    let project = Project::new(&[
        (
            "site.yml",
            "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n    - name: fine\n      debug: {msg: hi}\n    - name: left out\n      debug:\n      when: false\n    - name: wrong\n      fail: {msg: \"a < b\"}\n",
        ),
        (
            "ansible.cfg",
            "[defaults]\ncallbacks_enabled = profile_tasks, ansible.posix.timer, junit, nonsense\nstdout_callback = community.general.yaml\n",
        ),
    ]);
    let output = project
        .command("ansible-playbook", &["-i", "localhost,", "site.yml"])
        .env("JUNIT_OUTPUT_DIR", project.root.join("reports"))
        .output()
        .unwrap();
    let ended = project.ended(output);
    assert_eq!(ended.code, 2, "{}", ended.shown());
    assert!(ended.out.contains("PLAY RECAP"), "{}", ended.shown());
    assert!(
        ended.err.contains("fine ---") && ended.err.contains("Playbook run took 0 days"),
        "{}",
        ended.shown()
    );
    let all = format!("{}{}", ended.out, ended.err);
    assert!(all.contains("`nonsense`") && all.contains("`community.general.yaml`"), "{}", ended.shown());
    let report = std::fs::read_dir(project.root.join("reports")).unwrap().next().unwrap().unwrap().path();
    assert!(report.file_name().unwrap().to_string_lossy().starts_with("site-"), "{report:?}");
    let xml = std::fs::read_to_string(report).unwrap();
    assert!(xml.contains("tests=\"3\" failures=\"1\"") && xml.contains("a &lt; b"), "{xml}");
}
