//! Packages and repositories of zypper, beside what the collection's modules returned for the same tasks one after the
//! other (`recorded/zypper.json`), with the real zypper on packages of our own.

use serde_json::json;

use crate::host::Host;
use crate::recorded::{in_order, prepare};
use crate::system::{in_a_copy, lacks};

/// A host in a copy of this machine, with zypper set up; `None`: there is none, or the test runs inside now.
fn host(test: &str) -> Option<Host> {
    let lacking = ["zypper", "rpmbuild", "createrepo_c", "modifyrepo_c"].iter().any(|it| lacks(test, it));
    if lacking || !in_a_copy(&format!("zypper::{test}")) {
        return None;
    }
    let host = Host::new();
    prepare(&host, include_str!("recorded/zypper.sh"));
    Some(host)
}

#[test]
fn packages_and_repositories_are_as_recorded() {
    let Some(mut host) = host("packages_and_repositories_are_as_recorded") else { return };
    in_order(&mut host, include_str!("recorded/zypper.json"));
    host.bye();
}

#[test]
fn a_repository_in_check_mode_is_told_and_not_made() {
    let Some(mut host) = host("a_repository_in_check_mode_is_told_and_not_made") else { return };
    let module = "community.general.zypper_repository";
    let args = json!({"name": "r", "repo": "dir:W/repo2"});
    for _ in 0..2 {
        assert_eq!(host.check(module, args.clone())["changed"], true);
    }
    host.expect(module, args.clone(), json!({"changed": true}));
    assert_eq!(host.check(module, args)["changed"], false);
    let gone = json!({"name": "r", "state": "absent"});
    assert_eq!(host.check(module, gone.clone())["changed"], true);
    host.expect(module, gone, json!({"changed": true}));
    // Variables are zypper's: a task that names them finds what it made.
    let args = json!({"name": "v", "repo": "http://127.0.0.1:1/$basearch/x"});
    host.expect(module, args.clone(), json!({"changed": true}));
    host.expect(module, args, json!({"changed": false}));
    host.bye();
}

#[test]
fn package_is_zypper_where_a_task_says_so() {
    let Some(mut host) = host("package_is_zypper_where_a_task_says_so") else { return };
    let args = json!({"name": ["glibc", "zlib-two"], "use": "zypper", "state": "installed"});
    let made = host.expect("package", args.clone(), json!({"changed": true, "rc": 0}));
    assert_eq!(made["diff"]["prepared"], "installed: glibc, zlib-one, zlib-two\n");
    host.expect("package", args, json!({"changed": false}));
    assert_eq!(std::fs::read_to_string("/opt/ztest/zlib-one").unwrap(), "2.0\n");
    host.bye();
}
