//! What is known of a fleet: the sum of its journal.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::rollout::{Rollout, Stage};
use super::spec::Spec;
use super::words::{Act, Command, Fault, Generation, MemberId, Millis, Outcome, Record};

/// Where a member is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asked for; not seen yet.
    Launching,
    /// Being changed where it stands.
    Applying,
    /// There; not yet healthy, attested and verified for long enough.
    Booting,
    /// It could serve, and gets no traffic.
    Ready,
    /// It has traffic.
    Serving,
    /// It gets no new connections; the old ones finish.
    Draining,
    /// Drained and kept, for a fast way back.
    Standby,
    /// Told to go.
    Retiring,
}

impl Phase {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Launching => "launching",
            Self::Applying => "applying",
            Self::Booting => "booting",
            Self::Ready => "ready",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Standby => "standby",
            Self::Retiring => "retiring",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub id: MemberId,
    pub generation: Generation,
    pub zone: Option<String>,
    pub phase: Phase,
    /// Since when it is in this phase.
    pub since: Millis,
    /// How the act on it failed, if it did.
    pub failed: Option<(Fault, String)>,
    /// When an act on it was last begun.
    pub asked: Millis,
    /// Its driver has said that it is removed.
    #[serde(default)]
    pub removed: bool,
    /// How often it fell back while it was booting.
    pub flaps: u32,
    /// Since when it has been seen healthy without a break. Not kept: a new controller looks for itself.
    #[serde(skip)]
    pub healthy_since: Option<Millis>,
    #[serde(skip)]
    pub sick_since: Option<Millis>,
    /// Since when it has not been seen at all.
    #[serde(skip)]
    pub missing_since: Option<Millis>,
}

/// What is remembered of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mark", content = "why")]
pub enum Mark {
    Good,
    Bad(String),
    /// A person has forgiven it.
    Candidate,
}

/// What a rollout is begun with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    pub to: Generation,
    pub from: Option<Generation>,
    pub plan: Plan,
    /// Also if the generation is known to be bad.
    pub force: bool,
    /// Also if the fleet is not healthy to begin with.
    pub from_unhealthy: bool,
}

/// An act that was begun and whose end is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    pub act: Act,
    pub at: Millis,
}

/// A request that waits for the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub by: String,
    pub rollout: Option<String>,
    pub command: Command,
    pub at: Millis,
}

/// What became of a request; the last few are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which request, from 1.
    pub number: u64,
    pub refused: Option<String>,
}

const ANSWERS: usize = 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub spec: Spec,
    /// How many members are wanted now: an operator or an autoscaler may have changed it.
    pub desired: u32,
    /// The generation the fleet is at.
    pub current: Option<Generation>,
    /// The one before, that was good: what `back` goes to.
    pub previous: Option<Generation>,
    pub marks: BTreeMap<Generation, Mark>,
    pub members: BTreeMap<MemberId, Member>,
    pub rollout: Option<Rollout>,
    pub pending: BTreeMap<u64, Pending>,
    pub intents: u64,
    /// How many names were given.
    pub named: u64,
    pub requests: VecDeque<Request>,
    /// How many were answered.
    pub answered: u64,
    pub answers: VecDeque<Answer>,
    pub epoch: u64,
    pub holder: String,
    /// No launches before then, and why.
    pub held: Option<(Millis, String)>,
    /// Failed launches in a row, without a rollout.
    pub failures: u32,
    /// Which generation's preparation has succeeded, or how it failed.
    pub prepared: Option<(Generation, Option<String>)>,
    /// What the source of truth was told.
    pub released: Option<Generation>,
    /// When this rollout's last old member was lost: a storm is nobody's fault.
    pub storm: Millis,
    /// Strangers with the fleet's label, and since when.
    #[serde(skip)]
    pub strangers: BTreeMap<MemberId, Millis>,
    /// When the soak was last counted.
    #[serde(skip)]
    pub soaked_at: Option<Millis>,
}

impl State {
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        Self {
            desired: spec.members,
            spec,
            current: None,
            previous: None,
            marks: BTreeMap::new(),
            members: BTreeMap::new(),
            rollout: None,
            pending: BTreeMap::new(),
            intents: 0,
            named: 0,
            requests: VecDeque::new(),
            answered: 0,
            answers: VecDeque::new(),
            epoch: 0,
            holder: String::new(),
            held: None,
            failures: 0,
            prepared: None,
            released: None,
            storm: 0,
            strangers: BTreeMap::new(),
            soaked_at: None,
        }
    }

    #[must_use]
    pub fn is_bad(&self, generation: &Generation) -> Option<&str> {
        match self.marks.get(generation) {
            Some(Mark::Bad(why)) => Some(why),
            _ => None,
        }
    }

    /// The rollout that is under way.
    #[must_use]
    pub fn active(&self) -> Option<&Rollout> {
        self.rollout.as_ref().filter(|rollout| !rollout.stage.ended())
    }

    /// The acts on this member that were begun and have not ended.
    pub(crate) fn busy(&self, member: &MemberId) -> bool {
        self.pending.values().any(|pending| pending.act.member() == Some(member))
    }

    /// Applies one entry of the journal. Nothing else changes what is kept.
    pub fn apply(&mut self, at: Millis, record: &Record) {
        match record {
            Record::Took { epoch, who } => self.take(*epoch, who),
            Record::Asked { by, rollout, command } => self.requests.push_back(Request {
                by: by.clone(),
                rollout: rollout.clone(),
                command: command.clone(),
                at,
            }),
            Record::Answered { refused } => self.answer(refused.as_ref()),
            Record::Defined { spec } => self.spec = (**spec).clone(),
            Record::Scaled { members } => self.desired = *members,
            Record::Current { generation } => {
                let before = self.current.replace(generation.clone());
                self.previous = before.filter(|before| before != generation).or(self.previous.take());
            }
            Record::Marked { generation, mark } => {
                self.marks.insert(generation.clone(), mark.clone());
            }
            Record::Intent { number, act } => self.intend(at, *number, act),
            Record::Outcome { number, outcome } => self.conclude(*number, outcome),
            Record::Moved { .. } | Record::Adopted { .. } | Record::Gone { .. } | Record::Fault { .. } => {
                self.apply_member(at, record);
            }
            Record::Held { until, why } => self.held = Some((*until, why.clone())),
            Record::Snapshot { state } => *self = (**state).clone(),
            _ => self.apply_rollout(at, record),
        }
    }

    fn apply_member(&mut self, at: Millis, record: &Record) {
        match record {
            Record::Moved { member, phase } => self.move_member(at, member, *phase),
            Record::Adopted { member, generation, zone, phase } => {
                self.strangers.remove(member);
                self.adopt(at, member, generation, zone.clone(), *phase);
            }
            Record::Gone { member } => {
                self.members.remove(member);
            }
            Record::Fault { member, generation, fault, why, ours } => {
                if let Some(member) = member.as_ref().and_then(|id| self.members.get_mut(id)) {
                    member.failed = Some((*fault, why.clone()));
                }
                let who = member.as_ref().map(|id| format!("{id}: ")).unwrap_or_default();
                self.fault(at, generation, *ours, format!("{who}{why}"));
            }
            _ => {}
        }
    }

    fn apply_rollout(&mut self, at: Millis, record: &Record) {
        if let Record::Began { rollout, start } = record {
            self.rollout = Some(Rollout::new(rollout.clone(), (**start).clone(), at));
            self.prepared = None;
            self.soaked_at = None;
            self.held = None;
            return;
        }
        let Some(rollout) = &mut self.rollout else { return };
        match record {
            Record::Stage { stage } => {
                if *stage == Stage::RollingBack || *stage == Stage::Stepping {
                    rollout.failures = 0;
                }
                rollout.stage = *stage;
                rollout.tallies.clear();
                (rollout.since, rollout.soaked, rollout.progress) = (at, 0, at);
                self.soaked_at = None;
            }
            Record::Step { index } => {
                (rollout.step, rollout.since, rollout.soaked, rollout.progress) = (*index, at, 0, at);
                rollout.tallies.clear();
                self.soaked_at = None;
            }
            Record::Cause { cause } => rollout.cause = Some(cause.clone()),
            Record::Paused { pause } => rollout.pause = Some(pause.clone()),
            Record::Resumed => {
                rollout.pause = None;
                rollout.progress = at;
                rollout.tallies.values_mut().for_each(|tally| tally.undecided_since = None);
            }
            Record::Approved { step, .. } => rollout.approved.push(*step),
            Record::Soaked { millis } => {
                rollout.soaked += millis;
                rollout.progress = at;
            }
            Record::Sampled { sample } => {
                rollout.tallies.entry(sample.gate.clone()).or_default().count(&sample.verdict, at);
            }
            Record::Proven => rollout.proven = true,
            _ => {}
        }
    }

    fn take(&mut self, epoch: u64, who: &str) {
        self.epoch = epoch;
        who.clone_into(&mut self.holder);
        // Whoever began them is gone: looking decides what became of them.
        self.pending.clear();
        for member in self.members.values_mut() {
            (member.healthy_since, member.sick_since, member.missing_since) = (None, None, None);
        }
        self.soaked_at = None;
    }

    fn answer(&mut self, refused: Option<&String>) {
        self.requests.pop_front();
        self.answered += 1;
        self.answers.push_back(Answer { number: self.answered, refused: refused.cloned() });
        if self.answers.len() > ANSWERS {
            self.answers.pop_front();
        }
    }

    fn intend(&mut self, at: Millis, number: u64, act: &Act) {
        self.intents = self.intents.max(number);
        self.pending.insert(number, Pending { act: act.clone(), at });
        match act {
            Act::Launch { member, generation, zone } => {
                self.adopt(at, member, generation, zone.clone(), Phase::Launching);
            }
            Act::Apply { member, generation } => {
                if let Some(member) = self.members.get_mut(member) {
                    member.generation = generation.clone();
                }
                self.move_member(at, member, Phase::Applying);
            }
            Act::Retire { member } => self.move_member(at, member, Phase::Retiring),
            _ => {}
        }
        if let Some(member) = act.member().and_then(|id| self.members.get_mut(id)) {
            member.asked = at;
            (member.failed, member.removed) = (None, false);
        }
    }

    fn conclude(&mut self, number: u64, outcome: &Outcome) {
        let Some(Pending { act, .. }) = self.pending.remove(&number) else { return };
        let failed = match outcome {
            Outcome::Failed { fault, why } => Some((*fault, why.clone())),
            _ => None,
        };
        match (&act, outcome) {
            (Act::Prepare { generation }, Outcome::Done | Outcome::Failed { .. }) => {
                self.prepared = Some((generation.clone(), failed.map(|(_, why)| why)));
            }
            (Act::Retire { member }, Outcome::Done) => {
                if let Some(member) = self.members.get_mut(member) {
                    member.removed = true;
                }
            }
            (Act::Release { generation }, Outcome::Done) => self.released = Some(generation.clone()),
            (Act::Apply { member, .. }, Outcome::Done) => {
                if let Some(member) = self.members.get_mut(member).filter(|m| m.phase == Phase::Applying) {
                    member.phase = Phase::Booting;
                }
            }
            _ => {
                // Once it has been seen, what it looks like decides.
                let asked = |member: &&mut Member| matches!(member.phase, Phase::Launching | Phase::Applying);
                if let Some(member) = act.member().and_then(|id| self.members.get_mut(id)).filter(asked) {
                    member.failed = failed;
                }
            }
        }
    }

    fn adopt(
        &mut self,
        at: Millis,
        id: &MemberId,
        generation: &Generation,
        zone: Option<String>,
        phase: Phase,
    ) {
        if let Some(number) = id.0.rsplit('-').next().and_then(|text| text.parse::<u64>().ok()) {
            self.named = self.named.max(number);
        }
        let before = self.members.get(id).map(|member| member.since);
        let fresh = Member {
            id: id.clone(),
            generation: generation.clone(),
            zone,
            phase,
            // Trying again does not set the clock back.
            since: before.unwrap_or(at),
            failed: None,
            removed: false,
            asked: at,
            flaps: 0,
            healthy_since: None,
            sick_since: None,
            missing_since: None,
        };
        self.members.insert(id.clone(), fresh);
        self.progressed(at);
    }

    fn move_member(&mut self, at: Millis, id: &MemberId, phase: Phase) {
        let Some(member) = self.members.get_mut(id) else { return };
        if member.phase == phase {
            return;
        }
        if member.phase == Phase::Ready && phase == Phase::Booting {
            member.flaps += 1;
        }
        if phase == Phase::Serving {
            self.failures = 0;
        }
        if matches!(phase, Phase::Booting | Phase::Ready | Phase::Serving) {
            member.failed = None;
        }
        (member.phase, member.since) = (phase, at);
        self.progressed(at);
    }

    fn progressed(&mut self, at: Millis) {
        if let Some(rollout) = &mut self.rollout {
            rollout.progress = at;
        }
    }

    fn fault(&mut self, at: Millis, generation: &Generation, ours: bool, why: String) {
        match &mut self.rollout {
            Some(rollout) if !rollout.stage.ended() => {
                let at_stake = if rollout.stage == Stage::RollingBack {
                    rollout.from.as_ref()
                } else {
                    Some(&rollout.to)
                };
                if ours && at_stake == Some(generation) {
                    rollout.failures += 1;
                    rollout.last_failure = Some(why);
                } else if !ours {
                    self.storm = at;
                }
            }
            _ => self.failures += 1,
        }
    }
}
