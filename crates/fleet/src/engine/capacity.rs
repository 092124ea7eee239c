//! The budget, counted on a fresh observation before every single act.

use super::spec::{Mode, Spec};
use super::state::{Member, Phase, State};
use super::words::{Health, Observation, Seen};

/// How far a fleet may go, for so many wanted members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub desired: u32,
    /// Never fewer healthy ones in service than this by an act of ours.
    pub least: u32,
    pub surge: u32,
    /// Never more members than this, whatever they do.
    pub most: u32,
}

pub(crate) fn limits(spec: &Spec, desired: u32, preview: bool) -> Limits {
    let budget = &spec.budget;
    let mut missing = budget.unavailable.floor(desired).min(desired);
    if budget.quorum && desired > 0 {
        missing = missing.min(desired - (desired / 2 + 1));
    }
    if desired == 1 && budget.allow_downtime {
        missing = 1;
    }
    let mut surge = if spec.mode == Mode::InPlace { 0 } else { budget.surge.ceil(desired) };
    if preview {
        surge = surge.max(desired);
    }
    // Percentages of few members may leave no room at all: then one more is possible, but never one fewer.
    if surge == 0 && missing == 0 && spec.mode == Mode::Replace {
        surge = 1;
    }
    Limits { desired, least: desired - missing, surge, most: desired + surge }
}

impl Limits {
    pub(crate) fn of(state: &State) -> Self {
        let preview = state.active().is_some_and(|rollout| rollout.steps.iter().any(|step| step.preview));
        limits(&state.spec, state.desired, preview)
    }
}

/// What there is, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub limits: Limits,
    /// Healthy for long enough, and in traffic, of any generation.
    pub available: u32,
    /// Everything there is or may be: also what drains, stands by, is being launched or is unknown.
    pub total: u32,
    /// The same without those that stand by.
    pub moving: u32,
}

impl Capacity {
    #[must_use]
    pub fn of(state: &State, seen: &Observation) -> Self {
        let limits = Limits::of(state);
        let (mut available, mut strangers) = (0, 0);
        // Both are in the order of their names: one walk, not a search for each.
        let mut found = seen.members.iter().peekable();
        for member in state.members.values() {
            while found.next_if(|(id, _)| **id < member.id).is_some() {
                strangers += 1;
            }
            let seen_now = found.next_if(|(id, _)| **id == member.id).map(|(_, found)| found);
            available += usize::from(in_service(member, seen_now) && settled(state, member, seen.at));
        }
        strangers += found.count();
        let standing = state.members.values().filter(|member| member.phase == Phase::Standby).count();
        let total = count(state.members.len() + strangers);
        Self { limits, available: count(available), total, moving: total - count(standing) }
    }

    /// How many healthy members in service can be missed now.
    #[must_use]
    pub fn spare(&self) -> u32 {
        self.available.saturating_sub(self.limits.least)
    }

    /// How many more members there may be now.
    #[must_use]
    pub fn room(&self) -> u32 {
        let moving = (self.limits.desired + self.limits.surge).saturating_sub(self.moving);
        moving.min(self.limits.most.saturating_sub(self.total))
    }
}

pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// In service: has traffic, and has been healthy for long enough. What nobody could look at is not.
pub(crate) fn available(state: &State, member: &Member, seen: &Observation) -> bool {
    serves(member, seen) && settled(state, member, seen.at)
}

/// Has traffic, and is healthy now.
pub(crate) fn serves(member: &Member, seen: &Observation) -> bool {
    in_service(member, seen.members.get(&member.id))
}

fn in_service(member: &Member, found: Option<&Seen>) -> bool {
    // One that shall be drained serves until it really is.
    matches!(member.phase, Phase::Serving | Phase::Draining)
        && found.is_some_and(|found| {
            found.weight.is_some_and(|weight| weight > 0)
                && found.stopped.is_none()
                && found.health == Health::Healthy
        })
}

/// Healthy without a break for as long as is asked for.
pub(crate) fn settled(state: &State, member: &Member, at: u64) -> bool {
    member.healthy_since.is_some_and(|since| at.saturating_sub(since) >= state.spec.timing.min_ready)
}
