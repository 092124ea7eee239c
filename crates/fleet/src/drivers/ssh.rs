//! Servers in place: a member is a host of an inventory, and a playbook brings it to a generation.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;

use super::change::Change;
use super::{Driver, Found};
use crate::engine::{Fault, Generation, MemberId, Outcome};

/// A host, and where its service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub address: Option<SocketAddr>,
    pub zone: Option<String>,
}

pub struct SshDriver {
    pub change: Change,
    pub inventory: Vec<String>,
    pub hosts: BTreeMap<MemberId, Host>,
    /// Which generation was last applied to each host, as a file.
    pub applied: PathBuf,
    /// Runs end side by side; one file has all of them.
    pub writing: Mutex<()>,
}

impl SshDriver {
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
        let outcome = self.change.run(member, generation, &self.inventory)?;
        if outcome == Outcome::Done {
            self.note(member, Some(generation))?;
        }
        Ok(outcome)
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
        self.change.prepare()
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
