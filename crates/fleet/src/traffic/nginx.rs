//! nginx, by configuration and reload: a file of ours holds the upstream. It counts no requests for us; that its old
//! workers have finished says that connections of servers without traffic have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Server, Traffic};
use crate::engine::MemberId;

/// How long a reload may take.
const RELOAD: Duration = Duration::from_secs(10);

pub struct Nginx {
    /// The file with the upstream, included by the server's own configuration.
    pub file: PathBuf,
    pub upstream: String,
    /// Where the master process writes its number.
    pub pid: PathBuf,
}

impl Nginx {
    fn master(&self) -> Result<i32, String> {
        let text = std::fs::read_to_string(&self.pid)
            .map_err(|error| format!("nginx: {}: {error}", self.pid.display()))?;
        text.trim().parse().map_err(|_| format!("nginx: {} holds no number", self.pid.display()))
    }

    /// Its workers; with each, whether it only finishes what it has begun.
    fn workers(master: i32) -> BTreeMap<i32, bool> {
        let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
        let children = children.unwrap_or_default();
        let all = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        let title = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        all.map(|pid| (pid, title(pid)))
            .filter(|(_, title)| title.contains("worker process"))
            .map(|(pid, title)| (pid, title.contains("shutting down")))
            .collect()
    }

    fn read(&self) -> BTreeMap<MemberId, Server> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().filter_map(entry).collect()
    }

    fn text(&self, servers: &BTreeMap<MemberId, Server>) -> String {
        let mut text = format!("# Written by theseus.\nupstream {} {{\n", self.upstream);
        for (id, server) in servers {
            let Some(address) = server.address else { continue };
            let share =
                if server.weight > 0 { format!("weight={}", server.weight) } else { "down".to_owned() };
            text.push_str(&format!("    server {address} {share} max_fails=0; # {id}\n"));
        }
        if !servers.values().any(|server| server.weight > 0) {
            // An upstream without servers is no configuration.
            text.push_str("    server 127.0.0.1:9 down;\n");
        }
        text.push_str("}\n");
        text
    }

    fn write(&self, servers: &BTreeMap<MemberId, Server>) -> Result<(), String> {
        let master = self.master()?;
        let before: BTreeSet<i32> = Self::workers(master).into_keys().collect();
        let said = |error: std::io::Error| format!("nginx: {}: {error}", self.file.display());
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, self.text(servers)).map_err(said)?;
        std::fs::rename(&beside, &self.file).map_err(said)?;
        let pid = Pid::from_raw(master).ok_or("nginx: process 0 is not it")?;
        kill_process(pid, Signal::HUP).map_err(|error| format!("nginx: process {master}: {error}"))?;
        let begun = Instant::now();
        loop {
            let workers = Self::workers(master);
            let fresh = workers.keys().any(|pid| !before.contains(pid));
            if fresh && workers.iter().all(|(pid, ends)| *ends || !before.contains(pid)) {
                return Ok(());
            }
            if begun.elapsed() > RELOAD {
                return Err("nginx has not taken its new configuration; its error log says why".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// `server ADDRESS weight=N …; # NAME`
fn entry(line: &str) -> Option<(MemberId, Server)> {
    let (server, name) = line.trim().strip_prefix("server ")?.split_once("; # ")?;
    let mut words = server.split(' ');
    let address = words.next()?.parse().ok()?;
    let weight = words.find_map(|word| word.strip_prefix("weight=")).and_then(|text| text.parse().ok());
    let server = Server { address: Some(address), weight: weight.unwrap_or(0), ..Server::default() };
    Some((MemberId::from(name), server))
}

impl Traffic for Nginx {
    fn servers(&self) -> Result<BTreeMap<MemberId, Server>, String> {
        let busy = Self::workers(self.master()?).values().any(|ends| *ends);
        let mut all = self.read();
        for server in all.values_mut().filter(|server| server.weight == 0) {
            server.open = u32::from(busy);
        }
        Ok(all)
    }

    fn weigh(&self, weights: &BTreeMap<MemberId, (u32, Option<SocketAddr>)>) -> Result<(), String> {
        let mut servers = self.read();
        for (id, (weight, address)) in weights {
            let server = servers.entry(id.clone()).or_default();
            server.weight = *weight;
            server.address = address.or(server.address);
        }
        self.write(&servers)
    }

    fn forget(&self, member: &MemberId) -> Result<(), String> {
        let mut servers = self.read();
        if servers.remove(member).is_none() {
            return Ok(());
        }
        self.write(&servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let nginx = Nginx { file: "/none".into(), upstream: "web".to_owned(), pid: "/none".into() };
        let server =
            |address: &str, weight| Server { address: address.parse().ok(), weight, ..Server::default() };
        let servers = BTreeMap::from([
            (MemberId::from("web-1"), server("10.0.0.1:80", 7)),
            (MemberId::from("web-2"), server("10.0.0.2:80", 0)),
        ]);
        let text = nginx.text(&servers);
        assert!(text.contains("server 10.0.0.2:80 down"), "{text}");
        assert_eq!(text.lines().filter_map(entry).collect::<BTreeMap<_, _>>(), servers);
        assert!(nginx.text(&BTreeMap::new()).contains("server 127.0.0.1:9 down;"));
    }
}
