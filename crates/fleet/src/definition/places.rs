//! Where members live, and who gives them traffic.

use std::net::SocketAddr;
use std::path::PathBuf;

use playbook::definition::{entries, known};
use playbook::yaml::Node;

use super::{Result, word, words};
use crate::drivers::docker::Containers;

/// Where members live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverSpec {
    Lab {
        root: Option<String>,
        /// Generations are images that `theseus bake` made.
        images: bool,
        start: String,
        /// The playbook that changes members where they stand, and the group of its hosts that they are in.
        playbook: Option<(String, String)>,
    },
    Docker(Containers),
    /// Hosts of an inventory, changed where they stand by a playbook.
    Ssh {
        playbook: String,
        inventory: Vec<String>,
        hosts: String,
    },
}

/// Who gives them traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrafficSpec {
    Proxy { listen: SocketAddr, tcp: bool },
    HaProxy { socket: PathBuf, backend: String, config: Option<PathBuf> },
    Nginx { file: PathBuf, upstream: String, pid: PathBuf },
}

pub(super) fn lab(node: &Node) -> Result<DriverSpec> {
    let (mut root, mut images, mut start) = (None, false, String::new());
    let (mut playbook, mut hosts) = (None, "all".to_owned());
    for (key, value) in entries(node, "lab")? {
        match known(key, &["root", "images", "start", "playbook", "hosts"])? {
            "root" => root = Some(word(value)?),
            "playbook" => playbook = Some(word(value)?),
            "hosts" => hosts = word(value)?,
            "images" => {
                images = value.as_bool().ok_or_else(|| value.error("images is true or false"))?;
            }
            _ => start = word(value)?,
        }
    }
    if images && root.is_some() {
        return Err(node.error("members have either a root or an image"));
    }
    let playbook = playbook.map(|playbook| (playbook, hosts));
    Ok(DriverSpec::Lab { root, images, start, playbook })
}

pub(super) fn docker(node: &Node) -> Result<DriverSpec> {
    let mut containers = Containers {
        socket: PathBuf::from("/var/run/docker.sock"),
        image: "{generation}".to_owned(),
        network: None,
        command: Vec::new(),
        volumes: Vec::new(),
    };
    for (key, value) in entries(node, "docker")? {
        match known(key, &["socket", "image", "network", "command", "volumes"])? {
            "socket" => containers.socket = PathBuf::from(word(value)?),
            "image" => containers.image = word(value)?,
            "network" => containers.network = Some(word(value)?),
            "command" => containers.command = words(value)?,
            _ => containers.volumes = words(value)?,
        }
    }
    Ok(DriverSpec::Docker(containers))
}

pub(super) fn ssh(node: &Node) -> Result<DriverSpec> {
    let (mut playbook, mut inventory, mut hosts) = (None, Vec::new(), "all".to_owned());
    for (key, value) in entries(node, "ssh")? {
        match known(key, &["playbook", "inventory", "hosts"])? {
            "playbook" => playbook = Some(word(value)?),
            "hosts" => hosts = word(value)?,
            _ => inventory = if value.as_seq().is_some() { words(value)? } else { vec![word(value)?] },
        }
    }
    let playbook = playbook.ok_or_else(|| node.error("which playbook brings a server to a generation?"))?;
    Ok(DriverSpec::Ssh { playbook, inventory, hosts })
}

pub(super) fn traffic(node: &Node) -> Result<TrafficSpec> {
    let keys = &["proxy", "tcp", "haproxy", "backend", "config", "nginx", "upstream", "pid"];
    for (key, _) in entries(node, "traffic")? {
        known(key, keys)?;
    }
    let path = |name: &str| node.get(name).map(word).transpose().map(|found| found.map(PathBuf::from));
    let need = |name: &str, why: &str| match node.get(name) {
        Some(value) => word(value),
        None => Err(node.error(why.to_owned()).hint(format!("add `{name}: …`"))),
    };
    match (node.get("proxy"), path("haproxy")?, path("nginx")?) {
        (Some(value), None, None) => {
            let wrong = || value.error("an address and a port, for instance 127.0.0.1:8080");
            let listen = word(value)?.parse().map_err(|_| wrong())?;
            let truth = |value: &Node| value.as_bool().ok_or_else(|| value.error("tcp is true or false"));
            let tcp = node.get("tcp").map(truth).transpose()?.unwrap_or(false);
            Ok(TrafficSpec::Proxy { listen, tcp })
        }
        (None, Some(socket), None) => {
            let backend = need("backend", "which backend of HAProxy?")?;
            Ok(TrafficSpec::HaProxy { socket, backend, config: path("config")? })
        }
        (None, None, Some(file)) => {
            let upstream = need("upstream", "what is the upstream called?")?;
            let pid = path("pid")?.unwrap_or_else(|| PathBuf::from("/run/nginx.pid"));
            Ok(TrafficSpec::Nginx { file, upstream, pid })
        }
        _ => Err(node.error(
            "traffic is one of `proxy: ADDRESS:PORT`, `haproxy: SOCKET` with `backend: NAME`, and `nginx: FILE` with `upstream: NAME`",
        )),
    }
}
