//! A rollout as the journal knows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::Step;
use super::state::Start;
use super::words::{Generation, Millis, Verdict};

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing has been touched yet.
    Validating,
    Stepping,
    /// All are new; the old ones are still kept, and the gates are still asked.
    Baking,
    /// The source of truth is told, and the generation becomes good.
    Finalizing,
    Succeeded,
    RollingBack,
    RolledBack,
    /// It needs a person: nothing is started, everything that serves goes on serving.
    Halted,
    /// Another rollout has taken over.
    Superseded,
}

impl Stage {
    /// Nothing more will happen by itself.
    #[must_use]
    pub fn ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::RolledBack | Self::Halted | Self::Superseded)
    }

    /// On the way to the new generation.
    #[must_use]
    pub fn forward(self) -> bool {
        matches!(self, Self::Validating | Self::Stepping | Self::Baking | Self::Finalizing)
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Stepping => "stepping",
            Self::Baking => "baking",
            Self::Finalizing => "finalizing",
            Self::Succeeded => "succeeded",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Halted => "halted",
            Self::Superseded => "superseded",
        }
    }

    /// What a program that waited for it exits with.
    #[must_use]
    pub fn exit(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::RolledBack => 2,
            Self::Halted | Self::Superseded => 3,
            _ => 4,
        }
    }
}

/// Why a rollout does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub why: String,
    /// Whether the new generation is to blame; then it is remembered as bad.
    pub bad: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseWhy {
    /// A person has said so.
    Person(String),
    /// A person must say yes to going on from a step.
    Approval(usize),
    /// A gate decides nothing.
    Undecided(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub why: PauseWhy,
    pub since: Millis,
    /// Then the policy decides.
    pub until: Option<Millis>,
}

/// The last answers of a gate, in this step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Newest last; true: a pass.
    pub answers: Vec<bool>,
    /// Since when it has only been inconclusive, or could not be asked.
    pub undecided_since: Option<Millis>,
    pub last: Verdict,
    pub at: Millis,
}

/// How many of the last answers a tally keeps at most.
const KEPT: usize = 100;

impl Tally {
    pub(crate) fn count(&mut self, verdict: &Verdict, at: Millis) {
        match verdict {
            Verdict::Pass | Verdict::Fail(_) => {
                self.answers.push(*verdict == Verdict::Pass);
                if self.answers.len() > KEPT {
                    self.answers.remove(0);
                }
                self.undecided_since = None;
            }
            Verdict::Inconclusive | Verdict::Error(_) => {
                self.undecided_since.get_or_insert(at);
            }
        }
        self.last = verdict.clone();
        self.at = at;
    }

    /// Passes and fails among the last answers.
    #[must_use]
    pub fn of_last(&self, count: u32) -> (u32, u32) {
        let answers = self.answers.iter().rev().take(count as usize);
        answers.fold(
            (0, 0),
            |(passes, fails), pass| if *pass { (passes + 1, fails) } else { (passes, fails + 1) },
        )
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    pub id: String,
    pub to: Generation,
    /// The last good one: where a way back leads.
    pub from: Option<Generation>,
    pub steps: Vec<Step>,
    pub plan: String,
    pub stage: Stage,
    pub began: Millis,
    /// Since when it is in this stage and step.
    pub since: Millis,
    pub step: usize,
    /// Of this step, with all gates asked and passed.
    pub soaked: Millis,
    pub tallies: BTreeMap<String, Tally>,
    pub pause: Option<Pause>,
    pub approved: Vec<usize>,
    pub cause: Option<Cause>,
    /// Members of the new generation that failed; on the way back: of the old one.
    pub failures: u32,
    /// Who failed last, and why.
    #[serde(default)]
    pub last_failure: Option<String>,
    /// A member of the new generation has served.
    pub proven: bool,
    /// The baseline may be sick.
    pub from_unhealthy: bool,
    /// Any member's phase has changed at this time.
    pub progress: Millis,
}

impl Rollout {
    pub(crate) fn new(id: String, start: Start, at: Millis) -> Self {
        Self {
            id,
            to: start.to,
            from: start.from,
            steps: start.plan.steps,
            plan: start.plan.hash,
            stage: Stage::Validating,
            began: at,
            since: at,
            step: 0,
            soaked: 0,
            tallies: BTreeMap::new(),
            pause: None,
            approved: Vec::new(),
            cause: None,
            failures: 0,
            last_failure: None,
            proven: false,
            from_unhealthy: start.from_unhealthy,
            progress: at,
        }
    }

    /// How many have failed, and what ailed the last one.
    pub(crate) fn failed_members(&self, generation: &Generation) -> String {
        let (count, verb) = if self.failures == 1 {
            ("1 member".to_owned(), "has")
        } else {
            (format!("{} members", self.failures), "have")
        };
        let last = self.last_failure.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{count} of generation {generation} {verb} failed{last}")
    }

    #[must_use]
    pub fn current_step(&self) -> Option<&Step> {
        self.steps.get(self.step)
    }

    /// Whether going back is no longer possible.
    #[must_use]
    pub fn frozen(&self, irreversible_after: Option<usize>) -> bool {
        irreversible_after.is_some_and(|step| match self.stage {
            Stage::Validating => false,
            Stage::Stepping => self.step >= step && (self.step > step || self.proven),
            _ => true,
        })
    }
}
