//! Somebody else who looks: asks the balancer who has traffic, and each of these directly whether it is healthy. It
//! shares no code with what it observes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ground::{Balancer, Ground, MEMBERS};

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

pub(super) struct Seen {
    pub(super) looks: u64,
    pub(super) least: usize,
    /// What was seen when there were too few.
    pub(super) moment: Option<String>,
}

impl Observer {
    pub(super) fn of(ground: &Ground) -> Self {
        let (socket, balancer) = (ground.socket(), ground.balancer);
        let stop = Arc::<AtomicBool>::default();
        let ends = stop.clone();
        let thread = std::thread::spawn(move || look(&socket, balancer, &ends));
        Self { stop, thread }
    }

    pub(super) fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let lost = |_| Seen { looks: 0, least: 0, moment: Some("the observer has died".to_owned()) };
        self.thread.join().unwrap_or_else(lost)
    }
}

fn look(socket: &Path, balancer: Balancer, ends: &AtomicBool) -> Seen {
    let mut seen = Seen { looks: 0, least: usize::MAX, moment: None };
    while !ends.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(30));
        let Ok(before) = serving(socket, balancer) else { continue };
        let sick: Vec<&String> =
            before.iter().filter(|(_, address)| !healthy(**address)).map(|(name, _)| name).collect();
        // One that was taken out of traffic meanwhile may be gone by now: such a look says nothing.
        if serving(socket, balancer).ok().as_ref() != Some(&before) {
            continue;
        }
        seen.looks += 1;
        let count = before.len() - sick.len();
        if count < seen.least {
            seen.least = count;
            let names: Vec<&String> = before.keys().collect();
            seen.moment = (count < MEMBERS).then(|| format!("in traffic: {names:?}; not healthy: {sick:?}"));
        }
    }
    seen
}

/// Who has traffic.
fn serving(socket: &Path, balancer: Balancer) -> Result<BTreeMap<String, SocketAddr>> {
    match balancer {
        Balancer::Proxy => by_proxy(socket),
        Balancer::HaProxy => by_haproxy(socket),
    }
}

fn by_proxy(socket: &Path) -> Result<BTreeMap<String, SocketAddr>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"\"show\"\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let reply: Value = serde_json::from_str(&line)?;
    let servers = reply["servers"].as_object().context("no servers")?;
    let serves = |(name, server): (&String, &Value)| {
        server["weight"].as_u64().filter(|weight| *weight > 0)?;
        Some((name.clone(), server["address"].as_str()?.parse().ok()?))
    };
    Ok(servers.iter().filter_map(serves).collect())
}

fn by_haproxy(socket: &Path) -> Result<BTreeMap<String, SocketAddr>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"show servers state web\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    // be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight … srv_port
    let names = text.lines().find_map(|line| line.strip_prefix("# ")).context("no header")?;
    let names: Vec<&str> = names.split_whitespace().collect();
    let mut all = BTreeMap::new();
    for line in text.lines().skip(2).filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let field = |name: &str| {
            let at = names.iter().position(|known| *known == name)?;
            fields.get(at).copied()
        };
        let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        // Running, by nobody set aside, with a share.
        if number("srv_op_state") == 2 && number("srv_admin_state") == 0 && number("srv_uweight") > 0 {
            let address = format!("{}:{}", field("srv_addr").unwrap_or_default(), number("srv_port"));
            all.insert(field("srv_name").unwrap_or_default().to_owned(), address.parse()?);
        }
    }
    Ok(all)
}

fn healthy(address: SocketAddr) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: observer\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200 "))
    };
    asked().unwrap_or(false)
}
