//! What people declare of a fleet, as far as the machine needs it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::Millis;

/// A number of members, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    Count(u32),
    Percent(u32),
}

impl Share {
    /// Rounded down: what may be missing.
    #[must_use]
    pub fn floor(self, of: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                u32::try_from(u64::from(of) * u64::from(percent) / 100).unwrap_or(u32::MAX)
            }
        }
    }

    /// Rounded up: what may be more, and how many a step takes.
    #[must_use]
    pub fn ceil(self, of: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                u32::try_from((u64::from(of) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
            }
        }
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

/// How a member gets to another generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Another member takes its place.
    #[default]
    Replace,
    /// It is drained, changed where it stands, verified, and joins again.
    InPlace,
}

/// How far a fleet may be away from its number of members while something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// So many more members than wanted, at most.
    pub surge: Share,
    /// So many healthy members fewer than wanted, at most.
    pub unavailable: Share,
    /// Never fewer than a majority.
    pub quorum: bool,
    /// With a single member and no room for a second one, a moment without any is accepted.
    pub allow_downtime: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { surge: Share::Count(1), unavailable: Share::Count(0), quorum: false, allow_downtime: false }
    }
}

/// How long things may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// How long a member must be healthy before it counts.
    pub min_ready: Millis,
    /// From launch to healthy.
    pub boot: Millis,
    /// How long open connections may take to finish.
    pub drain: Millis,
    /// After how long a sick member in service is replaced.
    pub sick: Millis,
    /// How long drained members of the last good generation are kept after completion.
    pub keep: Millis,
    /// How long without any progress a rollout may be.
    pub progress: Millis,
    /// How long a gate may decide nothing before the policy decides.
    pub undecided: Millis,
    /// An act whose answer is missing is looked at and tried again after this.
    pub retry: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            min_ready: 2_000,
            boot: 120_000,
            drain: 30_000,
            sick: 30_000,
            keep: 600_000,
            progress: 600_000,
            undecided: 600_000,
            retry: 10_000,
        }
    }
}

/// How the answers of a gate are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateRule {
    pub name: String,
    /// So many of the last `of` answers must be passes.
    pub need: u32,
    pub of: u32,
    /// More fails than this among the last `of` are a failure.
    pub fails: u32,
    /// How often it is asked.
    pub interval: Millis,
}

/// What a failure leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    #[default]
    RollBack,
    Halt,
}

/// How a rollout proceeds. A strategy is only a way to write down steps: see [`super::plan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As fast as the budget allows, or so many at a time.
    Rolling {
        batch: Option<Share>,
    },
    /// Percent of members and of traffic.
    Canary {
        percents: Vec<u32>,
    },
    /// All new ones are made beside the old ones; then the traffic goes over at once.
    BlueGreen,
    Waves(Waves),
}

/// Who goes together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waves {
    /// One zone after the other.
    Zones,
    /// By the value of a label (in place), in this order.
    Label { label: String, order: Vec<String> },
    /// So many, then so many more …
    Shares(Vec<Share>),
}

/// A host that stays the same through all generations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub name: String,
    pub zone: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// What people declare of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub name: String,
    pub members: u32,
    /// What its members are for good: replaceable, or hosts of an inventory.
    pub mode: Mode,
    /// How each step's members come to the new generation; the last one counts for all further steps. Empty: as `mode`.
    #[serde(default)]
    pub ways: Vec<Mode>,
    pub budget: Budget,
    pub timing: Timing,
    pub zones: Vec<String>,
    /// In place: the hosts.
    pub slots: Vec<Slot>,
    pub strategy: Strategy,
    /// Each step lasts so long after it is complete, with its gates asked all the while.
    pub soak: Millis,
    /// The same after the last one, while the old members are still kept.
    pub bake: Millis,
    pub gates: Vec<GateRule>,
    /// A person must say yes after each of these steps (from 0).
    pub approvals: Vec<usize>,
    pub on_failure: OnFailure,
    /// Once this step has begun, a failure stops; it does not go back.
    pub irreversible_after: Option<usize>,
    /// So many members of the new generation may fail.
    pub failures: u32,
}

impl Spec {
    /// A fleet with everything else as by default.
    #[must_use]
    pub fn new(name: &str, members: u32) -> Self {
        Self {
            name: name.to_owned(),
            members,
            mode: Mode::Replace,
            ways: Vec::new(),
            budget: Budget::default(),
            timing: Timing::default(),
            zones: Vec::new(),
            slots: Vec::new(),
            strategy: Strategy::Rolling { batch: None },
            soak: 0,
            bake: 0,
            gates: Vec::new(),
            approvals: Vec::new(),
            on_failure: OnFailure::RollBack,
            irreversible_after: None,
            failures: 2,
        }
    }

    /// How the members of a step (from 0) come to the new generation.
    #[must_use]
    pub fn way(&self, step: usize) -> Mode {
        self.ways.get(step).or(self.ways.last()).copied().unwrap_or(self.mode)
    }

    /// What cannot work, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.members == 0 {
            return Err("a fleet needs at least one member".to_owned());
        }
        let budget = &self.budget;
        let surge = if self.mode == Mode::InPlace { Share::Count(0) } else { budget.surge };
        let blue_green = self.strategy == Strategy::BlueGreen;
        let in_place = self.mode == Mode::InPlace || self.ways.contains(&Mode::InPlace);
        if in_place && blue_green {
            return Err(
                "blue/green needs new members beside the old ones; in place there are none".to_owned()
            );
        }
        if self.mode == Mode::InPlace && self.ways.contains(&Mode::Replace) {
            return Err("servers of an inventory are changed in place, never replaced".to_owned());
        }
        let downtime = self.members == 1 && budget.allow_downtime;
        if in_place && budget.unavailable.floor(self.members) == 0 && !downtime {
            return Err(format!(
                "a member that is changed in place is out of service meanwhile, and of {} members none may be missing; set unavailable",
                self.members
            ));
        }
        if surge.ceil(self.members) == 0 && budget.unavailable.floor(self.members) == 0 && !blue_green {
            if self.members == 1 && budget.allow_downtime {
                return Ok(());
            }
            return Err(format!(
                "the budget allows no step: of {} members none may be missing and none may be added; set surge or unavailable{}",
                self.members,
                if self.members == 1 { ", or allow_downtime: true" } else { "" }
            ));
        }
        Ok(())
    }
}
