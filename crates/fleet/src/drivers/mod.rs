//! Drivers: small verbs that may be done twice. They decide nothing.

pub mod change;
pub mod docker;
pub mod lab;
pub mod ssh;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::engine::{Fault, Generation, MemberId, Outcome};

/// A member as its driver finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub generation: Option<Generation>,
    pub zone: Option<String>,
    /// Why it does not run any more.
    pub stopped: Option<String>,
    /// Where its service answers.
    pub address: Option<SocketAddr>,
}

/// What drivers say whose members are replaced.
fn never_in_place() -> Outcome {
    let why = "members of this fleet are replaced, not changed in place".to_owned();
    Outcome::Failed { fault: Fault::Start, why }
}

/// Where members live.
pub trait Driver: Send + Sync {
    /// All members of the fleet, also those that nobody has written down.
    fn observe(&self) -> Result<BTreeMap<MemberId, Found>, String>;
    /// Makes sure that a generation can be launched.
    fn prepare(&self, generation: &Generation) -> Outcome;
    /// Makes a member; its name makes a second launch the same one.
    fn launch(&self, member: &MemberId, generation: &Generation, zone: Option<&str>) -> Outcome;
    /// Brings a member to a generation where it stands.
    fn apply(&self, member: &MemberId, generation: &Generation) -> Outcome;
    fn retire(&self, member: &MemberId) -> Outcome;
}
