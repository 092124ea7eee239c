//! What happens during a run, in the order of the play, for whoever shows it. No text for people is made here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalog::{Json, Map};
use expressions::Origin;
pub use link::Undone;

/// How a task ended on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Ok,
    Changed,
    Skipped,
    Failed,
    /// Failed, with `ignore_errors`.
    Ignored,
    /// Failed inside a block that has a `rescue`.
    Rescued,
    Unreachable,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
            Self::Rescued => "rescued",
            Self::Unreachable => "unreachable",
        }
    }
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Ignored | Self::Rescued | Self::Unreachable)
    }
}

/// What kind of step a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    Task,
    Handler,
}

/// A task as it is announced.
#[derive(Clone, Debug)]
pub struct Step {
    pub kind: StepKind,
    pub play: Arc<str>,
    /// With its role: `nginx : Install nginx`.
    pub name: String,
    pub action: Arc<str>,
    pub origin: Option<Arc<Origin>>,
    pub check: bool,
    pub no_log: bool,
    pub tags: Vec<Arc<str>>,
}

/// The end of a task, or of one item of its loop, on one host.
#[derive(Clone, Debug)]
pub struct Ended {
    pub step: Arc<Step>,
    pub host: Arc<str>,
    /// The host that it was delegated to.
    pub delegate: Option<String>,
    /// Its address, where that is another than its name.
    pub delegate_address: Option<String>,
    pub status: Status,
    /// The host is unreachable, and goes on nevertheless (`ignore_unreachable`).
    pub goes_on: bool,
    /// Of a loop: the item's label. `None` for the task as a whole.
    pub item: Option<String>,
    /// Whether the task has a loop (its items were reported one by one).
    pub looped: bool,
    /// What Ansible's module would have returned; censored under `no_log`.
    pub result: Arc<Map>,
    /// Whether people are to see what it made different: by `--diff`, or by the task itself.
    pub diff: bool,
    pub seconds: f64,
    pub paths: Vec<String>,
}

/// Numbers of one host, as in Ansible's recap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub ok: u32,
    pub changed: u32,
    pub unreachable: u32,
    pub failed: u32,
    pub skipped: u32,
    pub rescued: u32,
    pub ignored: u32,
}

/// The end of a run.
#[derive(Clone, Debug, Default)]
pub struct Recap {
    pub hosts: BTreeMap<String, Counters>,
    /// The generation at which each host is now, where it has one.
    pub generations: BTreeMap<String, u64>,
    /// Hosts whose generation this run made.
    pub made: BTreeSet<String>,
    /// What was put back on hosts on which the run failed.
    pub undone: BTreeMap<String, Undone>,
    /// Handlers that were notified and did not run because their host failed.
    pub lost_handlers: BTreeMap<String, Vec<String>>,
    /// `set_stats`.
    pub custom: BTreeMap<String, Map>,
    pub interrupted: bool,
}

#[derive(Clone, Debug)]
pub enum Event {
    Playbook {
        file: String,
    },
    Play {
        name: Arc<str>,
        hosts: Vec<Arc<str>>,
    },
    /// The next batch of a play with `serial`; the first begins with the play.
    Batch {
        play: Arc<str>,
    },
    NoHostsMatched,
    NoHostsLeft,
    /// The same, because each host failed by itself.
    AllFailed,
    Step(Arc<Step>),
    Ended(Ended),
    /// Not over yet: a retry of `until`, a poll of an async job.
    Retrying {
        step: Arc<Step>,
        host: Arc<str>,
        delegate: Option<String>,
        left: u64,
        result: Arc<Map>,
    },
    Included {
        step: Arc<Step>,
        host: Arc<str>,
        file: String,
        item: Option<String>,
    },
    Warning(String),
    /// What a failed task's result does not show well.
    Mistake(String),
    Deprecated(String),
    /// Something worth saying that is no warning (another ssh transport, a new host key).
    Notice(String),
    /// What a `meta` task did or left, for those who want to know much.
    Meta(String),
    /// Out of order, for live views: what a host is doing now.
    Now {
        host: Arc<str>,
        doing: String,
    },
    Stats(Json),
    Recap(Recap),
}

/// Whoever shows or keeps what happens.
pub trait Sink: Send {
    fn event(&mut self, event: &Event);
}
