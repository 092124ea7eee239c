//! Members in namespaces of this machine: a lab host over a root directory (or the machine's own root) and a command.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;

use lab::{HostOptions, InitKind, Lab, LabHost};
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::{Driver, Found};
use crate::engine::{Fault, Generation, MemberId, Outcome};

/// What a host says of itself.
const LABEL: &str = "/run/theseus-member";
/// The process group of the command.
const SERVICE: &str = "/run/theseus-service";
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

/// How members are changed where they stand.
pub struct InPlace {
    pub change: Change,
    /// The group of the playbook's hosts that members are in.
    pub group: String,
    /// Where an inventory is kept while a playbook runs.
    pub folder: PathBuf,
}

pub struct LabDriver {
    pub fleet: String,
    pub roots: Roots,
    pub start: String,
    pub port: u16,
    pub in_place: Option<InPlace>,
}

#[derive(Serialize, Deserialize)]
struct Label {
    generation: Generation,
    zone: Option<String>,
}

impl LabDriver {
    fn pool(&self) -> String {
        let name: String =
            self.fleet.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        format!("fleet-{name}")
    }

    fn lab(&self) -> Result<Lab, String> {
        Lab::pool(&self.pool()).map_err(|error| error.to_string())
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
        self.begin(&host, member, generation)?;
        // The label comes last: a host without one was never finished, and is made anew.
        write_label(&host, &Label { generation: generation.clone(), zone: zone.map(str::to_owned) })
    }

    /// The playbook, then the command anew as the generation's own; the label comes last here, too: who is killed
    /// before has changed nothing that the same again would not make right.
    fn bring(&self, way: &InPlace, member: &MemberId, generation: &Generation) -> Result<Outcome, String> {
        let host = self.lab()?.get(&member.0).map_err(|error| error.to_string())?;
        let zone = read_label(&host).and_then(|label| label.zone);
        let inventory = way.folder.join(format!("member-{member}.ini"));
        let text =
            format!("[{}]\n{member} ansible_connection=lab theseus_lab_pool={}\n", way.group, self.pool());
        let failed = |error: std::io::Error| format!("{}: {error}", inventory.display());
        std::fs::write(&inventory, text).map_err(failed)?;
        let outcome = way.change.run(member, generation, &[inventory.display().to_string()]).map_err(failed);
        std::fs::remove_file(&inventory).map_err(failed)?;
        let outcome = outcome?;
        if outcome == Outcome::Done {
            end(&host)?;
            self.begin(&host, member, generation)?;
            write_label(&host, &Label { generation: generation.clone(), zone })?;
        }
        Ok(outcome)
    }

    fn begin(&self, host: &LabHost, member: &MemberId, generation: &Generation) -> Result<(), String> {
        // The command is the user's own text, from the project's file; names come as variables.
        let script = format!(
            "exec >{LOG} 2>&1 </dev/null; setsid sh -c 'echo $$ >{SERVICE}; sh -c \"$THESEUS_START\"; echo \"exit status $?\" >{ENDED}' &"
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

fn read_label(host: &LabHost) -> Option<Label> {
    host.read(LABEL).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

fn write_label(host: &LabHost, label: &Label) -> Result<(), String> {
    let label = serde_json::to_vec(label).map_err(|error| error.to_string())?;
    host.copy_in(LABEL, &label, 0o644).map_err(|error| error.to_string())
}

/// Ends the command with all that it started in its group: politely first, then for good.
fn end(host: &LabHost) -> Result<(), String> {
    let script = format!(
        "read -r group <{SERVICE} || exit 0; kill -TERM \"-$group\" 2>/dev/null; \
         for turn in $(seq 200); do kill -0 \"-$group\" 2>/dev/null || break; \
         [ \"$turn\" -lt 100 ] || kill -KILL \"-$group\"; sleep 0.05; done; \
         if kill -0 \"-$group\" 2>/dev/null; then echo \"process group $group does not end\" >&2; exit 1; fi; \
         rm -f {ENDED} {SERVICE}"
    );
    let ended = host.command("/bin/sh").args(["-c", &script]).stdin(Stdio::null()).output();
    let ended = ended.map_err(|error| format!("ending the service of {}: {error}", host.name))?;
    if ended.status.success() {
        return Ok(());
    }
    Err(format!("ending the service of {}: {}", host.name, String::from_utf8_lossy(&ended.stderr).trim()))
}

impl Driver for LabDriver {
    fn observe(&self) -> Result<BTreeMap<MemberId, Found>, String> {
        let mut all = BTreeMap::new();
        for host in self.lab()?.list() {
            // Without process 1 nothing of it is left but its record.
            if !host.alive() && host.stray.is_none() {
                continue;
            }
            // Without its label a launch is not over; one that was interrupted is made anew.
            let Some(label) = read_label(&host) else { continue };
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
            Ok(_) => self.in_place.as_ref().map_or(Outcome::Done, |way| way.change.prepare()),
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

    fn apply(&self, member: &MemberId, generation: &Generation) -> Outcome {
        let Some(way) = &self.in_place else { return super::never_in_place() };
        let brought = self.bring(way, member, generation);
        brought.unwrap_or_else(|why| Outcome::Failed { fault: Fault::Start, why })
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
