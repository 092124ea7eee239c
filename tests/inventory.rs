//! `inventory`: what is printed is what Ansible prints.

use crate::common::Project;

fn project() -> Project {
    Project::new(&[
        (
            "hosts.ini",
            "lone\n[web]\nweb[1:2] http=80 flag=True\n[db]\ndb1\n[db:vars]\nx=1\n[prod:children]\nweb\ndb\n[prod:vars]\nlevel=prod\n",
        ),
        ("group_vars/prod.yml", "level: file\nlist: [1, two, {a: null}]\nraw: !unsafe \"{{ x }}\"\n"),
        ("host_vars/web1.yml", "own: {b: 1, a: 2}\n"),
    ])
}

fn shown(arguments: &[&str]) -> String {
    project().run_as("ansible-inventory", &[&["-i", "hosts.ini"], arguments].concat()).shown()
}

#[test]
fn list() {
    insta::assert_snapshot!(shown(&["--list"]));
}

#[test]
fn list_as_yaml() {
    insta::assert_snapshot!(shown(&["--list", "--yaml", "--limit", "web"]));
}

#[test]
fn export() {
    insta::assert_snapshot!(shown(&["--list", "--export"]));
}

#[test]
fn graph() {
    insta::assert_snapshot!(shown(&["--graph", "prod", "--vars"]));
}

#[test]
fn host() {
    insta::assert_snapshot!(shown(&["--host", "web1"]));
}

#[test]
fn wrong_questions() {
    let all = [
        shown(&[]),
        shown(&["--list", "--graph"]),
        shown(&["--host", "nobody"]),
        shown(&["--graph", "nothing"]),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn into_a_file() {
    let project = project();
    project.run_as("ansible-inventory", &["-i", "hosts.ini", "--graph", "--output", "graph"]).fine();
    assert!(project.read("graph").starts_with("@all:\n"));
}

/// What is printed for inventories that are computed is what ansible-core 2.19 printed (in `tests/recorded`).
#[test]
fn computed_inventories_are_as_recorded() {
    let project = Project::new(&[
        ("constructed-hosts.ini", include_str!("recorded/constructed-hosts.ini")),
        ("constructed.yml", include_str!("recorded/constructed.yml")),
        ("generator.yml", include_str!("recorded/generator.yml")),
    ]);
    let listed = project
        .run_as("ansible-inventory", &["-i", "constructed-hosts.ini", "-i", "constructed.yml", "--list"]);
    assert_eq!(listed.out, include_str!("recorded/constructed.json"), "{}", listed.shown());
    let graph = project.run_as("ansible-inventory", &["-i", "generator.yml", "--graph", "--vars"]);
    assert_eq!(graph.out, include_str!("recorded/generator.txt"), "{}", graph.shown());
}
