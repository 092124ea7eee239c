//! `bake` and `image`, on a root file system that holds nothing but directories: what is not in it, the bake needs not.

use std::os::unix::fs::PermissionsExt;

use crate::common::{Ended, Project, lab_is_possible};

const DEFINITION: &str = "images:\n  small:\n    playbook: site.yml\n    base: base\n    groups: [web]\n    network: none\n    vars: {port: 80}\n";
const PLAYBOOK: &str = "- hosts: web\n  gather_facts: false\n  tasks:\n    - name: First\n      copy: {dest: /etc/first, content: 'one', mode: '0644'}\n    - name: Second\n      template: {src: second.j2, dest: /etc/second, mode: '0600'}\n    - name: Third\n      file: {path: /srv/third, state: directory, mode: '0750'}\n";

fn project() -> Project {
    let project = Project::new(&[
        ("theseus.yml", DEFINITION),
        ("site.yml", PLAYBOOK),
        ("second.j2", "port {{ port }} of {{ inventory_hostname }}\n"),
        ("base/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("base/etc/group", "root:x:0:\n"),
        ("base/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("base/root/.bash_history", "passwd\n"),
        ("base/usr/share/doc/x", "x\n"),
    ]);
    std::fs::set_permissions(project.root.join("base"), std::fs::Permissions::from_mode(0o755)).unwrap();
    project
}

/// The last object of that kind on standard output.
fn object(ended: &Ended, event: &str) -> serde_json::Value {
    let mut lines =
        ended.out.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.find(|line| line["event"] == event).unwrap_or_else(|| panic!("{}", ended.shown()))
}

fn bake(project: &Project, more: &[&str]) -> serde_json::Value {
    let mut words = vec!["bake", "small", "--output", "json"];
    words.extend(more);
    let ended = project.run(&words);
    assert_eq!(ended.code, 0, "{}", ended.shown());
    object(&ended, "image")
}

#[test]
fn what_was_done_is_not_done_again_and_the_same_is_the_same_to_the_byte() {
    if !lab_is_possible("what_was_done_is_not_done_again_and_the_same_is_the_same_to_the_byte") {
        return;
    }
    let project = project();
    let first = bake(&project, &[]);
    assert_eq!((&first["cached"], &first["run"]), (&0.into(), &3.into()), "{first}");
    let again = bake(&project, &[]);
    assert_eq!((&again["cached"], &again["run"]), (&3.into(), &0.into()), "{again}");
    let scratch = bake(&project, &["--from-scratch"]);
    assert_eq!(scratch["run"], 3, "{scratch}");
    assert_eq!((&first["digest"], &again["digest"]), (&again["digest"], &scratch["digest"]));

    project.write("second.j2", "the port is {{ port }}\n");
    let changed = bake(&project, &[]);
    assert_eq!((&changed["cached"], &changed["run"]), (&1.into(), &2.into()), "{changed}");
    assert_ne!(changed["digest"], first["digest"]);
    let before = format!("small@{}", first["digest"].as_str().unwrap());
    let diff = project.run(&["image", "diff", &before, "small", "--exit-code"]);
    assert_eq!(diff.code, 2, "{}", diff.shown());
    assert!(diff.out.contains("/etc/second") && !diff.out.contains("/etc/first"), "{}", diff.shown());

    let out = project.run(&["image", "export", "small", "--format", "rootfs", "--to", "root.tar"]);
    assert_eq!(out.code, 0, "{}", out.shown());
    let tar =
        std::process::Command::new("tar").args(["-tvf"]).arg(project.root.join("root.tar")).output().unwrap();
    let listed = String::from_utf8(tar.stdout).unwrap();
    assert!(listed.contains(" etc/second") && listed.contains(" usr/share/theseus/image.json"), "{listed}");
    assert!(!listed.contains("bash_history") && !listed.contains("policy-rc.d"), "{listed}");
    let id = listed.lines().find(|line| line.ends_with("etc/machine-id")).unwrap();
    assert!(id.contains(" 0 "), "it is empty: {id}");
}

#[test]
fn a_failed_bake_goes_on_where_it_failed_and_secrets_stay_out() {
    if !lab_is_possible("a_failed_bake_goes_on_where_it_failed_and_secrets_stay_out") {
        return;
    }
    let project = project();
    project.write(
        "site.yml",
        &format!("{PLAYBOOK}    - name: Last\n      copy: {{src: last, dest: /etc/last}}\n"),
    );
    let failed = project.run(&["bake", "small"]);
    assert_eq!(failed.code, 2, "{}", failed.shown());
    project.write("last", "token = ghp_abcdefghijklmnopqrstuvwxyz0123456789\n");
    let refused = project.run(&["bake", "small"]);
    assert_eq!(refused.code, 1, "{}", refused.shown());
    assert!(refused.err.contains("/etc/last:1: a GitHub token"), "{}", refused.shown());
    assert!(!refused.err.contains("ghp_"), "{}", refused.shown());
    project.write("last", "nothing\n");
    let baked = bake(&project, &[]);
    assert_eq!((&baked["cached"], &baked["run"]), (&3.into(), &1.into()), "{baked}");

    let untested = project.run(&["image", "promote", "small", "production"]);
    assert_eq!(untested.code, 1, "{}", untested.shown());
    project.run(&["image", "promote", "small", "production", "--untested"]).fine();
    let held = project.run(&["image", "rm", "small@production"]);
    assert_eq!(held.code, 1, "{}", held.shown());
    let nothing = project.run(&["image", "show", "smal"]);
    assert!(nothing.err.contains("there are: small"), "{}", nothing.shown());
}

#[test]
fn mistakes_in_the_definition_have_places() {
    let project = Project::new(&[("theseus.yml", "images:\n  web:\n    playbok: site.yml\n")]);
    let wrong = project.run(&["bake", "web"]);
    assert_eq!(wrong.code, 1, "{}", wrong.shown());
    assert!(
        wrong.err.contains("theseus.yml:3:5") && wrong.err.contains("did you mean `playbook`"),
        "{}",
        wrong.shown()
    );
}
