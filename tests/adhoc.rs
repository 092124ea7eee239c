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

/// What scripts grep in the output of `ansible-playbook`.
#[test]
fn a_run_is_printed_as_ansible_prints_it() {
    let project = Project::new(&[
        ("hosts.ini", "a ansible_connection=local\nb ansible_connection=local ansible_host=127.0.0.9\n"),
        ("more.yml", "- debug: {msg: more}\n"),
        ("site.yml", PRINTED),
        ("wants.yml", WANTS),
    ]);
    let ended = project.run_as("ansible-playbook", &["-i", "hosts.ini", "--diff", "site.yml"]);
    let out = &ended.out;
    assert_eq!(ended.code, 2, "{}", ended.shown());
    // One banner a batch.
    assert_eq!(out.matches("\nPLAY [batches] ").count(), 2, "{}", ended.shown());
    // Labels of loops of includes; hosts that include the same are told of together.
    assert!(out.contains("more.yml for a, b => (item=first)\n"), "{}", ended.shown());
    assert!(out.contains("ok: [a -> b(127.0.0.9)] => {\n"), "{}", ended.shown());
    assert!(out.contains("FAILED - RETRYING: [a -> b]: again (1 retries left).\n"), "{}", ended.shown());
    // What fails before it can be shown is on one line.
    assert!(
        out.contains("fatal: [a]: FAILED! => {\"msg\": \"Task failed: Finalization"),
        "{}",
        ended.shown()
    );
    // A difference is Python's JSON, with an empty line behind it, and only of what changed.
    assert!(out.contains("\n {\n     \"path\": \""), "{}", ended.shown());
    assert!(out.contains("+    \"state\": \"directory\"\n }\n\nchanged: [a]\n"), "{}", ended.shown());
    assert_eq!(out.matches("--- before").count(), 1, "{}", ended.shown());
    // Without the option, those of the task that wants it itself.
    let plainly = project.run_as("ansible-playbook", &["-i", "hosts.ini", "wants.yml"]);
    assert_eq!(plainly.out.matches("--- before").count(), 1, "{}", plainly.shown());
    assert!(plainly.out.contains("-a\n+b\n"), "{}", plainly.shown());
    // No host is left because each failed: that is said by their failures.
    assert!(!out.contains("NO MORE HOSTS LEFT"), "{}", ended.shown());
}

const WANTS: &str = r#"
- hosts: a
  gather_facts: false
  tasks:
    - copy: {dest: "{{ playbook_dir }}/file", content: "a\n"}
    - {copy: {dest: "{{ playbook_dir }}/file", content: "b\n"}, diff: true}
    - {copy: {dest: "{{ playbook_dir }}/file", content: "c\n"}, diff: false}
"#;

const PRINTED: &str = r#"
- {name: batches, hosts: all, gather_facts: false, serial: 1, tasks: [{debug: {msg: one}}]}
- hosts: all
  gather_facts: false
  tasks:
    - include_tasks: more.yml
      loop: [{name: first}, {name: second}]
      loop_control: {label: "{{ item.name }}"}
- hosts: a
  gather_facts: false
  tasks:
    - {debug: {msg: there}, delegate_to: b}
    - name: again
      debug: {msg: there}
      delegate_to: b
      until: false
      retries: 1
      delay: 0
      ignore_errors: true
    - {debug: {msg: "{{ nowhere }}"}, ignore_errors: true}
    - file: {path: "{{ playbook_dir }}/made", state: directory}
    - file: {path: "{{ playbook_dir }}/made", state: directory}
    - {fail: {msg: the end}, when: true}
"#;

/// Failures with the lines that they are about, banners of `meta`, items that are left out, jobs: held against ansible-core
/// 2.19, which prints the same but for the words in brackets at the end of a mistake and its column.
#[test]
fn failures_are_printed_with_their_lines() {
    let project = Project::new(&[("more.yml", "- debug: {msg: \"{{ item }}\"}\n"), ("site.yml", FAILING)]);
    let ended = project.run_as("ansible-playbook", &["-i", "a,", "-c", "local", "site.yml"]);
    assert_eq!(ended.code, 2, "{}", ended.shown());
    insta::assert_snapshot!(ended.out.lines().map(same_each_time).collect::<Vec<_>>().join("\n"));
    let listed = ["--list-hosts", "--list-tasks", "--list-tags"];
    let listed = project.run_as("ansible-playbook", &[&["-i", "a,"], &listed[..], &["site.yml"]].concat());
    insta::assert_snapshot!(listed.fine());
}

/// Times and numbers of jobs are others each time.
fn same_each_time(line: &str) -> &str {
    match line
        .find("jid=")
        .map(|at| at + 4)
        .or_else(|| line.contains("\"delta\"").then(|| line.find(" => {")).flatten())
    {
        Some(end) => &line[..end],
        None => line,
    }
}

const FAILING: &str = r#"
- hosts: all
  gather_facts: false
  tags: [shop]
  tasks:
    - name: a module
      command: "false"
      ignore_errors: true
    - fail: {msg: "no {{ item }}"}
      loop: [1, 1]
      ignore_errors: true
    - debug: {msg: "{{ nobody }}"}
      ignore_errors: true
    - command: "true"
      failed_when: true
      ignore_errors: true
    - name: not told
      fail: {msg: secret}
      no_log: true
      ignore_errors: true
    - meta: noop
    - include_tasks: more.yml
      loop: [left out, shown]
      when: item == 'shown'
    - command: "true"
      async: 10
      poll: 1
    - assert: {that: 1 == 2}
      ignore_errors: true
    - block:
        - {debug: , tags: [never, chosen]}
      always:
        - debug:
    - ping:
      vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 9}
      ignore_unreachable: true
    - fail:
"#;
