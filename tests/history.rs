//! `history`: what was done, from the ledger alone.

use crate::common::Project;

const SITE: &str = "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - name: put\n      copy: {dest: \"{{ playbook_dir }}/out\", content: \"{{ word }}\"}\n    - name: look\n      command: test \"{{ word }}\" != bad\n      changed_when: false\n";

fn project() -> Project {
    Project::new(&[("site.yml", SITE)])
}

#[test]
fn runs_are_remembered_without_values() {
    let project = project();
    assert!(project.run(&["history"]).fine().starts_with("nothing was recorded yet"));
    project.run(&["apply", "site.yml", "-e", "word=s3cr3t"]).fine();
    assert_eq!(project.run(&["apply", "site.yml", "-e", "word=bad"]).code, 2);
    let text = project.run(&["history"]).fine();
    assert!(!text.contains("s3cr3t"), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("theseus apply site.yml -e word=…") && lines[0].ends_with("exit 2"), "{text}");
    assert!(lines[1].contains("localhost  ok=1 changed=1 failed=1"), "{text}");
    assert!(lines[2].contains("look: "), "{text}");
    let one = project.run(&["history", "localhost", "-n", "1", "--output", "json"]).fine();
    let run: serde_json::Value = serde_json::from_str(one.trim()).unwrap();
    assert_eq!(
        (&run["event"], &run["exit"], &run["check"]),
        (&"run".into(), &2.into(), &false.into()),
        "{run}"
    );
    assert_eq!(run["hosts"][0]["host"], "localhost", "{run}");
    assert_eq!(project.run(&["history", "nobody"]).code, 1);
}

#[test]
fn a_ledger_that_cannot_be_written_ends_no_run() {
    let project = project();
    project.write("state", "this is a file");
    let ended = project.run(&["apply", "site.yml", "-e", "word=fine"]);
    assert!(ended.err.contains("this run is not recorded"), "{}", ended.shown());
    assert_eq!(project.read("out"), "fine");
    assert_eq!(ended.code, 0, "{}", ended.shown());
}

#[test]
fn a_newer_ledger_is_left_alone() {
    let project = project();
    project.run(&["apply", "site.yml", "-e", "word=fine"]).fine();
    let path = project.root.join("state/ledger.db");
    for log in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(path.with_file_name(log));
    }
    let mut bytes = std::fs::read(&path).unwrap();
    // SQLite's `user_version`.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let ended = project.run(&["history"]);
    assert!(ended.code == 1 && ended.err.contains("newer Theseus"), "{}", ended.shown());
    let ended = project.run(&["apply", "site.yml", "-e", "word=fine"]);
    assert!(ended.code == 0 && ended.err.contains("newer Theseus"), "{}", ended.shown());
}
