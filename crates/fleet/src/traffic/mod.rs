//! Who gets traffic: the balancers. Shares are absolute, so that setting them twice is setting them once.

pub mod control;
pub mod haproxy;
pub mod http1;
pub mod nginx;
pub mod proxy;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::engine::MemberId;

/// What a balancer knows of one member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub address: Option<SocketAddr>,
    pub weight: u32,
    /// Connections or requests that have not finished.
    pub open: u32,
    pub requests: u64,
    /// Answers of 500 and above, and requests without an answer.
    pub errors: u64,
    /// How long answers took, together.
    pub millis: u64,
}

pub trait Traffic: Send + Sync {
    fn servers(&self) -> Result<BTreeMap<MemberId, Server>, String>;
    /// Sets these shares, all at once as far as the balancer can.
    fn weigh(&self, weights: &BTreeMap<MemberId, (u32, Option<SocketAddr>)>) -> Result<(), String>;
    /// Forgets a member that is gone.
    fn forget(&self, member: &MemberId) -> Result<(), String>;
}
