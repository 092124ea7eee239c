//! Talking to a running `theseus proxy` over its socket: one JSON line each way.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Server, Traffic};
use crate::engine::MemberId;

/// What may be asked of a proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Show,
    /// All of these at once.
    Weigh(BTreeMap<String, (u32, Option<SocketAddr>)>),
    Forget(String),
    /// End, now.
    Stop,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Servers(BTreeMap<String, Server>),
    Refused(String),
}

/// A proxy's socket.
pub struct ProxyClient {
    pub socket: PathBuf,
}

impl ProxyClient {
    pub fn ask(&self, request: &Request) -> Result<BTreeMap<String, Server>, String> {
        let said = |error: std::io::Error| format!("the proxy at {}: {error}", self.socket.display());
        let mut stream = UnixStream::connect(&self.socket).map_err(said)?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(said)?;
        let mut line = serde_json::to_string(request).map_err(|error| error.to_string())?;
        line.push('\n');
        stream.write_all(line.as_bytes()).map_err(said)?;
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).map_err(said)?;
        match serde_json::from_str(&reply) {
            Ok(Reply::Servers(servers)) => Ok(servers),
            Ok(Reply::Refused(why)) => Err(why),
            Err(error) => Err(format!("the proxy at {}: {error}", self.socket.display())),
        }
    }
}

impl Traffic for ProxyClient {
    fn servers(&self) -> Result<BTreeMap<MemberId, Server>, String> {
        Ok(self
            .ask(&Request::Show)?
            .into_iter()
            .map(|(name, server)| (MemberId::from(name), server))
            .collect())
    }

    fn weigh(&self, weights: &BTreeMap<MemberId, (u32, Option<SocketAddr>)>) -> Result<(), String> {
        let weights = weights.iter().map(|(id, share)| (id.to_string(), *share)).collect();
        self.ask(&Request::Weigh(weights)).map(drop)
    }

    fn forget(&self, member: &MemberId) -> Result<(), String> {
        self.ask(&Request::Forget(member.to_string())).map(drop)
    }
}
