//! `vault`: files stay private and whole, whatever goes wrong.

use std::os::unix::fs::PermissionsExt;

use crate::common::Project;

const RIGHT: [&str; 2] = ["--vault-password-file", "right"];

fn project() -> Project {
    Project::new(&[("right", "right\n"), ("other", "other\n"), ("secret.yml", "a: 1\n")])
}

fn vault(project: &Project, action: &str, more: &[&str]) -> crate::common::Ended {
    project.run_as("ansible-vault", &[&[action], &RIGHT[..], more].concat())
}

fn mode(project: &Project, name: &str) -> u32 {
    std::fs::metadata(project.root.join(name)).unwrap().permissions().mode() & 0o777
}

fn editor(project: &Project, script: &str) {
    project.write("editor", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(project.root.join("editor"), PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_file_there_and_back() {
    let project = project();
    vault(&project, "encrypt", &["secret.yml"]).fine();
    assert!(project.read("secret.yml").starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
    assert_eq!(mode(&project, "secret.yml"), 0o600);
    assert_eq!(vault(&project, "view", &["secret.yml"]).fine(), "a: 1\n");
    insta::assert_snapshot!(vault(&project, "encrypt", &["secret.yml"]).shown());
    vault(&project, "decrypt", &["secret.yml"]).fine();
    assert_eq!(project.read("secret.yml"), "a: 1\n");
}

#[test]
fn a_wrong_password_changes_nothing() {
    let project = project();
    vault(&project, "encrypt", &["secret.yml"]).fine();
    let before = project.read("secret.yml");
    insta::assert_snapshot!(
        project.run(&["vault", "decrypt", "--vault-password-file", "other", "secret.yml"]).shown()
    );
    assert_eq!(project.read("secret.yml"), before);
}

#[test]
fn editing() {
    let project = project();
    editor(&project, "ls -l \"$1\" | cut -c1-10 > mode; echo 'b: 2' >> \"$1\"");
    let edit = |action: &str, name: &str| {
        let output = project
            .command("theseus", &[&["vault", action], &RIGHT[..], &[name]].concat())
            .env("EDITOR", "./editor")
            .output();
        project.ended(output.unwrap())
    };
    edit("create", "new.yml").fine();
    assert_eq!((project.read("mode").trim(), mode(&project, "new.yml")), ("-rw-------", 0o600));
    edit("edit", "new.yml").fine();
    assert_eq!(vault(&project, "view", &["new.yml"]).fine(), "b: 2\nb: 2\n");
    insta::assert_snapshot!(edit("create", "new.yml").shown());
    editor(&project, "echo lost > \"$1\"; exit 3");
    insta::assert_snapshot!(edit("edit", "new.yml").shown());
    assert_eq!(vault(&project, "view", &["new.yml"]).fine(), "b: 2\nb: 2\n");
}

#[test]
fn rekeying_takes_all_files_or_none() {
    let project = project();
    project.write("second.yml", "b: 2\n");
    vault(&project, "encrypt", &["secret.yml"]).fine();
    let before = project.read("secret.yml");
    let new = ["--new-vault-password-file", "other"];
    let ended = vault(&project, "rekey", &[&new[..], &["secret.yml", "second.yml"]].concat());
    assert_eq!((ended.code, project.read("secret.yml")), (1, before), "{}", ended.shown());
    vault(&project, "rekey", &[&new[..], &["secret.yml"]].concat()).fine();
    assert_eq!(
        project.run(&["vault", "view", "--vault-password-file", "other", "secret.yml"]).fine(),
        "a: 1\n"
    );
}

#[test]
fn strings_and_ids() {
    let project = project();
    let out = vault(&project, "encrypt_string", &["-n", "name", "value"]).fine();
    assert!(out.starts_with("name: !vault |\n          $ANSIBLE_VAULT;1.1;AES256\n"), "{out}");
    project.write("vars.yml", &out);
    project.write("site.yml", "- hosts: localhost\n  gather_facts: false\n  vars_files: [vars.yml]\n  tasks:\n    - assert: {that: name == 'value'}\n");
    project.run(&["apply", "site.yml", "--vault-password-file", "right"]).fine();
    let ids = ["--vault-id", "a@right", "--vault-id", "b@other"];
    insta::assert_snapshot!(
        project.run_as("ansible-vault", &[&["encrypt"], &ids[..], &["secret.yml"]].concat()).shown()
    );
    project
        .run_as(
            "ansible-vault",
            &[&["encrypt"], &ids[..], &["--encrypt-vault-id", "b", "secret.yml"]].concat(),
        )
        .fine();
    assert!(project.read("secret.yml").starts_with("$ANSIBLE_VAULT;1.2;AES256;b\n"));
}
