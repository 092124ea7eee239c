//! What the fleet is to become now: every strategy, its way back and the steady state in one form.

use super::capacity::count;
use super::plan::Step;
use super::rollout::{Rollout, Stage};
use super::spec::Mode;
use super::state::{Member, Phase, State};
use super::words::Generation;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// The generation that there shall be more of.
    pub generation: Generation,
    /// How many of it.
    pub want: u32,
    /// So many others stay, at least.
    pub others: u32,
    /// What dead others are replaced by.
    pub refill: Option<Generation>,
    /// Who may be replaced.
    pub step: Option<Step>,
    /// Only dead capacity is replaced; nothing is begun.
    pub hold: bool,
    /// All at once, when all are there.
    pub preview: bool,
    /// The new ones' part of the traffic in percent.
    pub traffic: Option<u32>,
    pub mode: Mode,
    /// Drained members are kept.
    pub keep: bool,
}

impl Goal {
    /// What is to be done now; nothing before the fleet was ever up.
    #[must_use]
    pub fn of(state: &State) -> Option<Self> {
        let Some(rollout) = &state.rollout else { return Self::steady(state) };
        match rollout.stage {
            Stage::Succeeded | Stage::RolledBack => Self::steady(state),
            Stage::Superseded | Stage::Halted => Some(Self::hold(state, rollout)),
            _ if rollout.pause.is_some() => Some(Self::hold(state, rollout)),
            // The baseline is what it comes from: the current one may just have been called back.
            Stage::Validating => {
                let from = rollout.from.clone().or_else(|| state.current.clone())?;
                Some(Self { hold: true, ..Self::all(state, from) })
            }
            Stage::Stepping => Some(Self::step(state, rollout)),
            Stage::Baking | Stage::Finalizing => {
                Some(Self { keep: true, ..Self::all(state, rollout.to.clone()) })
            }
            Stage::RollingBack => {
                let back = rollout.from.clone().or_else(|| state.current.clone())?;
                Some(Self { keep: false, ..Self::all(state, back) })
            }
        }
    }

    fn all(state: &State, generation: Generation) -> Self {
        Self {
            generation,
            want: state.desired,
            others: 0,
            refill: None,
            step: None,
            hold: false,
            preview: false,
            traffic: None,
            mode: if state.spec.slots.is_empty() { Mode::Replace } else { Mode::InPlace },
            keep: false,
        }
    }

    fn steady(state: &State) -> Option<Self> {
        Some(Self::all(state, state.current.clone()?))
    }

    /// Each keeps its generation; what dies is replaced by the generation that is known to be good.
    fn hold(state: &State, rollout: &Rollout) -> Self {
        let new = state.members.values().filter(|member| member.generation == rollout.to && alive(member));
        let new = count(new.count()).min(state.desired);
        let traffic = rollout.current_step().and_then(|step| step.traffic);
        Self {
            want: new,
            others: state.desired - new,
            refill: rollout.from.clone().or_else(|| state.current.clone()),
            hold: true,
            traffic: traffic.filter(|_| rollout.stage == Stage::Stepping),
            preview: rollout.current_step().is_some_and(|step| step.preview)
                && rollout.stage == Stage::Stepping,
            keep: true,
            ..Self::all(state, rollout.to.clone())
        }
    }

    fn step(state: &State, rollout: &Rollout) -> Self {
        let Some(step) = rollout.current_step() else { return Self::all(state, rollout.to.clone()) };
        let want = want(state, rollout, step);
        let rest = state.desired - want;
        // Until a member of the new generation has served, dead ones are replaced by what is known to work.
        let least = super::capacity::limits(&state.spec, state.desired, step.preview).least;
        let others = if rollout.proven { rest } else { rest.max(least) };
        Self {
            want,
            others,
            refill: rollout.from.clone(),
            preview: step.preview,
            traffic: step.traffic,
            mode: if state.spec.slots.is_empty() { step.mode } else { Mode::InPlace },
            step: Some(step.clone()),
            keep: true,
            ..Self::all(state, rollout.to.clone())
        }
    }

    /// Whether a member is one of the new ones.
    #[must_use]
    pub fn is_new(&self, member: &Member) -> bool {
        member.generation == self.generation
    }
}

/// How many of the new generation a step asks for, in a fleet of this size.
pub(crate) fn want(state: &State, rollout: &Rollout, step: &Step) -> u32 {
    let outside = state.members.values().filter(|member| {
        member.generation != rollout.to && alive(member) && !step.takes(member, &state.spec.slots)
    });
    let outside = count(outside.count());
    step.want.ceil(state.desired).min(state.desired.saturating_sub(outside))
}

/// On its way to serving, or serving.
pub(crate) fn alive(member: &Member) -> bool {
    member.failed.is_none()
        && matches!(
            member.phase,
            Phase::Launching | Phase::Applying | Phase::Booting | Phase::Ready | Phase::Serving
        )
}
