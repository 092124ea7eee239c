//! The words of the machine: what is seen, what is done, what is written down.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rollout::{Cause, Pause, Stage};
use super::spec::Spec;
use super::state::{Mark, Phase, Start};

/// Milliseconds since 1970.
pub type Millis = u64;

macro_rules! name {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// What a member runs: the digest or name of an image, or of a playbook's state.
    Generation
}
name! {
    /// A member's name. Names are never used again, so that it is also the token that makes a launch idempotent.
    MemberId
}

/// What somebody who looks at a member says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nobody could tell: neither healthy nor sick.
    #[default]
    Unknown,
    Healthy,
    Sick,
}

/// Which generation a member proves to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attested {
    /// It has not answered yet.
    #[default]
    Unknown,
    /// The one it was launched with.
    Right,
    /// Another one.
    Wrong(String),
}

/// What a gate says. Only `Fail` is a reason to go back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "why")]
pub enum Verdict {
    Pass,
    Fail(String),
    /// It was asked, and what it said decides nothing (no data, say).
    #[default]
    Inconclusive,
    /// It could not be asked.
    Error(String),
}

/// One member, as somebody looked at it just now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it was launched with, by its label.
    pub generation: Option<Generation>,
    pub zone: Option<String>,
    /// Why it does not run any more, if it does not.
    pub stopped: Option<String>,
    pub health: Health,
    pub attested: Attested,
    /// What checks of the single member, before it gets traffic, say. `Pass` where there are none.
    pub verified: Verdict,
    /// Its share of the traffic as the balancer has it; none: the balancer does not know it.
    pub weight: Option<u32>,
    /// How many connections are still open to it, if the balancer can say so.
    pub connections: Option<u32>,
}

/// One answer of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub gate: String,
    pub verdict: Verdict,
}

/// What is true now, as far as anybody can see. Every decision is made on a fresh one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub at: Millis,
    pub members: BTreeMap<MemberId, Seen>,
    /// Why the driver could not be asked: then nothing is known of members.
    pub blind: Option<String>,
    /// Why the balancer could not be asked: then nothing is known of weights.
    pub traffic_lost: Option<String>,
    pub samples: Vec<Sample>,
}

/// What a driver does. Each may be done again without harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "act")]
pub enum Act {
    /// Make sure that the generation can be launched (pull the image, see that the base is there).
    Prepare { generation: Generation },
    /// Make a member. Its name is the token: a second launch of the same name makes no second member.
    Launch { member: MemberId, generation: Generation, zone: Option<String> },
    /// Bring a drained member to a generation where it stands.
    Apply { member: MemberId, generation: Generation },
    /// Set these shares of traffic, all at once. Zero: no new connections, the old ones may finish.
    Weigh { weights: BTreeMap<MemberId, u32> },
    /// Remove a member.
    Retire { member: MemberId },
    /// Tell the source of truth which generation is the fleet's.
    Release { generation: Generation },
}

impl Act {
    /// Whom it is done to.
    #[must_use]
    pub fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Launch { member, .. } | Self::Apply { member, .. } | Self::Retire { member } => {
                Some(member)
            }
            _ => None,
        }
    }
}

/// Why something went wrong, as far as it matters for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No room, quota, rate limit: nobody's generation is to blame.
    Capacity,
    /// The image cannot be had: this generation will never start.
    Image,
    /// It did not start, or the playbook failed.
    Start,
    BootTimeout,
    WrongGeneration,
    CheckFailed,
    Flapping,
    /// It ran, and ended by itself.
    Crashed,
    /// It has gone without being told to.
    Lost,
    /// It answers wrongly although it has been in service.
    Sick,
}

/// How an act ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    Done,
    Failed {
        fault: Fault,
        why: String,
    },
    /// Asked, but the answer was lost. Looking decides.
    Unknown,
}

/// What people ask for. Commands go into the journal too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// What the fleet is to be like, from now on.
    Define {
        spec: Box<Spec>,
    },
    /// Bring the fleet up with a generation.
    Up {
        generation: Generation,
    },
    Scale {
        members: u32,
    },
    Start {
        start: Box<Start>,
    },
    Pause,
    Resume,
    Abort,
    /// Go back to the last good generation, also after completion.
    Back,
    /// A person says yes to going on from a step of exactly this plan.
    Approve {
        step: usize,
        plan: String,
    },
    /// A person says that the rollout fails.
    Fail {
        why: String,
    },
    /// A generation that was bad may be used again.
    Forgive {
        generation: Generation,
    },
    Down,
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum Record {
    /// A controller has taken the lease: what the one before had begun is unknown now.
    Took {
        epoch: u64,
        who: String,
    },
    /// Somebody asks for something. `rollout`: which one that person saw.
    Asked {
        by: String,
        rollout: Option<String>,
        command: Command,
    },
    /// What became of the oldest open request.
    Answered {
        refused: Option<String>,
    },
    Defined {
        spec: Box<Spec>,
    },
    Scaled {
        members: u32,
    },
    Current {
        generation: Generation,
    },
    Marked {
        generation: Generation,
        mark: Mark,
    },
    Began {
        rollout: String,
        start: Box<Start>,
    },
    Stage {
        stage: Stage,
    },
    Cause {
        cause: Cause,
    },
    Step {
        index: usize,
    },
    Paused {
        pause: Pause,
    },
    Resumed,
    Approved {
        step: usize,
        by: String,
    },
    Soaked {
        millis: Millis,
    },
    Sampled {
        sample: Sample,
    },
    /// A member of the new generation has served.
    Proven,
    /// This will be done now.
    Intent {
        number: u64,
        act: Act,
    },
    Outcome {
        number: u64,
        outcome: Outcome,
    },
    Moved {
        member: MemberId,
        phase: Phase,
    },
    Adopted {
        member: MemberId,
        generation: Generation,
        zone: Option<String>,
        phase: Phase,
    },
    Fault {
        member: Option<MemberId>,
        generation: Generation,
        fault: Fault,
        why: String,
        ours: bool,
    },
    Gone {
        member: MemberId,
    },
    /// No launches before then.
    Held {
        until: Millis,
        why: String,
    },
    /// All of the state, so that what is before need not be read again.
    Snapshot {
        state: Box<super::state::State>,
    },
}
