//! Modules that stand on one program of the host each; skipped where it is not installed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::json;

use crate::host::Host;

fn lacks(program: &str, test: &str) -> bool {
    let missing = !Path::new("/usr/bin").join(program).exists();
    if missing {
        println!("SKIPPED {test}: {program} is not installed");
    }
    missing
}

#[test]
fn key_pairs_are_made_once_and_mended() {
    if lacks("ssh-keygen", "key_pairs_are_made_once_and_mended") {
        return;
    }
    let mut host = Host::new();
    let args = json!({"path": "W/key", "type": "ed25519", "comment": "me here"});
    let checked = host.check("openssh_keypair", args.clone());
    assert_eq!(checked["changed"], true);
    assert!(!Path::new(&host.path("key")).exists());
    let made = host.expect(
        "openssh_keypair",
        args.clone(),
        json!({"changed": true, "type": "ed25519", "size": 256, "comment": "me here"}),
    );
    let mode = |host: &Host, name: &str| std::fs::metadata(host.path(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode(&host, "key"), mode(&host, "key.pub")), (0o600, 0o644));
    let same =
        json!({"changed": false, "public_key": made["public_key"], "fingerprint": made["fingerprint"]});
    host.expect("openssh_keypair", args.clone(), same.clone());
    std::fs::remove_file(host.path("key.pub")).unwrap();
    host.expect("openssh_keypair", args.clone(), json!({"changed": true, "public_key": made["public_key"]}));
    host.expect(
        "openssh_keypair",
        json!({"path": "W/key", "type": "ed25519", "comment": "other"}),
        json!({"changed": true, "comment": "other"}),
    );
    let wrong = json!({"path": "W/key", "type": "rsa", "size": 2048, "regenerate": "fail"});
    host.expect("openssh_keypair", wrong, json!({"failed": true}));
    assert!(host.get("key.pub").ends_with("other\n"));
    host.expect("openssh_keypair", json!({"path": "W/key", "state": "absent"}), json!({"changed": true}));
    host.expect("openssh_keypair", json!({"path": "W/key", "state": "absent"}), json!({"changed": false}));
    host.bye();
}

#[test]
fn a_passphrase_is_needed_and_never_an_argument() {
    if lacks("ssh-keygen", "a_passphrase_is_needed_and_never_an_argument") {
        return;
    }
    let mut host = Host::new();
    let args = json!({"path": "W/key", "type": "ed25519", "passphrase": "open it"});
    host.expect("openssh_keypair", args.clone(), json!({"changed": true}));
    host.expect("openssh_keypair", args, json!({"changed": false}));
    let wrong = json!({"path": "W/key", "type": "ed25519", "passphrase": "not this"});
    host.expect("openssh_keypair", wrong, json!({"failed": true}));
    assert!(!host.get("key").contains("open it"));
    host.bye();
}

#[test]
fn targets_are_made_when_they_are_not_up_to_date() {
    if lacks("make", "targets_are_made_when_they_are_not_up_to_date") {
        return;
    }
    let mut host = Host::new();
    host.put("Makefile", "out: in\n\tcp in out; echo $(WORD) >> out\nbad:\n\tfalse\n");
    host.put("in", "text\n");
    let args = json!({"chdir": "W", "target": "out", "params": {"WORD": "a b"}});
    assert_eq!(host.check("make", args.clone())["changed"], true);
    assert!(!Path::new(&host.path("out")).exists());
    host.expect("make", args.clone(), json!({"changed": true, "target": "out"}));
    assert_eq!(host.get("out"), "text\na b\n");
    host.expect("make", args, json!({"changed": false}));
    host.expect("make", json!({"chdir": "W", "target": "bad"}), json!({"failed": true, "rc": 2}));
    host.bye();
}
