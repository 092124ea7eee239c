//! Whatever is wrong: one clear message and the documented exit code.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Ended, Project};

const LOCAL: &str = "- hosts: localhost\n  gather_facts: false\n  tasks:\n";

fn tasks(text: &str) -> Project {
    Project::new(&[("site.yml", &format!("{LOCAL}{text}"))])
}

fn apply(project: &Project, more: &[&str]) -> Ended {
    project.run(&[&["apply", "site.yml"], more].concat())
}

#[test]
fn yaml() {
    let project =
        tasks("    - name: one\n      debug:\n        msg: \"not closed\n    - name: two\n      ping:\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn yaml_indentation() {
    let project = tasks("    - name: one\n     debug:\n        msg: hello\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn yaml_in_json() {
    let project = tasks("    - name: one\n     debug:\n        msg: hello\n");
    let ended = apply(&project, &["--output", "json"]);
    assert_eq!(ended.code, 1, "{}", ended.shown());
    let line: serde_json::Value = serde_json::from_str(ended.out.lines().next().unwrap()).unwrap();
    assert_eq!((line["event"].as_str(), line["line"].as_u64()), (Some("error"), Some(5)), "{line}");
    assert!(line["at"].is_string() && line["message"].is_string(), "{line}");
}

#[test]
fn undefined_variable() {
    let project = tasks("    - name: greet\n      debug:\n        msg: \"hello {{ whom }}\"\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn template_syntax() {
    let project = tasks("    - name: greet\n      debug:\n        msg: \"hello {{ whom | }}\"\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn unknown_module() {
    let project = tasks("    - name: install\n      ansible.builtin.aptt:\n        name: vim\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn unknown_keyword() {
    let project = tasks("    - name: greet\n      debug:\n        msg: hello\n      wehn: true\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn ill_typed_argument() {
    let project =
        tasks("    - name: folder\n      file:\n        path: /nowhere\n        recurse: perhaps\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn unknown_argument() {
    let project = tasks("    - name: folder\n      file:\n        path: /nowhere\n        stat: directory\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn missing_argument() {
    let project = tasks("    - name: line\n      lineinfile:\n        line: hello\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

/// Every kind of wrong argument: what the message must say, and where.
#[test]
fn wrong_arguments_are_refused_before_anything_is_done() {
    let wrong: &[(&str, &[&str])] = &[
        ("file: {path: /x, stat: touch}", &["site.yml:6:", "stat", "did you mean", "state"]),
        ("file: {path: /x, state: tuch}", &["site.yml:6:", "tuch", "touch"]),
        ("wait_for: {timeout: long}", &["site.yml:6:", "timeout", "long"]),
        ("copy: {dest: /x, content: a, force: perhaps}", &["site.yml:6:", "force", "perhaps"]),
        ("lineinfile: {line: a}", &["site.yml:6:", "path"]),
        ("copy: {dest: /x, content: a, src: b}", &["site.yml:6:", "content", "src"]),
        (
            "uri: {url: 'http://localhost', client_cert: a, url_pasword: b}",
            &["site.yml:6:", "url_pasword", "url_password"],
        ),
        ("ini_file: {path: /x, option: a, value: b, values: [c]}", &["site.yml:6:", "value", "values"]),
        (
            "alternatives: {name: a, path: /x, subcommands: [{nam: b, path: /y, link: /z}]}",
            &["site.yml:6:", "nam"],
        ),
        ("firewalld: {port: 80/tcp, state: on}", &["site.yml:6:", "state", "enabled"]),
        ("dnf: {name: a, list: b}", &["site.yml:6:", "name", "list"]),
        ("filee: {path: /x}", &["site.yml:6:", "filee", "file"]),
    ];
    for (text, words) in wrong {
        let project = tasks(&format!(
            "    - shell: touch {{{{ playbook_dir }}}}/done\n    - name: wrong\n      {text}\n"
        ));
        let ended = apply(&project, &[]);
        assert_eq!(ended.code, 1, "{text}: {}", ended.shown());
        for word in *words {
            assert!(ended.shown().contains(word), "{text}: no `{word}` in {}", ended.shown());
        }
        assert!(!project.root.join("done").exists(), "{text}: a task before it was done");
    }
}

#[test]
fn missing_role() {
    let project = Project::new(&[("site.yml", "- hosts: localhost\n  roles:\n    - nowhere\n")]);
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn missing_playbook() {
    insta::assert_snapshot!(apply(&Project::new(&[]), &[]).shown());
}

#[test]
fn missing_inventory() {
    let project = tasks("    - ping:\n");
    insta::assert_snapshot!(apply(&project, &["-i", "nowhere.ini"]).shown());
}

fn secret() -> Project {
    let project = tasks("    - debug:\n        msg: \"{{ secret }}\"\n");
    project.write("ansible.cfg", "[defaults]\ninventory = hosts\n");
    project.write("hosts", "localhost ansible_connection=local\n");
    project.write("right", "right\n");
    project.write("wrong", "wrong\n");
    project.write("group_vars/all.yml", "secret: hello\n");
    project.run(&["vault", "encrypt", "--vault-password-file", "right", "group_vars/all.yml"]).fine();
    project
}

#[test]
fn wrong_vault_password() {
    insta::assert_snapshot!(apply(&secret(), &["--vault-password-file", "wrong"]).shown());
}

#[test]
fn no_vault_password() {
    insta::assert_snapshot!(apply(&secret(), &[]).shown());
}

#[test]
fn right_vault_password() {
    let out = apply(&secret(), &["--vault-password-file", "right"]).fine();
    assert!(out.contains("hello"), "{out}");
}

#[test]
fn unreachable_host() {
    let inventory = "far ansible_host=127.0.0.1 ansible_port=1\n";
    let project = Project::new(&[
        ("hosts", inventory),
        ("site.yml", "- hosts: far\n  gather_facts: false\n  tasks:\n    - ping:\n"),
    ]);
    insta::assert_snapshot!(apply(&project, &["-i", "hosts"]).shown());
}

/// A host whose key is another than the one that is known for it.
#[test]
fn refused_host_key() {
    if !crate::common::lab_is_possible("refused_host_key") {
        return;
    }
    let lab = lab::Lab::pool(&format!("key{}", std::process::id())).unwrap();
    let options = lab::HostOptions {
        sshd: true,
        tied: true,
        init: lab::InitKind::Small,
        ..lab::HostOptions::new("far")
    };
    let host = lab.up(&[options]).unwrap().remove(0);
    let address = host.address;
    // The key of RFC 8032's first test: nobody's host has it.
    let other = "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    let project = Project::new(&[
        (
            "hosts",
            &format!(
                "far ansible_host={address} ansible_user=root ansible_ssh_common_args='-o UserKnownHostsFile=known_hosts -o GlobalKnownHostsFile=/dev/null'\n"
            ),
        ),
        ("known_hosts", &format!("{address} ssh-ed25519 {other}\n")),
        ("site.yml", "- hosts: far\n  gather_facts: false\n  tasks:\n    - ping:\n"),
    ]);
    let ended = ["native", "openssh"].map(|ssh| apply(&project, &["-i", "hosts", "--ssh", ssh]));
    let known = std::fs::read_to_string(project.root.join("known_hosts")).unwrap();
    lab.down_all().unwrap();
    for ended in ended {
        assert_eq!(ended.code, 4, "{}", ended.shown());
        let text = ended.shown();
        assert!(text.contains("key") && text.contains("known_hosts") && text.contains(" -R "), "{text}");
    }
    assert_eq!(known.lines().count(), 1, "a refused key must not be learned: {known}");
}

#[test]
fn unknown_connection() {
    let inventory = "far ansible_connection=pigeon\n";
    let project = Project::new(&[
        ("hosts", inventory),
        ("site.yml", "- hosts: far\n  gather_facts: false\n  tasks:\n    - ping:\n"),
    ]);
    let ended = apply(&project, &["-i", "hosts"]);
    assert!(matches!(ended.code, 2 | 4) && ended.out.contains("pigeon"), "{}", ended.shown());
}

#[test]
fn bad_option() {
    insta::assert_snapshot!(apply(&tasks("    - ping:\n"), &["--no-such-option"]).shown());
}

#[test]
fn bad_value_of_an_option() {
    insta::assert_snapshot!(apply(&tasks("    - ping:\n"), &["--ssh", "carrier"]).shown());
}

#[test]
fn failed_task() {
    let project = tasks("    - name: look\n      command: cat /nowhere\n");
    insta::assert_snapshot!(apply(&project, &[]).shown());
}

#[test]
fn validate_points_at_all_mistakes() {
    let text = "    - name: one\n      debug:\n        msg: hello\n      wehn: true\n    - name: two\n      file:\n        path: /x\n        recurse: perhaps\n";
    insta::assert_snapshot!(tasks(text).run(&["validate", "site.yml"]).shown());
}

#[test]
fn killed_agent() {
    let project = tasks("    - name: kill\n      shell: kill -9 $PPID\n    - name: never\n      ping:\n");
    let ended = apply(&project, &[]);
    assert_eq!(ended.code, 4, "{}", ended.shown());
    assert!(ended.out.contains("unreachable") && !ended.out.contains("never"), "{}", ended.shown());
}

#[test]
fn ctrl_c() {
    let project = tasks(
        "    - name: wait\n      shell: touch begun; sleep 60\n    - name: never\n      command: touch never\n",
    );
    let mut command = project.command("theseus", &["apply", "site.yml"]);
    let began = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !project.root.join("begun").exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let began = Instant::now();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = project.ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 99, "{}", ended.shown());
    assert!(
        began.elapsed() < Duration::from_secs(15) && !project.root.join("never").exists(),
        "{}",
        ended.shown()
    );
    assert!(ended.out.contains("interrupted"), "{}", ended.shown());
}

/// What an included file names may not exist: Ansible reads no such file, so nothing rescues or ignores it.
#[test]
fn unknown_module_in_an_included_file() {
    let site = "    - block:\n        - action: \"{{ 'no.such.one' }}\"\n      rescue:\n        - debug: {msg: rescued}\n    - block:\n        - include_tasks: more.yml\n      rescue:\n        - debug: {msg: never}\n    - debug: {msg: never}\n";
    let more = "- no.such.module: {a: 1}\n  ignore_errors: true\n";
    let project = Project::new(&[("site.yml", &format!("{LOCAL}{site}")), ("more.yml", more)]);
    let ended = project.run_as("ansible-playbook", &["site.yml"]);
    assert_eq!(ended.code, 2, "{}", ended.shown());
    assert!(ended.out.contains("couldn't resolve module/action 'no.such.module'"), "{}", ended.shown());
    assert!(ended.out.contains("\"msg\": \"rescued\""), "a name out of a template: {}", ended.shown());
    assert!(!ended.out.contains("\"msg\": \"never\""), "{}", ended.shown());
}

/// The file is another than that of the task which fails: its line is told.
#[test]
fn include_without_a_file_in_an_included_file() {
    let project = Project::new(&[
        ("site.yml", &format!("{LOCAL}    - include_tasks: more.yml\n")),
        ("more.yml", "- name: names no file\n  include_tasks:\n"),
    ]);
    let ended = project.run_as("ansible-playbook", &["site.yml"]);
    assert_eq!(ended.code, 2, "{}", ended.shown());
    assert!(
        ended.out.contains("No file specified for include_tasks: `- name: names no file`"),
        "{}",
        ended.shown()
    );
}

/// They are copied as they are, also where links are followed.
#[test]
fn links_in_a_circle_in_a_folder_that_is_copied() {
    let task = "    - copy: {src: top, dest: '{{ playbook_dir }}/to'}\n    - command: find to -printf '%P %y %l,'\n      args: {chdir: '{{ playbook_dir }}'}\n      register: found\n    - debug: {msg: \"{{ found.stdout.split(',') | sort | join(';') }}\"}\n";
    let project = Project::new(&[
        ("files/top/sub/a", "a"),
        (
            "links.yml",
            &format!(
                "{LOCAL}    - command: sh -c 'ln -s ../ sub/circle; ln -s sub side; ln -s self self; ln -s no lost'\n      args: {{chdir: '{{{{ playbook_dir }}}}/files/top'}}\n"
            ),
        ),
        ("site.yml", &format!("{LOCAL}{task}")),
    ]);
    let made = project.run_as("ansible-playbook", &["links.yml"]);
    assert_eq!(made.code, 0, "{}", made.shown());
    let ended = project.run_as("ansible-playbook", &["site.yml"]);
    let wanted = ";top d ;top/lost l no;top/self l self;top/side d ;top/side/a f ;top/side/circle l ../;top/sub d ;top/sub/a f ;top/sub/circle l ../";
    assert!(ended.out.contains(wanted), "{}", ended.shown());
}
