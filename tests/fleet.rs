//! `fleet`, `rollout` and `proxy`, on lab hosts, with somebody who asks all the while.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Project, lab_is_possible};

const APP: &str = r#"
import os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
generation, began = os.environ["THESEUS_GENERATION"], time.time()
if generation.startswith("crash"):
    sys.exit(1)
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status, text = 200, generation
        if self.path == "/version" and generation.startswith("wrong"):
            text = "another"
        if self.path == "/" and generation.startswith("errors") and time.time() > began + 4:
            status = 500
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *words):
        pass
ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
"#;

fn python(test: &str) -> bool {
    let there = std::path::Path::new("/usr/bin/python3").exists();
    if !there {
        println!("SKIPPED {test}: no /usr/bin/python3 for the members' service");
    }
    there
}

/// A fleet of its own for this test, taken down however the test ends.
struct Fleet {
    project: Project,
    name: String,
    port: u16,
}

impl Fleet {
    fn new(what: &str, more: &str) -> Self {
        let project = Project::new(&[("app.py", APP)]);
        let name = format!("{what}{}", std::process::id());
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let app = project.root.join("app.py");
        let text = format!(
            "fleets:\n  {name}:\n    members: 3\n    image: v1\n    port: 8000\n    lab: {{start: \"exec /usr/bin/python3 {}\"}}\n    health: {{http: /health, min_ready: 300ms, boot: 20s, timeout: 2s}}\n    attest: {{http: /version}}\n    traffic: {{proxy: \"127.0.0.1:{port}\"}}\n{more}",
            app.display()
        );
        project.write("theseus.yml", &text);
        Self { project, name, port }
    }

    fn run(&self, words: &[&str]) -> crate::common::Ended {
        self.project.run(words)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.project.run(&["fleet", "down", &self.name]);
    }
}

/// One request on a connection that stays open; the status.
fn ask(stream: &mut TcpStream) -> std::io::Result<u16> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap_or(0);
        }
        if let Some(rest) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = rest.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(status)
}

/// Customers: some connections that ask all the while.
struct Load {
    stop: Arc<AtomicBool>,
    fine: Arc<AtomicU32>,
    failed: Arc<AtomicU32>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn on(port: u16) -> Self {
        let (stop, fine, failed) = <(Arc<AtomicBool>, Arc<AtomicU32>, Arc<AtomicU32>)>::default();
        let customer = |_| {
            let (stop, fine, failed) = (stop.clone(), fine.clone(), failed.clone());
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    match ask(&mut stream) {
                        Ok(200) => fine.fetch_add(1, Ordering::Relaxed),
                        other => {
                            eprintln!("a request failed: {other:?}");
                            stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        };
        let threads = (0..4).map(customer).collect();
        Self { stop, fine, failed, threads }
    }

    fn end(self) -> (u32, u32) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        (self.fine.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

#[test]
fn a_rollout_loses_no_request() {
    let test = "a_rollout_loses_no_request";
    if !lab_is_possible(test) || !python(test) {
        return;
    }
    let fleet = Fleet::new("calm", "    rollout: {soak: 300ms, bake: 300ms, drain: 5s}\n");
    let name = fleet.name.as_str();
    fleet.run(&["fleet", "up", name]).fine();
    let load = Load::on(fleet.port);
    let shown = fleet.run(&["rollout", "start", name, "--to", "v2", "--output", "json"]).fine();
    let last = shown.lines().last().unwrap();
    assert!(last.contains(r#""state":"succeeded""#) && last.contains(r#""healthy":3"#), "{last}");
    assert!(
        !shown.lines().any(|line| [r#""healthy":2"#, r#""healthy":1"#].iter().any(|few| line.contains(few))),
        "{shown}"
    );

    // After completion, too; and what was called back is bad from now on.
    assert_eq!(fleet.run(&["rollout", "back", name]).code, 2);
    let refused = fleet.run(&["rollout", "start", name, "--to", "v2"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("known to be bad"), "{}", refused.shown());

    // A controller that is killed in the middle.
    let mut killed = fleet.project.command("theseus", &["rollout", "start", name, "--to", "v3"]);
    let mut killed = killed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let resumed = fleet.run(&["rollout", "resume", name]);
    assert_eq!(resumed.code, 0, "{}", resumed.shown());
    let (fine, failed) = load.end();
    assert!(failed == 0 && fine > 200, "{failed} of {} requests failed", fine + failed);
    let status = fleet.run(&["fleet", "status", name]).fine();
    assert!(status.contains("3 of 3 healthy") && status.contains("v3"), "{status}");
}

#[test]
fn bad_images_go_back_by_themselves() {
    let test = "bad_images_go_back_by_themselves";
    if !lab_is_possible(test) || !python(test) {
        return;
    }
    let more = "    rollout: {soak: 5s, failures: 0}\n    gates:\n      - {name: errors, traffic: {errors: 1, requests: 5}, every: 500ms}\n";
    let fleet = Fleet::new("bad", more);
    let name = fleet.name.as_str();
    fleet.run(&["fleet", "up", name]).fine();
    let load = Load::on(fleet.port);
    for (image, why) in [("crash", "have failed"), ("wrong", "have failed"), ("errors", "gate errors fails")]
    {
        let ended = fleet.run(&["rollout", "start", name, "--to", image]);
        assert_eq!(ended.code, 2, "{image}: {}", ended.shown());
        assert!(ended.out.contains(why), "{image}: {}", ended.shown());
        let again = fleet.run(&["rollout", "start", name, "--to", image]);
        assert!(again.code == 1 && again.err.contains("known to be bad"), "{image}: {}", again.shown());
    }
    load.end();
}

#[test]
fn wrong_fleets_are_said() {
    let project = Project::new(&[("theseus.yml", "fleets:\n  web:\n    image: v1\n    members: some\n")]);
    let ended = project.run(&["fleet", "up", "web"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.contains("theseus.yml:4:14") && ended.err.contains("whole number"),
        "{}",
        ended.shown()
    );
    let none = Project::new(&[]).run(&["rollout", "plan", "web"]);
    assert!(none.code == 1 && none.err.contains("declares no fleets"), "{}", none.shown());
}
