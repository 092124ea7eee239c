//! A controller of the simulation: reads the journal, decides, writes, acts; and may be killed between any two of these.

use super::journal::Journal;
use super::watch::{Known, Violation, check};
use super::world::World;
use crate::engine::{Act, Decision, Observation, Outcome, Record, Spec, State, decide};

/// Where a controller can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    BeforeWriting,
    /// The intents are written, nothing is done.
    BeforeActing,
    /// So many acts are done; no outcome is written.
    AfterActs(usize),
    /// So many outcomes are written.
    AfterOutcomes(usize),
}

/// A planted bug: what a wrong machine would have decided. For tests of the tests.
pub type Tamper = fn(&State, &Observation, &mut Decision);

/// Also of planted bugs: what a wrong controller would do with its decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrongs {
    /// Acts before it has written.
    pub acts_first: bool,
    /// Does not notice that the lease is another one's.
    pub ignores_epoch: bool,
}

/// An act that takes time.
#[derive(Clone, Debug)]
pub struct Flight {
    pub due: u64,
    pub number: u64,
    pub act: Act,
    /// What was known when it was decided.
    pub known: Option<Known>,
}

#[derive(Clone, Debug)]
pub struct Controller {
    pub state: State,
    /// How many entries of the journal it has read.
    pub read: usize,
    pub epoch: u64,
    /// Acts that take time: when they are done, and whether the answer gets lost.
    pub flights: Vec<Flight>,
    pub known: Option<Known>,
}

impl Controller {
    /// Takes the lease and learns what was before from the journal alone.
    #[must_use]
    pub fn start(spec: &Spec, journal: &mut Journal, now: u64, who: &str) -> Self {
        let epoch = journal.take(now, who);
        let mut controller =
            Self { state: State::new(spec.clone()), read: 0, epoch, flights: Vec::new(), known: None };
        controller.absorb(journal);
        controller
    }

    pub fn absorb(&mut self, journal: &Journal) {
        for (at, record) in &journal.entries[self.read..] {
            self.state.apply(*at, record);
        }
        self.read = journal.entries.len();
    }

    /// Decides and writes it down. None: somebody else has written; nothing may be done.
    pub fn decide(
        &mut self,
        journal: &mut Journal,
        seen: &Observation,
        world: &World,
        tamper: Option<Tamper>,
    ) -> Option<Decision> {
        let mut decision = decide(&mut self.state, seen);
        if let Some(tamper) = tamper {
            let written = decision.records.len();
            tamper(&self.state, seen, &mut decision);
            for record in &decision.records[written.min(decision.records.len())..] {
                self.state.apply(seen.at, record);
            }
        }
        self.known = Some(Known::of(&self.state, world, seen));
        if !journal.append(self.epoch, self.read, seen.at, &decision.records) {
            return None;
        }
        self.read = journal.entries.len();
        Some(decision)
    }

    /// Does one act, if the lease is still its own.
    pub fn act(
        &mut self,
        journal: &Journal,
        world: &mut World,
        number: u64,
        act: &Act,
        wrongs: Wrongs,
    ) -> Result<Option<Outcome>, Violation> {
        if self.epoch != journal.epoch && !wrongs.ignores_epoch {
            return Ok(None);
        }
        if let Some(known) = &self.known
            && let Some(violation) = check(known, journal, self.epoch, number, act, world)
        {
            return Err(violation);
        }
        Ok(Some(world.perform(act)))
    }

    pub fn conclude(&mut self, journal: &mut Journal, now: u64, number: u64, outcome: Outcome) {
        self.absorb(journal);
        let record = Record::Outcome { number, outcome };
        if journal.append(self.epoch, self.read, now, std::slice::from_ref(&record)) {
            self.state.apply(now, &record);
            self.read = journal.entries.len();
        }
    }
}
