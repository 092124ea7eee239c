//! The machine that owns every fleet and every rollout. It is pure: [`decide`] takes the state and a fresh observation,
//! and gives records for the journal and acts for the drivers. The same inputs give the same decision, always.
//!
//! There is one machine for everything. *Steady* (keep N members of a generation), every strategy of a rollout and
//! its way back are only different [`Goal`]s, and `act` moves the fleet towards a goal within its budget.
//! State is what the journal says: every change of it is a [`Record`] that is applied by [`State::apply`], so that a
//! controller that starts after a crash knows what the dead one knew.
//!
//! Read in this order: `words` (what there is), `spec` (what people declare), `plan` (strategies become steps), `state`
//! (records become state), `decide` (one decision), and its parts `commands`, `members`, `judge`, `goal`, `act`.

mod act;
mod capacity;
mod commands;
mod decide;
mod goal;
mod judge;
mod members;
mod plan;
mod rollout;
mod spec;
mod state;
mod status;
mod words;

pub use act::weight_of_canary;
pub use capacity::Capacity;
pub use decide::{Decision, decide};
pub use goal::Goal;
pub use plan::{Estimate, Plan, Step, estimate, plan};
pub use rollout::{Cause, Pause, PauseWhy, Rollout, Stage, Tally};
pub use spec::{Budget, GateRule, Mode, OnFailure, Share, Slot, Spec, Strategy, Timing, Waves};
pub use state::{Answer, Mark, Member, Pending, Phase, Start, State};
pub use status::{Wait, report};
pub use words::{
    Act, Attested, Command, Fault, Generation, Health, MemberId, Millis, Observation, Outcome, Record,
    Sample, Seen, Verdict,
};
