//! A module that fails half-way leaves every file as it was: no half of a new one, nothing of its own beside it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;

use catalog::Json;
use serde_json::json;

use crate::host::Host;

/// Every name below the working directory, with its content.
fn all(host: &Host) -> BTreeMap<String, Vec<u8>> {
    fn below(dir: &std::path::Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else {
                found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    below(&host.work(), &mut found);
    found
}

/// Promises a hundred bytes and sends ten.
fn liar() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            _ = stream.read(&mut [0; 4096]);
            _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n0123456789");
        }
    });
    format!("http://{address}/file")
}

fn tarball(host: &Host) {
    let mut noise = 1_u64;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (noise >> 56) as u8
    })
    .take(200_000)
    .collect();
    std::fs::write(host.path("big"), content).unwrap();
    let made =
        std::process::Command::new("tar").args(["-czf", "cut.tgz", "big"]).current_dir(host.work()).status();
    assert!(made.unwrap().success());
    let whole = std::fs::read(host.path("cut.tgz")).unwrap();
    std::fs::write(host.path("cut.tgz"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(host.path("big"), "as it was").unwrap();
}

#[test]
fn what_fails_half_way_leaves_no_half_file() {
    let mut host = Host::new();
    host.put("there", "one\ntwo\n");
    std::fs::create_dir(host.path("parts")).unwrap();
    host.put("parts/a", "part\n");
    tarball(&host);
    let before = all(&host);
    let address = liar();
    let no = "/bin/false %s";
    let tasks: Vec<(&str, Json)> = vec![
        ("get_url", json!({"url": address, "dest": "W/there", "force": true})),
        ("get_url", json!({"url": address, "dest": "W/new"})),
        ("unarchive", json!({"src": "W/cut.tgz", "dest": "W", "remote_src": true})),
        ("copy", json!({"dest": "W/there", "_content": "none", "_inline": "eA==", "validate": no})),
        ("copy", json!({"src": "W/parts/a", "dest": "W/new", "remote_src": true, "validate": no})),
        ("lineinfile", json!({"path": "W/there", "line": "three", "validate": no})),
        ("blockinfile", json!({"path": "W/there", "block": "three", "validate": no})),
        ("replace", json!({"path": "W/there", "regexp": "one", "replace": "1", "validate": no})),
        ("assemble", json!({"src": "W/parts", "dest": "W/there", "validate": no})),
        ("archive", json!({"path": ["W/there", "W/big"], "dest": "W/nowhere/deeper/x.tgz"})),
        ("ini_file", json!({"path": "W/parts", "section": "a", "option": "b", "value": "c"})),
    ];
    for (module, args) in tasks {
        let result = host.run(module, args.clone());
        assert_eq!(result["failed"], json!(true), "{module} {args}: {result}");
        assert_eq!(all(&host), before, "{module} {args}: {result}");
    }
    host.bye();
}
