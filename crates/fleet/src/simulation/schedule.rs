//! One schedule: a fleet, what people and the world do to it, and the controller in the middle.

use super::controller::{Controller, Crash, Flight, Wrongs};
use super::journal::Journal;
use super::random::Random;
use super::scenario::{Event, Faults, Scenario};
use super::watch::{Known, Promise, Violation};
use super::world::{Quality, World};
use crate::engine::{
    Command, Health, Observation, Outcome, PauseWhy, Record, Sample, Stage, Start, Verdict, plan,
};

/// How a schedule ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub journal: Journal,
    pub world: World,
    pub controller: Controller,
    pub crashes: u32,
    pub ticks: u64,
    /// The fewest that really served after the fleet was first complete.
    pub fewest: u32,
    /// The most there ever were.
    pub most: u32,
}

/// The run of one schedule.
struct Course {
    scenario: Scenario,
    random: Random,
    world: World,
    journal: Journal,
    controller: Controller,
    zombie: Option<Controller>,
    gate: Option<Verdict>,
    gate_asked: u64,
    traffic_lost_until: u64,
    blind_until: u64,
    next: usize,
    crashes: u32,
    ticks: u64,
    aborted: bool,
    complete: bool,
    fewest: u32,
    most: u32,
}

/// Runs a schedule to its end, or to the first broken promise.
pub fn run(scenario: Scenario) -> Result<Ended, Violation> {
    run_traced(scenario).0
}

/// The same, with everything that was written down on the way.
pub fn run_traced(scenario: Scenario) -> (Result<Ended, Violation>, Journal) {
    let mut course = Course::new(scenario);
    let ended = course.go();
    let journal = course.journal.clone();
    (ended.and_then(|unfinished| if unfinished { course.unfinished() } else { course.end() }), journal)
}

/// An act is held to the greatest total that was allowed between its decision and its end.
fn allowing(known: Option<Known>, most: u32) -> Option<Known> {
    known.map(|mut known| {
        known.capacity.limits.most = known.capacity.limits.most.max(most);
        known
    })
}

impl Course {
    /// True: it did not come to an end.
    fn go(&mut self) -> Result<bool, Violation> {
        let course = self;
        let over = course.scenario.script.last().map_or(0, |(at, _)| *at).max(course.scenario.faults_until);
        while course.world.now < course.scenario.horizon {
            course.tick()?;
            if course.world.now > over + 5000 && course.settled() {
                return Ok(false);
            }
            if course.world.now > over {
                course.help();
            }
        }
        Ok(true)
    }

    fn new(scenario: Scenario) -> Self {
        let mut journal = Journal::default();
        let mut world = World {
            qualities: scenario.qualities.clone(),
            boot_time: scenario.boot_time,
            ..World::default()
        };
        world.hosts(&scenario.spec);
        let ask = |command| Record::Asked { by: "ann".to_owned(), rollout: None, command };
        journal.ask(0, ask(Command::Define { spec: Box::new(scenario.spec.clone()) }));
        journal.ask(0, ask(Command::Up { generation: "g0".into() }));
        let controller = Controller::start(&scenario.spec, &mut journal, 0, "one");
        Self {
            random: Random::new(scenario.seed ^ 0xABCD),
            scenario,
            world,
            journal,
            controller,
            zombie: None,
            gate: None,
            gate_asked: 0,
            traffic_lost_until: 0,
            blind_until: 0,
            next: 0,
            crashes: 0,
            ticks: 0,
            aborted: false,
            complete: false,
            fewest: u32::MAX,
            most: 0,
        }
    }

    fn faulty(&mut self, of_thousand: u64) -> bool {
        self.world.now < self.scenario.faults_until && self.random.chance(of_thousand)
    }

    fn tick(&mut self) -> Result<(), Violation> {
        self.ticks += 1;
        let (from, to) = self.scenario.tick;
        let now = self.world.now + self.random.within(from, to);
        self.world.pass(now);
        self.happen();
        self.land()?;
        if let Some(zombie) = self.zombie.take() {
            self.wake(zombie)?;
        }
        self.controller.absorb(&self.journal);
        let seen = self.observe();
        let crash = self.faults_crash();
        if crash == Some(Crash::BeforeWriting) {
            self.crash();
            return Ok(());
        }
        // Somebody asks for something between looking and writing.
        let race = self.scenario.faults.race;
        if self.faulty(race) {
            let command = self.random.pick(&[Command::Pause, Command::Resume, Command::Abort]).clone();
            self.ask(command);
        }
        let decided = self.controller.decide(&mut self.journal, &seen, &self.world, self.scenario.tamper);
        let Some(decision) = decided else {
            self.reload();
            return Ok(());
        };
        if crash == Some(Crash::BeforeActing) && !self.scenario.wrongs.acts_first {
            self.crash();
            return Ok(());
        }
        self.perform(decision.acts, crash)?;
        self.note();
        Ok(())
    }

    fn note(&mut self) {
        let available = self.world.available();
        let desired = self.controller.state.desired;
        self.complete |= available >= desired && desired > 0;
        if self.complete {
            self.fewest = self.fewest.min(available);
        }
        self.most = self.most.max(self.world.total());
    }

    fn faults_crash(&mut self) -> Option<Crash> {
        let crash = self.scenario.faults.crash;
        if !self.faulty(crash) {
            return None;
        }
        let after = usize::try_from(self.random.within(0, 3)).unwrap_or(0);
        Some(*self.random.pick(&[
            Crash::BeforeWriting,
            Crash::BeforeActing,
            Crash::AfterActs(after),
            Crash::AfterOutcomes(after),
        ]))
    }

    /// What was not written is not known: the state is what the journal says.
    fn reload(&mut self) {
        let (epoch, flights) = (self.controller.epoch, std::mem::take(&mut self.controller.flights));
        let mut state = crate::engine::State::new(self.scenario.spec.clone());
        for (at, record) in &self.journal.entries {
            state.apply(*at, record);
        }
        self.controller = Controller { state, read: self.journal.entries.len(), epoch, flights, known: None };
    }

    fn crash(&mut self) {
        self.crashes += 1;
        let mut dead = self.controller.clone();
        // What it had begun may still be done, or not.
        for Flight { number, act, .. } in std::mem::take(&mut dead.flights) {
            if self.random.chance(500) {
                let _ = dead.act(&self.journal, &mut self.world, number, &act, Wrongs::default());
            }
        }
        if self.scenario.zombies && self.random.chance(500) {
            self.zombie = Some(dead);
        }
        let name = format!("controller {}", self.crashes + 1);
        let now = self.world.now;
        self.controller = Controller::start(&self.scenario.spec, &mut self.journal, now, &name);
    }

    /// A controller that was thought dead goes on where it stood. It must find that it may not.
    fn wake(&mut self, mut zombie: Controller) -> Result<(), Violation> {
        let seen = self.world.observe();
        let state = zombie.state.clone();
        let decided = crate::engine::decide(&mut zombie.state, &seen);
        let written = self.journal.append(zombie.epoch, zombie.read, seen.at, &decided.records);
        if !written && !self.scenario.wrongs.ignores_epoch {
            return Ok(());
        }
        zombie.known = Some(Known::of(&state, &self.world, &seen));
        for (number, act) in decided.acts {
            zombie.act(&self.journal, &mut self.world, number, &act, self.scenario.wrongs)?;
        }
        Ok(())
    }

    fn perform(
        &mut self,
        acts: Vec<(u64, crate::engine::Act)>,
        crash: Option<Crash>,
    ) -> Result<(), Violation> {
        let mut outcomes = Vec::new();
        for (done, (number, act)) in acts.into_iter().enumerate() {
            if crash == Some(Crash::AfterActs(done)) {
                self.crash();
                return Ok(());
            }
            let slow = self.scenario.faults.slow;
            if act.member().is_some() && self.faulty(slow) {
                let due = self.world.now + self.random.within(500, 12_000);
                let known = self.controller.known.clone();
                self.controller.flights.push(Flight { due, number, act, known });
                continue;
            }
            if let Some(outcome) = self.do_one(number, &act)? {
                outcomes.push((number, outcome));
            }
        }
        for (written, (number, outcome)) in outcomes.into_iter().enumerate() {
            if crash == Some(Crash::AfterOutcomes(written)) {
                self.crash();
                return Ok(());
            }
            let now = self.world.now;
            self.controller.conclude(&mut self.journal, now, number, outcome);
        }
        Ok(())
    }

    fn do_one(&mut self, number: u64, act: &crate::engine::Act) -> Result<Option<Outcome>, Violation> {
        let Faults { refused, lost_reply, duplicate, .. } = self.scenario.faults;
        if self.faulty(refused) {
            let fault = crate::engine::Fault::Start;
            return Ok(Some(Outcome::Failed { fault, why: "it did not work".to_owned() }));
        }
        let wrongs = self.scenario.wrongs;
        let outcome = self.controller.act(&self.journal, &mut self.world, number, act, wrongs)?;
        if self.faulty(duplicate) {
            self.controller.act(&self.journal, &mut self.world, number, act, wrongs)?;
        }
        Ok(outcome.map(|outcome| if self.faulty(lost_reply) { Outcome::Unknown } else { outcome }))
    }

    /// Acts that took their time end.
    fn land(&mut self) -> Result<(), Violation> {
        let now = self.world.now;
        let (due, flying): (Vec<_>, Vec<_>) = std::mem::take(&mut self.controller.flights)
            .into_iter()
            .partition(|flight: &Flight| flight.due <= now);
        let latest = self.controller.known.clone();
        let most = latest.as_ref().map_or(0, |known| known.capacity.limits.most);
        for Flight { number, act, known, .. } in due {
            self.controller.known = allowing(known, most);
            if let Some(outcome) = self.do_one(number, &act)? {
                self.controller.conclude(&mut self.journal, now, number, outcome);
            }
        }
        self.controller.known = latest;
        // Added to what a landing above may have begun.
        self.controller.flights.extend(
            flying.into_iter().map(|flight| Flight { known: allowing(flight.known, most), ..flight }),
        );
        Ok(())
    }

    fn ask(&mut self, command: Command) {
        self.aborted |= matches!(command, Command::Abort);
        let record = Record::Asked { by: "ann".to_owned(), rollout: None, command };
        self.journal.ask(self.world.now, record);
    }

    fn happen(&mut self) {
        while let Some((at, event)) = self.scenario.script.get(self.next).cloned() {
            if at > self.world.now {
                break;
            }
            self.next += 1;
            self.happens(event);
        }
        let Faults { die, sick, .. } = self.scenario.faults;
        let victim = usize::try_from(self.random.within(0, 16)).unwrap_or(0);
        if self.faulty(die) {
            self.happens(Event::Die(victim));
        }
        if self.faulty(sick) {
            let long = self.random.within(1000, 20_000);
            self.happens(Event::Sick(victim, long));
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.world.now;
        let count = self.world.bodies.len().max(1);
        match event {
            Event::Ask(command) => self.ask(command),
            Event::Start(to) => {
                let start = Start {
                    to,
                    from: None,
                    plan: plan(&self.scenario.spec),
                    force: false,
                    from_unhealthy: false,
                };
                self.ask(Command::Start { start: Box::new(start) });
            }
            Event::LoseZone(zone) => {
                self.world.bodies.retain(|_, body| body.zone.as_ref() != Some(&zone) || body.slot);
            }
            Event::Die(which) => {
                if let Some(body) = self.world.bodies.values_mut().nth(which % count)
                    && !body.slot
                {
                    body.dead = Some(now);
                }
            }
            Event::Sick(which, long) => {
                if let Some(body) = self.world.bodies.values_mut().nth(which % count) {
                    body.sick_until = now + long;
                }
            }
            Event::Full(long) => self.world.full_until = now + long,
            Event::Kill => self.crash(),
            Event::Gate(verdict) => self.gate = verdict,
            Event::LoseTraffic(long) => self.traffic_lost_until = now + long,
            Event::Blind(long) => self.blind_until = now + long,
        }
    }

    fn observe(&mut self) -> Observation {
        let now = self.world.now;
        let mut seen = self.world.observe();
        let Faults { blind, traffic_lost, unknown_health, .. } = self.scenario.faults;
        if self.faulty(blind) || now < self.blind_until {
            return Observation { at: now, blind: Some("no answer".to_owned()), ..Observation::default() };
        }
        if self.faulty(traffic_lost) || now < self.traffic_lost_until {
            seen.traffic_lost = Some("no answer".to_owned());
            seen.members.values_mut().for_each(|found| (found.weight, found.connections) = (None, None));
        }
        for found in seen.members.values_mut() {
            if self.faulty(unknown_health) {
                found.health = Health::Unknown;
            }
        }
        let interval = self.scenario.spec.gates.first().map(|rule| rule.interval);
        if let Some(interval) = interval.filter(|interval| now >= self.gate_asked + interval) {
            self.gate_asked = now - now % interval;
            let to = self.controller.state.rollout.as_ref().map(|rollout| rollout.to.clone());
            let verdict = self.gate.clone().or_else(|| to.map(|to| self.world.errors(&to)));
            seen.samples
                .push(Sample { gate: "errors".to_owned(), verdict: verdict.unwrap_or(Verdict::Pass) });
        }
        seen
    }

    /// Nothing is under way, and the fleet is what it shall be.
    fn settled(&self) -> bool {
        let state = &self.controller.state;
        if state.active().is_some() || !state.requests.is_empty() || !self.controller.flights.is_empty() {
            return false;
        }
        let halted = state.rollout.as_ref().is_some_and(|rollout| rollout.stage == Stage::Halted);
        if halted {
            return true;
        }
        let quality = state.current.as_ref().map(|current| self.world.qualities.get(current));
        if !self.scenario.alone && !matches!(quality, Some(None | Some(Quality::Good))) {
            // Nobody can go back from it any more: then it is as good as it gets.
            return !self.can_go_back();
        }
        let serving = self.world.weights.iter().filter(|(id, weight)| {
            let body = self.world.bodies.get(*id);
            **weight > 0
                && body.is_some_and(|body| {
                    self.world.healthy(body) && state.current.as_ref() == Some(&body.generation)
                })
        });
        serving.count() == state.desired as usize && self.next >= self.scenario.script.len()
    }

    fn can_go_back(&self) -> bool {
        let state = &self.controller.state;
        state.rollout.as_ref().is_some_and(|rollout| {
            let from = rollout.from.as_ref();
            rollout.stage == Stage::Succeeded
                && from.is_some_and(|from| state.is_bad(from).is_none())
                && !rollout.frozen(state.spec.irreversible_after)
        })
    }

    /// When the storm is over, somebody looks after what needs a person.
    fn help(&mut self) {
        if self.scenario.alone || !self.controller.state.requests.is_empty() {
            return;
        }
        self.gate = None;
        let state = &self.controller.state;
        let Some(rollout) = &state.rollout else { return };
        let bad = self.world.qualities.get(&rollout.to).is_some_and(|quality| *quality != Quality::Good);
        let command = match (&rollout.pause, rollout.stage) {
            (Some(pause), _) => match pause.why {
                PauseWhy::Approval(step) => Command::Approve { step, plan: rollout.plan.clone() },
                _ => Command::Resume,
            },
            (None, Stage::Succeeded) if bad && self.can_go_back() => Command::Back,
            _ => return,
        };
        self.ask(command);
    }

    fn end(self) -> Result<Ended, Violation> {
        let mut replayed = crate::engine::State::new(self.scenario.spec.clone());
        for (at, record) in &self.journal.entries {
            replayed.apply(*at, record);
        }
        let shown = |state: &crate::engine::State| {
            let mut state = state.clone();
            state.storm = 0;
            serde_json::to_string(&state).unwrap_or_default()
        };
        let mut controller = self.controller;
        controller.absorb(&self.journal);
        if shown(&replayed) != shown(&controller.state) {
            let what = format!(
                "the journal says\n{}\nthe controller\n{}",
                shown(&replayed),
                shown(&controller.state)
            );
            return Err(Violation { promise: Promise::JournalIsTheState, at: self.world.now, what });
        }
        Ok(Ended {
            journal: self.journal,
            world: self.world,
            controller,
            crashes: self.crashes,
            ticks: self.ticks,
            fewest: self.fewest,
            most: self.most,
        })
    }

    fn unfinished(self) -> Result<Ended, Violation> {
        let state = &self.controller.state;
        let active =
            state.active().map(|rollout| format!("rollout {} is {}", rollout.id, rollout.stage.word()));
        let promise =
            if self.aborted && active.is_some() { Promise::EveryAbortEnds } else { Promise::AllEndsWell };
        if self.scenario.alone && promise == Promise::AllEndsWell {
            return self.end();
        }
        let members: Vec<String> = state
            .members
            .values()
            .map(|member| format!("{} {} {}", member.id, member.generation, member.phase.word()))
            .collect();
        let what = format!(
            "{}; {} of {} serve; {}; {:?}",
            active.unwrap_or_else(|| "no rollout".to_owned()),
            self.world.available(),
            state.desired,
            members.join(", "),
            state.rollout.as_ref().map(|rollout| (&rollout.pause, rollout.step, &rollout.cause)),
        );
        Err(Violation { promise, at: self.world.now, what })
    }
}
