//! One decision: from the state and what is seen now to records and acts.

use super::capacity::Capacity;
use super::goal::Goal;
use super::rollout::{Cause, Stage};
use super::state::{Mark, State};
use super::words::{Act, Generation, MemberId, Observation, Record};

/// What is to be written down, and then done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Already applied to the state; they must be in the journal before anything is done.
    pub records: Vec<Record>,
    /// With the numbers of their intents.
    pub acts: Vec<(u64, Act)>,
}

/// Decides what happens now. If the records cannot be written, the state must be read from the journal anew.
pub fn decide(state: &mut State, seen: &Observation) -> Decision {
    let mut deciding = Deciding { state, seen, made: Decision::default() };
    deciding.answer_requests();
    // Without eyes nothing is done: unknown is neither healthy nor gone.
    if seen.blind.is_some() {
        deciding.state.soaked_at = None;
        return deciding.made;
    }
    deciding.look_at_members();
    deciding.judge();
    deciding.ask_again();
    if let Some(goal) = Goal::of(deciding.state) {
        deciding.advance(&goal);
    }
    deciding.made
}

/// A decision in the making. Each record is applied at once, so that what follows builds on it.
pub(crate) struct Deciding<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) seen: &'a Observation,
    pub(crate) made: Decision,
}

impl Deciding<'_> {
    pub(crate) fn emit(&mut self, record: Record) {
        self.state.apply(self.seen.at, &record);
        self.made.records.push(record);
    }

    /// Writes down that it will be done, and has it done.
    pub(crate) fn intend(&mut self, act: Act) {
        let number = self.state.intents + 1;
        self.emit(Record::Intent { number, act: act.clone() });
        self.made.acts.push((number, act));
    }

    pub(crate) fn retire(&mut self, member: &MemberId) {
        self.intend(Act::Retire { member: member.clone() });
    }

    pub(crate) fn capacity(&self) -> Capacity {
        Capacity::of(self.state, self.seen)
    }

    pub(crate) fn stage(&mut self, stage: Stage) {
        self.emit(Record::Stage { stage });
    }

    pub(crate) fn mark(&mut self, generation: Generation, mark: Mark) {
        if self.state.marks.get(&generation) != Some(&mark) {
            self.emit(Record::Marked { generation, mark });
        }
    }

    /// The rollout cannot go on: back, or stop, as the policy and the point of no return say.
    pub(crate) fn fail(&mut self, why: String, bad: bool) {
        let Some(rollout) = self.state.active() else { return };
        let (to, stage, frozen) =
            (rollout.to.clone(), rollout.stage, rollout.frozen(self.state.spec.irreversible_after));
        let paused = rollout.pause.is_some();
        let halt = self.state.spec.on_failure == super::spec::OnFailure::Halt && stage != Stage::Validating;
        if bad {
            self.mark(to, Mark::Bad(why.clone()));
        }
        if paused {
            self.emit(Record::Resumed);
        }
        let (stage, why) = match stage {
            Stage::RollingBack => (Stage::Halted, format!("the way back failed: {why}")),
            _ if frozen => {
                (Stage::Halted, format!("{why}; an irreversible step has been taken, so nothing is put back"))
            }
            _ if halt => (Stage::Halted, why),
            _ => (Stage::RollingBack, why),
        };
        self.emit(Record::Cause { cause: Cause { why, bad } });
        self.stage(stage);
    }
}
