//! The loop around the machine, on real hosts: look, decide, write down, do. It may be killed anywhere; the next one
//! goes on from the journal and from what it sees.

mod look;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ledger::Appended;

use crate::definition::Fleet;
use crate::drivers::{Driver, Found};
use crate::engine::{Act, Capacity, MemberId, Millis, Observation, Outcome, Record, Spec, State, decide};
use crate::gates::Cohorts;
use crate::traffic::{Server, Traffic};

pub use store::{Asked, Store, now};

/// How long a lease lasts without being renewed.
const LEASE: Millis = 10_000;
const RENEW: Millis = 2_000;

/// So many entries are read again; then all of the state is written down once.
const LONG: u64 = 500;

/// Why a controller stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Another one has the lease now.
    LostLease,
    /// Another one has it, and is alive.
    Busy(String),
    Problem(String),
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Problem(why)
    }
}

/// An intent's number, and what came of it.
type Done = (u64, Outcome);

pub struct Controller {
    pub fleet: Fleet,
    driver: Arc<dyn Driver>,
    traffic: Option<Arc<dyn Traffic>>,
    store: Store,
    pub state: State,
    read: u64,
    epoch: u64,
    renewed: Millis,
    done: (Sender<Done>, Receiver<Done>),
    found: BTreeMap<MemberId, Found>,
    servers: BTreeMap<MemberId, Server>,
    asked: BTreeMap<String, (Millis, Cohorts)>,
    /// What was last seen.
    pub seen: Observation,
}

impl Controller {
    /// Takes the lease, if nobody else is at work.
    pub fn start(
        fleet: Fleet,
        driver: Arc<dyn Driver>,
        traffic: Option<Arc<dyn Traffic>>,
        path: PathBuf,
    ) -> Result<Self, Stop> {
        let mut store = Store::open(path)?;
        let epoch = store.take(&fleet.spec.name, LEASE)?.map_err(Stop::Busy)?;
        let mut controller = Self {
            state: State::new(Spec::new(&fleet.spec.name, 1)),
            fleet,
            driver,
            traffic,
            store,
            read: 0,
            epoch,
            renewed: now(),
            done: channel(),
            found: BTreeMap::new(),
            servers: BTreeMap::new(),
            asked: BTreeMap::new(),
            seen: Observation::default(),
        };
        controller.absorb()?;
        let who = controller.store.holder();
        let took = Record::Took { epoch, who };
        controller.write(&[took], now())?;
        if controller.read - controller.store.base(&controller.fleet.spec.name)? > LONG {
            let state = Box::new(controller.state.clone());
            controller.write(&[Record::Snapshot { state }], now())?;
        }
        Ok(controller)
    }

    fn name(&self) -> String {
        self.fleet.spec.name.clone()
    }

    fn absorb(&mut self) -> Result<(), Stop> {
        for (number, at, record) in self.store.read(&self.fleet.spec.name, self.read)? {
            self.state.apply(at, &record);
            self.read = number;
        }
        Ok(())
    }

    /// The state is what the journal says; what was decided beyond it has not happened.
    fn reload(&mut self) -> Result<(), Stop> {
        let before = std::mem::replace(&mut self.state, State::new(Spec::new(&self.fleet.spec.name, 1)));
        self.read = 0;
        self.absorb()?;
        // What this controller has seen itself stays seen.
        for (id, member) in &mut self.state.members {
            if let Some(known) = before.members.get(id) {
                (member.healthy_since, member.sick_since) = (known.healthy_since, known.sick_since);
            }
        }
        Ok(())
    }

    /// Writes records that are not yet in the state.
    fn write(&mut self, records: &[Record], at: Millis) -> Result<(), Stop> {
        loop {
            self.absorb()?;
            match self.store.append(&self.fleet.spec.name, Some(self.epoch), Some(self.read), at, records)? {
                Appended::Done(_) => return self.absorb(),
                Appended::Behind => {}
                Appended::Fenced => return Err(Stop::LostLease),
            }
        }
    }

    /// One pass: look, decide, write down, do. Whether anything has moved, so that the next pass is worth having soon.
    pub fn tick(&mut self) -> Result<bool, Stop> {
        let name = self.name();
        if now() >= self.renewed + RENEW {
            self.renewed = now();
            if !self.store.renew(&name, self.epoch, now() + LEASE)? {
                return Err(Stop::LostLease);
            }
        }
        self.collect()?;
        self.absorb()?;
        let seen = self.look();
        let decision = decide(&mut self.state, &seen);
        self.seen = seen;
        let written = if decision.records.is_empty() {
            Appended::Done(self.read)
        } else {
            self.store.append(&name, Some(self.epoch), Some(self.read), self.seen.at, &decision.records)?
        };
        match written {
            Appended::Done(number) => self.read = number,
            // Somebody has asked for something meanwhile: look and decide anew, nothing has been done.
            Appended::Behind => return self.reload().map(|()| true),
            Appended::Fenced => return Err(Stop::LostLease),
        }
        let moves = |record: &Record| {
            matches!(
                record,
                Record::Moved { .. } | Record::Stage { .. } | Record::Step { .. } | Record::Gone { .. }
            )
        };
        let moved = !decision.acts.is_empty() || decision.records.iter().any(moves);
        for (number, act) in decision.acts {
            self.perform(number, act)?;
        }
        self.forget_gone();
        self.store.show(&name, &self.state, &self.seen, &self.servers)?;
        Ok(moved)
    }

    /// Waits until an act has ended, at most for so long.
    pub fn rest(&mut self, most: Duration) -> Result<(), Stop> {
        if let Ok((number, outcome)) = self.done.1.recv_timeout(most) {
            self.write(&[Record::Outcome { number, outcome }], now())?;
        }
        Ok(())
    }

    /// Whether acts of this controller are still under way.
    #[must_use]
    pub fn busy(&self) -> bool {
        !self.state.pending.is_empty()
    }

    fn collect(&mut self) -> Result<(), Stop> {
        while let Ok((number, outcome)) = self.done.1.try_recv() {
            self.write(&[Record::Outcome { number, outcome }], now())?;
        }
        Ok(())
    }

    /// Does what was written down. Weights are set at once, in order; all else takes its time elsewhere.
    fn perform(&mut self, number: u64, act: Act) -> Result<(), Stop> {
        if !self.store.holds(&self.fleet.spec.name, self.epoch)? {
            return Err(Stop::LostLease);
        }
        if let Act::Weigh { weights } = &act {
            let outcome = self.weigh(weights);
            return self.write(&[Record::Outcome { number, outcome }], now());
        }
        let (driver, sender) = (self.driver.clone(), self.done.0.clone());
        std::thread::spawn(move || {
            let outcome = match &act {
                Act::Prepare { generation } => driver.prepare(generation),
                Act::Launch { member, generation, zone } => {
                    driver.launch(member, generation, zone.as_deref())
                }
                Act::Apply { member, generation } => driver.apply(member, generation),
                Act::Retire { member } => driver.retire(member),
                // The journal itself is what names the fleet's generation.
                Act::Release { .. } | Act::Weigh { .. } => Outcome::Done,
            };
            let _ = sender.send((number, outcome));
        });
        Ok(())
    }

    fn weigh(&self, weights: &BTreeMap<MemberId, u32>) -> Outcome {
        let Some(traffic) = &self.traffic else { return Outcome::Done };
        let address = |id: &MemberId| self.found.get(id).and_then(|found| found.address);
        let weights = weights.iter().map(|(id, weight)| (id.clone(), (*weight, address(id)))).collect();
        match traffic.weigh(&weights) {
            Ok(()) => Outcome::Done,
            Err(_) => Outcome::Unknown,
        }
    }

    /// The balancer need not know members that are gone. Whoever else had the traffic before the fleet was there keeps
    /// it until the fleet's own members carry it.
    fn forget_gone(&self) {
        let Some(traffic) = &self.traffic else { return };
        let capacity = Capacity::of(&self.state, &self.seen);
        let known: BTreeSet<&MemberId> = self.state.members.keys().chain(self.found.keys()).collect();
        let strange: Vec<_> = self.servers.iter().filter(|(id, _)| !known.contains(id)).collect();
        if capacity.available >= self.state.desired {
            let serving = strange.iter().filter(|(_, server)| server.weight > 0);
            let drained: BTreeMap<_, _> = serving.map(|(id, _)| ((*id).clone(), (0, None))).collect();
            if !drained.is_empty() {
                // What cannot be said now is said at the next look.
                let _ = traffic.weigh(&drained);
            }
        }
        for (id, _) in strange.iter().filter(|(_, server)| server.weight == 0 && server.open == 0) {
            let _ = traffic.forget(id);
        }
    }

    /// Lets the lease go, so that the next one need not wait.
    pub fn end(mut self) {
        let deadline = now() + 5_000;
        while self.busy() && now() < deadline && self.collect().is_ok() && self.absorb().is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let name = self.name();
        let _ = self.store.renew(&name, self.epoch, 0);
    }
}
