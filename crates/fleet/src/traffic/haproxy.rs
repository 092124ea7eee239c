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
}

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
        if said.trim().is_empty() { Ok(()) } else { Err(format!("HAProxy: {}", said.trim())) }
    }

    fn forget(&self, member: &MemberId) -> Result<(), String> {
        if !self.servers()?.contains_key(member) {
            return Ok(());
        }
        let name = self.name(member);
        let said = self.ask(&format!("set server {name} state maint;del server {name}"))?;
        if said.contains("Server deleted") || said.contains("No such server") {
            return Ok(());
        }
        Err(format!("HAProxy does not let {name} go: {}", said.trim()))
    }
}
