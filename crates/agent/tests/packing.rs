//! `archive` and `synchronize`: as the reference's own modules did with the same files.

use std::process::Command;

use serde_json::json;

use crate::host::Host;

fn names(host: &Host, archive: &str) -> Vec<String> {
    let listed = Command::new("tar").arg("-tf").arg(host.path(archive)).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn tree(host: &Host) {
    for dir in ["d", "d/sub", "d/empty"] {
        std::fs::create_dir(host.path(dir)).unwrap();
    }
    for file in ["d/one.txt", "d/two.log", "d/sub/three.txt", "f.txt"] {
        host.put(file, file);
    }
    std::os::unix::fs::symlink("one.txt", host.path("d/link")).unwrap();
}

#[test]
fn archives_are_made_once() {
    let mut host = Host::new();
    tree(&host);
    let single = json!({"path": "W/f.txt"});
    let wanted = json!({"changed": true, "dest": "W/f.txt.gz", "dest_state": "compress", "arcroot": "W/", "archived": ["W/f.txt"]});
    host.expect("archive", single.clone(), wanted);
    host.expect("archive", single, json!({"changed": false, "dest_state": "compress"}));
    let dir = json!({"path": "W/d", "dest": "W/d.tgz", "mode": "0600", "exclusion_patterns": ["*.log"]});
    assert_eq!(host.check("archive", dir.clone())["changed"], true);
    assert!(!host.work().join("d.tgz").exists());
    host.expect("archive", dir.clone(), json!({"changed": true, "dest_state": "archive", "mode": "0600"}));
    assert_eq!(names(&host, "d.tgz"), ["d/empty/", "d/link", "d/one.txt", "d/sub/", "d/sub/three.txt"]);
    host.expect("archive", dir.clone(), json!({"changed": false}));
    host.put("d/one.txt", "longer than before");
    host.expect("archive", dir, json!({"changed": true}));
    let many = json!({"path": ["W/d/*.txt", "W/gone"], "dest": "W/m.zip", "format": "zip"});
    let wanted = json!({"changed": true, "dest_state": "incomplete", "missing": ["W/gone"], "arcroot": "W/"});
    host.expect("archive", many.clone(), wanted);
    host.expect("archive", many, json!({"changed": false}));
    let removed = json!({"path": "W/d", "dest": "W/r.tar", "format": "tar", "remove": true});
    host.expect("archive", removed.clone(), json!({"changed": true}));
    assert!(!host.work().join("d").exists());
    host.expect("archive", removed, json!({"changed": false, "missing": ["W/d"], "dest_state": "archive"}));
    host.expect(
        "archive",
        json!({"path": "W/none*", "dest": "W/x.tgz"}),
        json!({"failed": true, "msg": "Error, no source paths were found"}),
    );
    host.bye();
}

#[test]
fn rsync_tells_what_it_changed() {
    if Command::new("rsync").arg("--version").output().is_err() {
        println!("SKIPPED rsync_tells_what_it_changed: rsync is not installed");
        return;
    }
    let mut host = Host::new();
    tree(&host);
    let sync = json!({"src": "W/d/", "dest": "W/copy", "delete": true});
    assert_eq!(host.check("synchronize", sync.clone())["changed"], true);
    assert!(!host.work().join("copy").exists());
    host.expect("synchronize", sync.clone(), json!({"changed": true, "rc": 0}));
    assert_eq!(host.get("copy/sub/three.txt"), "d/sub/three.txt");
    host.expect("synchronize", sync.clone(), json!({"changed": false}));
    host.put("copy/more", "");
    host.expect("synchronize", sync, json!({"changed": true}));
    assert!(!host.work().join("copy/more").exists());
    host.expect("synchronize", json!({"src": "W/none/", "dest": "W/copy"}), json!({"failed": true}));
    host.bye();
}
