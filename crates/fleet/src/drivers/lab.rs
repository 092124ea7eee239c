//! Members in namespaces of this machine: a lab host over a root directory (or the machine's own root) and a command.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;

use lab::{HostOptions, InitKind, Lab, LabHost};
use serde::{Deserialize, Serialize};

use super::{Driver, Found};
use crate::engine::{Fault, Generation, MemberId, Outcome};

/// What a host says of itself.
const LABEL: &str = "/run/theseus-member";
/// Written when the command has ended.
const ENDED: &str = "/run/theseus-ended";
const LOG: &str = "/run/theseus-log";

/// Tells where a generation's root is.
pub type Finder = Box<dyn Fn(&Generation) -> Result<PathBuf, String> + Send + Sync>;

/// Where members' roots come from.
pub enum Roots {
    /// All have the machine's own.
    Machine,
    /// `{generation}` is replaced by the generation's name.
    Folders(String),
    /// Somebody else knows, by the generation's name.
    Baked(Finder),
}

pub struct LabDriver {
    pub fleet: String,
    pub roots: Roots,
    pub start: String,
    pub port: u16,
}

#[derive(Serialize, Deserialize)]
struct Label {
    generation: Generation,
    zone: Option<String>,
}

impl LabDriver {
    fn lab(&self) -> Result<Lab, String> {
        let name: String =
            self.fleet.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        Lab::pool(&format!("fleet-{name}")).map_err(|error| error.to_string())
    }

    fn base(&self, generation: &Generation) -> Result<Option<PathBuf>, String> {
        let root = match &self.roots {
            Roots::Machine => return Ok(None),
            Roots::Baked(root) => return root(generation).map(Some),
            Roots::Folders(root) => root,
        };
        if generation.0.contains("..") || generation.0.starts_with('/') {
            return Err(format!("`{generation}` is no name of an image"));
        }
        let path = PathBuf::from(root.replace("{generation}", &generation.0));
        if path.is_dir() { Ok(Some(path)) } else { Err(format!("there is no root {}", path.display())) }
    }

    fn make(
        &self,
        member: &MemberId,
        generation: &Generation,
        zone: Option<&str>,
        base: Option<PathBuf>,
    ) -> Result<(), String> {
        let lab = self.lab()?;
        let said = |error: lab::Error| error.to_string();
        if let Ok(host) = lab.get(&member.0) {
            if host.alive() && host.read(LABEL).is_ok() {
                return Ok(());
            }
            lab.down(&member.0).map_err(said)?;
        }
        let options =
            HostOptions { base, init: InitKind::Small, disk: Some(1 << 30), ..HostOptions::new(&*member.0) };
        let host = lab.up(&[options]).map_err(said)?.pop().ok_or("no host was made")?;
        let label = Label { generation: generation.clone(), zone: zone.map(str::to_owned) };
        let label = serde_json::to_vec(&label).map_err(|error| error.to_string())?;
        self.begin(&host, member, generation)?;
        // The label comes last: a host without one was never finished, and is made anew.
        host.copy_in(LABEL, &label, 0o644).map_err(said)
    }

    fn begin(&self, host: &LabHost, member: &MemberId, generation: &Generation) -> Result<(), String> {
        // The command is the user's own text, from the project's file; names come as variables.
        let script = format!(
            "exec >{LOG} 2>&1 </dev/null; setsid sh -c 'sh -c \"$THESEUS_START\"; echo \"exit status $?\" >{ENDED}' &"
        );
        let status = host
            .command("/bin/sh")
            .args(["-c", &script])
            .env("THESEUS_START", &self.start)
            .env("THESEUS_GENERATION", &*generation.0)
            .env("THESEUS_MEMBER", &*member.0)
            .env("PORT", self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("starting {member}: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("starting {member}: {status}")) }
    }
}

impl Driver for LabDriver {
    fn observe(&self) -> Result<BTreeMap<MemberId, Found>, String> {
        let mut all = BTreeMap::new();
        for host in self.lab()?.list() {
            // Without process 1 nothing of it is left but its record.
            if !host.alive() && host.stray.is_none() {
                continue;
            }
            let label = host.read(LABEL).ok().and_then(|bytes| serde_json::from_slice::<Label>(&bytes).ok());
            // Without its label a launch is not over; one that was interrupted is made anew.
            let Some(label) = label else { continue };
            let ended = host.read(ENDED).ok().map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
            let stopped = if host.alive() { ended } else { Some("its process 1 has ended".to_owned()) };
            let address = Some(SocketAddr::new(IpAddr::V4(host.address), self.port));
            all.insert(
                MemberId::from(host.name.as_str()),
                Found { generation: Some(label.generation), zone: label.zone, stopped, address },
            );
        }
        Ok(all)
    }

    fn prepare(&self, generation: &Generation) -> Outcome {
        match self.base(generation) {
            Ok(_) => Outcome::Done,
            Err(why) => Outcome::Failed { fault: Fault::Image, why },
        }
    }

    fn launch(&self, member: &MemberId, generation: &Generation, zone: Option<&str>) -> Outcome {
        let base = match self.base(generation) {
            Ok(base) => base,
            Err(why) => return Outcome::Failed { fault: Fault::Image, why },
        };
        match self.make(member, generation, zone, base) {
            Ok(()) => Outcome::Done,
            Err(why) => Outcome::Failed { fault: Fault::Start, why },
        }
    }

    fn apply(&self, _: &MemberId, _: &Generation) -> Outcome {
        super::never_in_place()
    }

    fn retire(&self, member: &MemberId) -> Outcome {
        let gone = self.lab().and_then(|lab| match lab.down(&member.0) {
            Ok(()) | Err(lab::Error::NoSuchHost(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        });
        match gone {
            Ok(()) => Outcome::Done,
            Err(why) => Outcome::Failed { fault: Fault::Start, why },
        }
    }
}
