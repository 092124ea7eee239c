//! Wrong arguments of the modules that are used most: each is refused before anything is done, with its place.

use crate::common::Project;

/// A line each: the task, and what is said of it.
const WRONG: &str = include_str!("recorded/arguments.txt");

#[test]
fn wrong_arguments_of_every_kind_are_refused_before_the_run() {
    let rows: Vec<(&str, &str)> = WRONG.lines().filter_map(|line| line.split_once("  # ")).collect();
    let mut text = "- hosts: localhost\n  gather_facts: false\n  tasks:\n".to_owned();
    text.push_str("    - shell: touch {{ playbook_dir }}/done\n");
    for (task, _) in &rows {
        text.push_str(&format!("    - {task}\n"));
    }
    let project =
        Project::new(&[("site.yml", &text), ("templates/a.j2", "x"), ("a.tgz", "x"), ("b/a.yml", "[]\n")]);
    let ended = project.run(&["validate", "--output", "json", "site.yml"]);
    assert_eq!(ended.code, 1, "{}", ended.shown());
    let found: Vec<serde_json::Value> =
        ended.out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut wrong = Vec::new();
    for (at, (task, wanted)) in rows.iter().enumerate() {
        let here = |one: &&serde_json::Value| one["line"] == at + 5 && one["column"].is_u64();
        let said: Vec<&str> = found.iter().filter(here).filter_map(|one| one["message"].as_str()).collect();
        if !said.contains(wanted) {
            wrong.push(format!("{task}: {said:?}, not {wanted:?}"));
        }
    }
    assert!(rows.len() > 150 && wrong.is_empty(), "{} of {}\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    let applied = project.run(&["apply", "site.yml"]);
    assert_eq!(applied.code, 1, "{}", applied.shown());
    assert!(!project.root.join("done").exists(), "a task was done");
}
