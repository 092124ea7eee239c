//! What commands answer, and end with, when something is in the way: a host that is not there, a reader that has gone.

use std::fs::OpenOptions;
use std::process::Stdio;

use serde_json::Value;

use crate::common::Project;

/// Port 1 has nobody.
const HOSTS: &str = "dead ansible_host=127.0.0.1 ansible_port=1 ansible_connection=ssh\n";

const SITE: &str = "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - command: echo {{ item }}\n      loop: [1, 2]\n    - copy: {dest: \"{{ playbook_dir }}/out\", content: done}\n";

#[test]
fn a_reader_that_has_gone_neither_stops_a_run_nor_makes_a_panic() {
    let project = Project::new(&[("site.yml", SITE), ("hosts", HOSTS)]);
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    for arguments in
        [&["apply", "site.yml"][..], &["history"], &["facts", "localhost"], &["inventory", "--list"]]
    {
        let status =
            project.command("theseus", arguments).stdout(closed()).stderr(closed()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
    assert_eq!(project.read("out"), "done");
}

#[test]
fn half_of_an_answer_is_not_taken_for_the_whole() {
    let project = Project::new(&[("site.yml", SITE), ("hosts", HOSTS)]);
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    for (arguments, code) in
        [(&["apply", "site.yml"][..], 0), (&["history"], 1), (&["inventory", "--list"], 1)]
    {
        let ended = project.ended(project.command("theseus", arguments).stdout(full()).output().unwrap());
        assert_eq!(ended.code, code, "{arguments:?} {}", ended.shown());
        assert!(ended.err.contains("the output could not be written whole"), "{}", ended.shown());
    }
    assert_eq!(project.read("out"), "done");
}

/// 2 is for something that was found.
#[test]
fn a_host_that_cannot_be_asked_is_an_error_of_commands_that_look() {
    let site = "- hosts: dead\n  tasks: [{ping: }]\n";
    let project = Project::new(&[("hosts", HOSTS), ("site.yml", site)]);
    for (words, code) in [
        ("diff dead@1 dead", 1),
        ("drift dead", 1),
        ("drift dead --exit-code", 1),
        ("compare dead --exit-code", 1),
        ("plan site.yml", 1),
        ("show dead", 4),
        ("facts dead", 4),
    ] {
        let arguments: Vec<&str> = words.split(' ').chain(["-i", "hosts", "--output", "json"]).collect();
        let ended = project.run(&arguments);
        assert_eq!(ended.code, code, "{words}: {}", ended.shown());
        let lines = ended.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let errors: Vec<Value> = lines.filter(|line| line["event"] == "error").collect();
        let said = |error: &Value| error["message"].as_str().is_some_and(|text| text.contains("refused"));
        assert!(
            errors.len() == 1 && errors[0]["host"] == "dead" && said(&errors[0]),
            "{words}: {}",
            ended.shown()
        );
    }
    let ended = project.run(&["plan", "site.yml", "-i", "hosts"]);
    assert!(!ended.out.contains("nothing would change"), "{}", ended.shown());
}

#[test]
fn numbers_that_mean_nothing_are_wrong_options() {
    let project = Project::new(&[("site.yml", SITE)]);
    for arguments in
        [&["apply", "site.yml", "-f", "0"][..], &["apply", "site.yml", "-f", "x"], &["history", "-n", "0"]]
    {
        let ended = project.run(arguments);
        assert_eq!(ended.code, 5, "{}", ended.shown());
    }
    assert_eq!(project.run_as("ansible-playbook", &["-f", "0", "site.yml"]).code, 5);
    assert!(!project.root.join("out").exists());
}
