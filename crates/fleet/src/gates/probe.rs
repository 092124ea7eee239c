//! HTTP, TCP, commands and webhooks: asking somebody directly.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Cohorts;
use crate::engine::{Health, Verdict};
use crate::http;

/// How a member's health is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    Http(String),
    Tcp,
}

/// A refused or wrong answer is sick; there is no third way to be asked on a private network.
#[must_use]
pub fn health(probe: &Probe, address: SocketAddr, timeout: Duration) -> Health {
    let healthy = match probe {
        Probe::Http(path) => {
            http::get(address, path, timeout).is_ok_and(|answer| (200..400).contains(&answer.status))
        }
        Probe::Tcp => TcpStream::connect_timeout(&address, timeout).is_ok(),
    };
    if healthy { Health::Healthy } else { Health::Sick }
}

pub(super) fn url(url: &str, timeout: Duration) -> Verdict {
    match http::call(url, None, timeout) {
        Ok(answer) if (200..400).contains(&answer.status) => Verdict::Pass,
        Ok(answer) => Verdict::Fail(format!("{url} answers {}", answer.status)),
        Err(why) => Verdict::Error(why),
    }
}

pub(super) fn members(of: &Cohorts, path: &str, timeout: Duration) -> Verdict {
    let new = of.members.iter().filter(|(id, (generation, _))| {
        Some(generation) == of.new.as_ref() && of.servers.get(*id).is_none_or(|server| server.weight > 0)
    });
    for (id, (_, address)) in new {
        let Some(address) = address else { continue };
        match http::get(*address, path, timeout) {
            Ok(answer) if (200..400).contains(&answer.status) => {}
            Ok(answer) => return Verdict::Fail(format!("{id} answers {} to {path}", answer.status)),
            Err(why) => return Verdict::Fail(format!("{id}: {why}")),
        }
    }
    Verdict::Pass
}

pub(super) fn tcp(address: &str, timeout: Duration) -> Verdict {
    let found = address.to_socket_addrs().ok().and_then(|mut all| all.next());
    let Some(found) = found else { return Verdict::Error(format!("{address} is no address")) };
    match TcpStream::connect_timeout(&found, timeout) {
        Ok(_) => Verdict::Pass,
        Err(error) => Verdict::Fail(format!("{address}: {error}")),
    }
}

pub(super) fn exec(command: &str, of: &Cohorts, timeout: Duration) -> Verdict {
    let name = |generation: &Option<crate::engine::Generation>| {
        generation.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    // The command is the person's own text; what differs comes as variables.
    let child = Command::new("/bin/sh")
        .args(["-c", command])
        .env("THESEUS_FLEET", &of.fleet)
        .env("THESEUS_NEW", name(&of.new))
        .env("THESEUS_OLD", name(&of.old))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Verdict::Error(error.to_string()),
    };
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < timeout => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Verdict::Error(format!("`{command}` has not ended within {} s", timeout.as_secs()));
            }
        }
    };
    match status.code() {
        Some(0) => Verdict::Pass,
        Some(1) => Verdict::Fail(format!("`{command}` says no")),
        Some(2) => Verdict::Inconclusive,
        _ => Verdict::Error(format!("`{command}`: {status}")),
    }
}

pub(super) fn webhook(url: &str, of: &Cohorts, timeout: Duration) -> Verdict {
    let body = serde_json::json!({"fleet": of.fleet, "rollout": of.rollout, "from": of.old, "to": of.new});
    match http::call(url, Some(&body.to_string()), timeout) {
        Ok(answer) => match answer.status {
            202 => Verdict::Inconclusive,
            200..=299 => Verdict::Pass,
            400..=499 => Verdict::Fail(format!("{url} answers {}", answer.status)),
            status => Verdict::Error(format!("{url} answers {status}")),
        },
        Err(why) => Verdict::Error(why),
    }
}
