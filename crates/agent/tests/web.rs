//! `get_url` and `uri` against a small server of our own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use serde_json::json;

use crate::host::Host;

/// Answers a few paths; returns its address. Ends with the test program.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    lines.push(line.trim_end().to_owned());
                }
                let Some(first) = lines.first().cloned() else { return };
                let header = |name: &str| {
                    lines
                        .iter()
                        .find_map(|l| l.to_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned))
                };
                let length: usize = header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, extra, content) = match path.as_str() {
                    "/file" if header("if-modified-since").is_some() => ("304 Not Modified", String::new(), Vec::new()),
                    "/file" => ("200 OK", String::new(), b"file content".to_vec()),
                    "/sums" => ("200 OK", String::new(), b"00 other\n0a50261ebd1a390fed2bf326f2673c145582a6342d523204973d0219337f8161  other2\n".to_vec()),
                    "/json" => ("200 OK", "Content-Type: application/json\r\n".into(), b"{\"a\": [1, 2]}".to_vec()),
                    "/moved" => ("302 Found", "Location: /json\r\n".into(), Vec::new()),
                    "/login" if header("authorization").is_some_and(|a| a == "basic dtpw") => ("200 OK", String::new(), b"in".to_vec()),
                    "/login" => ("401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n".into(), Vec::new()),
                    "/echo" => ("201 Created", format!("X-Type: {}\r\n", header("content-type").unwrap_or_default()), body),
                    _ => ("404 Not Found", String::new(), Vec::new()),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{extra}\r\n",
                    content.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                if !first.starts_with("HEAD") {
                    stream.write_all(&content).unwrap();
                }
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn downloads() {
    let base = server();
    let mut h = Host::new();
    let args = json!({"url": format!("{base}/file"), "dest": "W/g", "mode": "0600"});
    assert_eq!(h.check("get_url", args.clone())["changed"], json!(true));
    h.expect("get_url", args.clone(), json!({"changed": true, "checksum_dest": null, "msg": "OK (12 bytes)", "status_code": 200, "mode": "0600", "dest": "W/g"}));
    assert_eq!(h.get("g"), "file content");
    h.expect(
        "get_url",
        args,
        json!({"changed": false, "msg": "HTTP Error 304: Not Modified", "status_code": 304}),
    );
    h.expect(
        "get_url",
        json!({"url": format!("{base}/file"), "dest": "W/g", "force": true}),
        json!({"changed": false, "status_code": 200}),
    );
    h.expect(
        "get_url",
        json!({"url": format!("{base}/file"), "dest": "W"}),
        json!({"changed": true, "dest": "W/file"}),
    );
    let bad = json!({"url": format!("{base}/file"), "dest": "W/bad", "checksum": "sha256:00"});
    h.expect("get_url", bad, json!({"failed": true}));
    assert!(!h.work().join("bad").exists());
    let sum = "e0ac3601005dfa1864f5392aabaf7d898b1b5bab854f1acb4491bcd806b76b0c";
    h.expect(
        "get_url",
        json!({"url": format!("{base}/file"), "dest": "W/ok", "checksum": format!("sha256:{sum}")}),
        json!({"changed": true}),
    );
    h.expect(
        "get_url",
        json!({"url": format!("{base}/file"), "dest": "W/ok", "checksum": format!("sha256:{sum}")}),
        json!({"changed": false, "msg": "file already exists"}),
    );
    let no_sum = h.run(
        "get_url",
        json!({"url": format!("{base}/file"), "dest": "W/ok2", "checksum": format!("sha256:{base}/sums")}),
    );
    assert!(
        no_sum["msg"].as_str().unwrap().starts_with("Unable to find a checksum for file 'file'"),
        "{no_sum}"
    );
    h.expect("get_url", json!({"url": format!("{base}/none"), "dest": "W/x"}), json!({"failed": true, "msg": "Request failed", "status_code": 404, "response": "HTTP Error 404: Not Found"}));
    let r = h.run("get_url", json!({"url": "http://127.0.0.1:1/x", "dest": "W/x"}));
    assert!(r["msg"].as_str().unwrap().contains("Connection refused"), "{r}");
    h.put("local", "from file");
    h.expect(
        "get_url",
        json!({"url": format!("file://{}", h.path("local")), "dest": "W/copy"}),
        json!({"changed": true, "status_code": null}),
    );
    h.bye();
}

#[test]
fn talking() {
    let base = server();
    let mut h = Host::new();
    let at = |path: &str| format!("{base}{path}");
    h.expect("uri", json!({"url": at("/json"), "return_content": true}), json!({
        "changed": false, "status": 200, "json": {"a": [1, 2]}, "content": "{\"a\": [1, 2]}", "msg": "OK (13 bytes)", "redirected": false, "cookies": {},
    }));
    h.expect(
        "uri",
        json!({"url": at("/moved")}),
        json!({"status": 200, "redirected": true, "url": at("/json")}),
    );
    h.expect(
        "uri",
        json!({"url": at("/moved"), "follow_redirects": "none", "status_code": [302]}),
        json!({"status": 302}),
    );
    h.expect("uri", json!({"url": at("/none")}), json!({"failed": true, "status": 404, "msg": "Status code was 404 and not [200]: HTTP Error 404: Not Found"}));
    h.expect("uri", json!({"url": "http://127.0.0.1:1/"}), json!({"failed": true, "status": -1}));
    h.expect(
        "uri",
        json!({"url": at("/login"), "user": "u", "password": "wrong"}),
        json!({"failed": true, "status": 401}),
    );
    h.expect("uri", json!({"url": at("/login"), "user": "u", "password": "p"}), json!({"status": 200}));
    h.expect(
        "uri",
        json!({"url": at("/login"), "user": "u", "password": "p", "force_basic_auth": true}),
        json!({"status": 200}),
    );
    let form = json!({"url": at("/echo"), "method": "POST", "body_format": "form-urlencoded", "body": {"a b": "1&2"}, "status_code": 201, "return_content": true});
    h.expect("uri", form, json!({"content": "a+b=1%262", "x_type": "application/x-www-form-urlencoded"}));
    let sent = json!({"url": at("/echo"), "method": "PUT", "body_format": "json", "body": {"k": true}, "status_code": [200, 201], "return_content": true});
    h.expect("uri", sent, json!({"content": "{\"k\":true}", "x_type": "application/json"}));
    h.expect("uri", json!({"url": at("/json"), "dest": "W/j"}), json!({"changed": true, "path": "W/j"}));
    h.expect("uri", json!({"url": at("/json"), "dest": "W/j"}), json!({"changed": true}));
    assert_eq!(h.check("uri", json!({"url": at("/json")}))["skipped"], json!(true));
    h.bye();
}
