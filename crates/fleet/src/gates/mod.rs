//! Gates: questions with four answers. A fail is a reason to go back; no data and no answer are not.

mod metric;
mod probe;
mod traffic;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::{Generation, MemberId, Verdict};
use crate::traffic::Server;

pub use probe::{Probe, health};

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// An address must answer 200 to 399.
    Http(String),
    /// A path of every new member in service.
    Members(String),
    Tcp(String),
    /// A command of this machine: 0 is a pass, 1 a fail, 2 decides nothing, anything else is an error.
    Exec(String),
    Metric {
        url: String,
        query: String,
        max: Option<f64>,
        min: Option<f64>,
        ratio: Option<f64>,
    },
    /// Gets a POST; 200 is a pass, 202 decides nothing, 4xx is a fail, all else an error.
    Webhook(String),
    /// What the balancer has counted: percent of errors, and how much slower than the old ones.
    Traffic {
        errors: f64,
        slower: Option<f64>,
        requests: u64,
    },
}

/// Of whom it is asked.
#[derive(Clone, Debug, Default)]
pub struct Cohorts {
    pub fleet: String,
    pub rollout: String,
    pub new: Option<Generation>,
    pub old: Option<Generation>,
    pub members: BTreeMap<MemberId, (Generation, Option<SocketAddr>)>,
    pub servers: BTreeMap<MemberId, Server>,
}

impl Question {
    #[must_use]
    pub fn ask(&self, of: &Cohorts, before: Option<&Cohorts>, timeout: Duration) -> Verdict {
        match self {
            Self::Http(url) => probe::url(url, timeout),
            Self::Members(path) => probe::members(of, path, timeout),
            Self::Tcp(address) => probe::tcp(address, timeout),
            Self::Exec(command) => probe::exec(command, of, timeout),
            Self::Metric { url, query, max, min, ratio } => {
                metric::ask(url, query, &metric::Limits { max: *max, min: *min, ratio: *ratio }, of, timeout)
            }
            Self::Webhook(url) => probe::webhook(url, of, timeout),
            Self::Traffic { errors, slower, requests } => {
                traffic::compare(of, before, *errors, *slower, *requests)
            }
        }
    }
}
