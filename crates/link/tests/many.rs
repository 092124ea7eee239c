//! Many connections at once: none is lost, and they take little memory.

use std::sync::Arc;
use std::time::Duration;

use link::{CallEnd, Link, NoBlobs};
use serde_json::json;

use crate::sshd::{Sshd, over};
use crate::support::{call, connect, missing};

const HOSTS: usize = 200;

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_connections_lose_nothing() {
    if missing("two_hundred_connections_lose_nothing", &["sshd", "ssh-keygen"]) {
        return;
    }
    let sshd = Sshd::start("");
    let mut target = over(sshd.target());
    // Two hundred at once on two processors: the last ones wait for the first.
    target.timeout = Duration::from_secs(300);
    let target = Arc::new(target);
    drop(connect(&target).await.unwrap());
    let before = memory();
    let start = std::time::Instant::now();
    let connecting: Vec<_> = (0..HOSTS)
        .map(|_| {
            let target = Arc::clone(&target);
            tokio::spawn(async move { connect(&target).await })
        })
        .collect();
    let mut links: Vec<Link> = Vec::new();
    for link in connecting {
        links.push(link.await.unwrap().unwrap_or_else(|e| panic!("{} connected: {e}", links.len())));
    }
    let connected = start.elapsed();
    let calls: Vec<_> = links
        .iter()
        .flat_map(|link| (0..5).map(|n| link.call(0, 0, call("echo", json!({"n": n})), Arc::new(NoBlobs))))
        .collect();
    for handle in calls {
        assert!(matches!(handle.await, Ok(CallEnd::Done { .. })));
    }
    let grown = memory().saturating_sub(before);
    println!("{HOSTS} connections in {connected:.1?}, {} kB each", grown / HOSTS as u64);
    assert!(grown < 100 * 1024, "{HOSTS} connections took {grown} kB");
    for link in links {
        link.bye(false, false).await.unwrap();
    }
}
