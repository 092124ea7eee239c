//! HAProxy, by its runtime API: servers are added and removed while it runs, and their weights set in one batch.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::{Server, Traffic};
use crate::engine::MemberId;

pub struct HaProxy {
    pub socket: PathBuf,
    pub backend: String,
    /// HAProxy's configuration, where the servers stand between two marks, so that they are there after a reload.
    pub config: Option<PathBuf>,
}

const BEGIN: &str = "# theseus begins";
const END: &str = "# theseus ends";

impl HaProxy {
    fn ask(&self, commands: &str) -> Result<String, String> {
        let said = |error: std::io::Error| format!("HAProxy at {}: {error}", self.socket.display());
        let mut stream = UnixStream::connect(&self.socket).map_err(said)?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(said)?;
        stream.write_all(format!("{commands}\n").as_bytes()).map_err(said)?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map_err(said)?;
        Ok(text)
    }

    /// Writes down for a reload what holds now.
    fn keep(&self) -> Result<(), String> {
        let Some(config) = &self.config else { return Ok(()) };
        let said = |error: std::io::Error| format!("HAProxy: {}: {error}", config.display());
        let text = std::fs::read_to_string(config).map_err(said)?;
        let with = with_servers(&text, &self.backend, &self.servers()?).ok_or_else(|| {
            format!("HAProxy: {} has no lines `{BEGIN} {}` and `{END}`", config.display(), self.backend)
        })?;
        if with == text {
            return Ok(());
        }
        let beside = config.with_extension("theseus");
        std::fs::write(&beside, with).map_err(said)?;
        std::fs::rename(&beside, config).map_err(said)
    }

    fn name(&self, member: &MemberId) -> String {
        format!("{}/{member}", self.backend)
    }

    /// Adds a server that is not there yet, with a weight of nothing; it is up only when it gets one.
    fn add(&self, member: &MemberId, address: SocketAddr) -> Result<(), String> {
        let name = self.name(member);
        let said = self.ask(&format!("add server {name} {address} weight 100"))?;
        if said.contains("New server registered") || said.contains("Already exists") {
            return Ok(());
        }
        Err(format!("HAProxy does not take server {name}: {}", said.trim()))
    }
}

impl Traffic for HaProxy {
    fn servers(&self) -> Result<BTreeMap<MemberId, Server>, String> {
        let text = self.ask("show stat")?;
        let mut lines = text.lines();
        let header: Vec<&str> =
            lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
        let at = |name: &str| header.iter().position(|known| *known == name);
        let (Some(proxy), Some(server)) = (at("pxname"), at("svname")) else {
            return Err(format!("HAProxy says something else: {}", text.lines().next().unwrap_or_default()));
        };
        let mut all = BTreeMap::new();
        for fields in lines.map(|line| line.split(',').collect::<Vec<_>>()) {
            let field = |name: &str| at(name).and_then(|at| fields.get(at)).copied().unwrap_or_default();
            let number = |name: &str| field(name).parse::<u64>().unwrap_or(0);
            if fields.get(proxy) != Some(&self.backend.as_str())
                || matches!(field("svname"), "BACKEND" | "FRONTEND")
            {
                continue;
            }
            // What is set aside gets nothing, whatever its weight says.
            let serves = field("status").starts_with("UP") || field("status").starts_with("no check");
            let weight =
                if serves { u32::try_from(number("uweight").max(number("weight"))).unwrap_or(0) } else { 0 };
            let found = Server {
                address: field("addr").parse().ok(),
                weight,
                open: u32::try_from(number("scur")).unwrap_or(u32::MAX),
                requests: number("stot"),
                errors: number("hrsp_5xx") + number("econ") + number("eresp"),
                millis: number("ttime") * number("stot"),
            };
            all.insert(MemberId::from(fields[server]), found);
        }
        Ok(all)
    }

    fn weigh(&self, weights: &BTreeMap<MemberId, (u32, Option<SocketAddr>)>) -> Result<(), String> {
        let known = self.servers()?;
        let mut commands = Vec::new();
        // First those that come, then those that go: at no moment nobody is there.
        let mut ordered: Vec<_> = weights.iter().collect();
        ordered.sort_by_key(|(_, (weight, _))| *weight == 0);
        for (member, (weight, address)) in ordered {
            let name = self.name(member);
            if !known.contains_key(member) {
                let Some(address) = address.filter(|_| *weight > 0) else { continue };
                self.add(member, address)?;
            }
            if *weight > 0 {
                commands.push(format!("set server {name} weight {weight};set server {name} state ready"));
            } else {
                commands.push(format!("set server {name} state drain"));
            }
        }
        if commands.is_empty() {
            return Ok(());
        }
        let said = self.ask(&commands.join(";"))?;
        if said.trim().is_empty() { self.keep() } else { Err(format!("HAProxy: {}", said.trim())) }
    }

    fn forget(&self, member: &MemberId) -> Result<(), String> {
        if !self.servers()?.contains_key(member) {
            return Ok(());
        }
        let name = self.name(member);
        let said = self.ask(&format!("set server {name} state maint;del server {name}"))?;
        if said.contains("Server deleted") || said.contains("No such server") {
            return self.keep();
        }
        Err(format!("HAProxy does not let {name} go: {}", said.trim()))
    }
}

/// The configuration with these servers between the marks of a backend; none: there are no marks.
fn with_servers(text: &str, backend: &str, servers: &BTreeMap<MemberId, Server>) -> Option<String> {
    let mut lines = text.split_inclusive('\n');
    let mut with = String::new();
    let begin = lines.by_ref().find(|line| {
        with.push_str(line);
        line.trim().strip_prefix(BEGIN).is_some_and(|name| name.trim() == backend)
    })?;
    let indent: String = begin.chars().take_while(|c| c.is_whitespace()).collect();
    for (id, server) in servers {
        if let Some(address) = server.address {
            with.push_str(&format!("{indent}server {id} {address} weight {}\n", server.weight));
        }
    }
    let end = lines.by_ref().find(|line| line.trim() == END)?;
    with.push_str(end);
    with.extend(lines);
    Some(with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_stand_between_the_marks() {
        let server = |weight| Server { address: "10.0.0.1:80".parse().ok(), weight, ..Server::default() };
        let servers =
            BTreeMap::from([(MemberId::from("web-1"), server(100)), (MemberId::from("web-2"), server(0))]);
        let text = "backend web\n  balance roundrobin\n  # theseus begins web\n  server old 1.2.3.4:5\n  # theseus ends\nbackend other\n";
        let with = with_servers(text, "web", &servers).unwrap_or_default();
        assert_eq!(
            with,
            "backend web\n  balance roundrobin\n  # theseus begins web\n  server web-1 10.0.0.1:80 weight 100\n  server web-2 10.0.0.1:80 weight 0\n  # theseus ends\nbackend other\n"
        );
        assert_eq!(with_servers(&with, "web", &servers).as_deref(), Some(&*with));
        assert_eq!(with_servers(text, "other", &servers), None);
    }
}
