//! What must never happen, checked against what is really so, at every act.

use std::fmt;

use super::journal::Journal;
use super::world::World;
use crate::engine::{Act, Capacity, Generation, Mode, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    NeverBelowHealthy,
    NeverAboveTotal,
    OneWriter,
    EveryAbortEnds,
    NoActWithoutIntent,
    LastGoodStays,
    WeightsFollowCapacity,
    BadIsNeverPickedAgain,
    JournalIsTheState,
    AllEndsWell,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub promise: Promise,
    pub at: u64,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ms: {}", self.promise, self.at, self.what)
    }
}

/// What the controller knew when it decided, as far as the promises depend on it.
#[derive(Clone, Debug)]
pub struct Known {
    pub capacity: Capacity,
    /// Really in service when it looked.
    pub available: u32,
    pub last_good: Option<Generation>,
    pub forward: bool,
    pub bad: Vec<Generation>,
    /// Members of the rollout are changed where they stand: then the last good one is, too.
    pub in_place: bool,
    /// The living members of the last good generation when it looked.
    pub good: Vec<crate::engine::MemberId>,
}

impl Known {
    #[must_use]
    pub fn of(state: &State, world: &World, seen: &crate::engine::Observation) -> Self {
        let active = state.active();
        let last_good = active.and_then(|rollout| rollout.from.clone());
        let good = world
            .bodies
            .iter()
            .filter(|(_, body)| Some(&body.generation) == last_good.as_ref() && body.dead.is_none());
        Self {
            good: good.map(|(id, _)| id.clone()).collect(),
            capacity: Capacity::of(state, seen),
            available: world.available(),
            last_good,
            forward: active.is_some_and(|rollout| rollout.stage.forward()),
            bad: state
                .marks
                .keys()
                .filter(|generation| state.is_bad(generation).is_some())
                .cloned()
                .collect(),
            in_place: active
                .is_some_and(|rollout| rollout.steps.iter().any(|step| step.mode == Mode::InPlace)),
        }
    }
}

/// Checks one act: `before` is the world just before it. Done before the act is.
pub(super) fn check(
    known: &Known,
    journal: &Journal,
    epoch: u64,
    number: u64,
    act: &Act,
    world: &World,
) -> Option<Violation> {
    let broken = |promise, what: String| Some(Violation { promise, at: world.now, what });
    if epoch != journal.epoch {
        return broken(
            Promise::OneWriter,
            format!("epoch {epoch} acts while {} holds the lease", journal.epoch),
        );
    }
    if !journal.intended(number, act) {
        return broken(Promise::NoActWithoutIntent, format!("{act:?}"));
    }
    match act {
        Act::Launch { member, generation, .. } if !world.bodies.contains_key(member) => {
            let (total, most) = (world.total() + 1, known.capacity.limits.most);
            if total > most {
                return broken(Promise::NeverAboveTotal, format!("{total} of at most {most}"));
            }
            if known.bad.contains(generation) {
                return broken(Promise::BadIsNeverPickedAgain, format!("{generation} is launched again"));
            }
            None
        }
        Act::Apply { generation, .. } if known.bad.contains(generation) => {
            broken(Promise::BadIsNeverPickedAgain, format!("{generation} is applied again"))
        }
        Act::Retire { member } => last_good(known, world, member).or_else(|| healthy(known, act, world)),
        Act::Weigh { weights } => weigh(weights, world).or_else(|| healthy(known, act, world)),
        Act::Apply { .. } => healthy(known, act, world),
        _ => None,
    }
}

/// An act may take healthy members out of service only if enough stay. What happened since the controller looked is
/// nobody's fault.
fn healthy(known: &Known, act: &Act, world: &World) -> Option<Violation> {
    let before = world.available();
    let mut after = world.clone();
    after.perform(act);
    let after = after.available();
    let lost = known.available.saturating_sub(before);
    let least = known.capacity.limits.least;
    (after < before && after + lost < least).then(|| Violation {
        promise: Promise::NeverBelowHealthy,
        at: world.now,
        what: format!("{act:?} leaves {after} of at least {least}"),
    })
}

fn last_good(known: &Known, world: &World, member: &crate::engine::MemberId) -> Option<Violation> {
    let body = world.bodies.get(member)?;
    let good = known.last_good.as_ref()?;
    let others = known.good.iter().filter(|id| *id != member);
    let last = body.generation == *good && world.healthy(body) && others.count() == 0;
    (last && known.forward && known.capacity.limits.surge > 0 && !known.in_place).then(|| Violation {
        promise: Promise::LastGoodStays,
        at: world.now,
        what: format!("{member} is the last one of {good}"),
    })
}

fn weigh(
    weights: &std::collections::BTreeMap<crate::engine::MemberId, u32>,
    world: &World,
) -> Option<Violation> {
    for (id, weight) in weights {
        let raised = *weight > world.weights.get(id).copied().unwrap_or(0);
        let Some(body) = world.bodies.get(id) else { continue };
        let broken =
            |what: String| Some(Violation { promise: Promise::WeightsFollowCapacity, at: world.now, what });
        if *weight > 100 {
            return broken(format!("{id} gets {weight}"));
        }
        if raised && (body.boots > world.now || body.quality == super::world::Quality::WrongGeneration) {
            return broken(format!("{id} gets traffic and cannot serve"));
        }
    }
    None
}
