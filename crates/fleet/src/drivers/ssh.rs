//! Servers in place: a member is a host of an inventory, and bringing it to a generation is a run of a playbook by
//! this very program, with the generation's name as the variable `theseus_generation`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::{Driver, Found};
use crate::engine::{Fault, Generation, MemberId, Outcome};

/// Ends a run when whoever began it is killed; the next contact with the host finds that out, and puts it right.
const TIED: &str = "/usr/bin/setpriv";
/// So much of what a failed run says is kept.
const SAID: usize = 300;

/// A host, and where its service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub address: Option<SocketAddr>,
    pub zone: Option<String>,
}

pub struct SshDriver {
    /// This program.
    pub program: PathBuf,
    /// Where the project is.
    pub project: PathBuf,
    pub playbook: String,
    pub inventory: Vec<String>,
    pub hosts: BTreeMap<MemberId, Host>,
    /// Which generation was last applied to each host, as a file.
    pub applied: PathBuf,
    /// Runs end side by side; one file has all of them.
    pub writing: Mutex<()>,
}

impl SshDriver {
    fn command(&self, member: &MemberId, generation: &Generation) -> Command {
        let tied = Path::new(TIED).exists();
        let mut command = Command::new(if tied { Path::new(TIED) } else { self.program.as_path() });
        if tied {
            command.args(["--pdeathsig", "KILL"]).arg(&self.program);
        }
        command.args(["apply", &self.playbook, "--limit", &member.0, "--output", "plain"]);
        for source in &self.inventory {
            command.args(["-i", source]);
        }
        let variables = serde_json::json!({"theseus_generation": generation}).to_string();
        command.args(["-e", &variables]).current_dir(&self.project).stdin(Stdio::null());
        command
    }

    fn known(&self) -> BTreeMap<MemberId, Generation> {
        let bytes = std::fs::read(&self.applied).unwrap_or_default();
        serde_json::from_slice::<BTreeMap<String, Generation>>(&bytes)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, generation)| (MemberId::from(name), generation))
            .collect()
    }

    fn note(&self, member: &MemberId, generation: Option<&Generation>) -> std::io::Result<()> {
        let _one = self.writing.lock();
        let mut known: BTreeMap<String, Generation> =
            self.known().into_iter().map(|(id, generation)| (id.to_string(), generation)).collect();
        match generation {
            Some(generation) => known.insert(member.to_string(), generation.clone()),
            None => known.remove(&*member.0),
        };
        let beside = self.applied.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(&known)?)?;
        std::fs::rename(&beside, &self.applied)
    }

    fn run(&self, member: &MemberId, generation: &Generation) -> std::io::Result<Outcome> {
        // Until it has ended well, nobody knows what the host is.
        self.note(member, None)?;
        let ended = self.command(member, generation).output()?;
        let Some(code) = ended.status.code() else { return Ok(Outcome::Unknown) };
        if code == 0 {
            self.note(member, Some(generation))?;
            return Ok(Outcome::Done);
        }
        let said = [ended.stderr, ended.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let line = said.iter().flat_map(|text| text.lines()).find(|line| !line.trim().is_empty());
        let line: String = line.unwrap_or("nothing was said").chars().take(SAID).collect();
        let why = format!("{} on {member} ended with {code}: {line}", self.playbook);
        Ok(Outcome::Failed { fault: Fault::Start, why })
    }
}

impl Driver for SshDriver {
    fn observe(&self) -> Result<BTreeMap<MemberId, Found>, String> {
        let known = self.known();
        let found = |(id, host): (&MemberId, &Host)| {
            let generation = known.get(id).cloned();
            let found = Found { generation, zone: host.zone.clone(), stopped: None, address: host.address };
            (id.clone(), found)
        };
        Ok(self.hosts.iter().map(found).collect())
    }

    fn prepare(&self, _: &Generation) -> Outcome {
        let playbook = self.project.join(&self.playbook);
        if playbook.is_file() {
            return Outcome::Done;
        }
        Outcome::Failed { fault: Fault::Image, why: format!("there is no playbook {}", playbook.display()) }
    }

    fn launch(&self, _: &MemberId, _: &Generation, _: Option<&str>) -> Outcome {
        Outcome::Failed { fault: Fault::Start, why: "servers in place are not made".to_owned() }
    }

    fn apply(&self, member: &MemberId, generation: &Generation) -> Outcome {
        if !self.hosts.contains_key(member) {
            let why = format!("the inventory has no host {member}");
            return Outcome::Failed { fault: Fault::Start, why };
        }
        self.run(member, generation).unwrap_or_else(|error| Outcome::Failed {
            fault: Fault::Start,
            why: format!("{member}: {error}"),
        })
    }

    fn retire(&self, _: &MemberId) -> Outcome {
        Outcome::Failed { fault: Fault::Start, why: "servers in place are not removed".to_owned() }
    }
}
