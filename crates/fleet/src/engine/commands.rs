//! What people ask for. Each request is answered, in order: done, or refused with the reason.

use super::decide::Deciding;
use super::rollout::{Cause, Pause, PauseWhy, Stage};
use super::spec::Spec;
use super::state::{Mark, Phase, Request, Start};
use super::words::{Command, Generation, MemberId, Record};

/// A host that nobody knows the state of.
pub(crate) const UNKNOWN: &str = "?";

impl Deciding<'_> {
    pub(crate) fn answer_requests(&mut self) {
        while let Some(request) = self.state.requests.front().cloned() {
            let refused = self.answer(&request).err();
            self.emit(Record::Answered { refused });
        }
    }

    fn answer(&mut self, request: &Request) -> Result<(), String> {
        if let Some(seen) = &request.rollout
            && self.state.rollout.as_ref().is_none_or(|rollout| rollout.id != *seen)
        {
            let now = self.state.rollout.as_ref().map_or("none", |rollout| rollout.id.as_str());
            return Err(format!("it was meant for rollout {seen}, and the fleet's rollout is {now} now"));
        }
        match &request.command {
            Command::Define { spec } => self.define(spec),
            Command::Up { generation } => self.up(generation),
            Command::Scale { members } => self.scale(*members),
            Command::Start { start } => self.start(start),
            Command::Pause => self.pause(&request.by),
            Command::Resume => self.resume(),
            Command::Abort => self.abort(&request.by),
            Command::Back => self.back(&request.by),
            Command::Approve { step, plan } => self.approve(&request.by, *step, plan),
            Command::Fail { why } => {
                self.need_active()?;
                self.fail(format!("{} says so: {why}", request.by), true);
                Ok(())
            }
            Command::Forgive { generation } => {
                self.mark(generation.clone(), Mark::Candidate);
                Ok(())
            }
            Command::Down => self.down(),
        }
    }

    fn need_active(&self) -> Result<Stage, String> {
        self.state.active().map(|rollout| rollout.stage).ok_or_else(|| "no rollout is under way".to_owned())
    }

    fn define(&mut self, spec: &Spec) -> Result<(), String> {
        spec.check()?;
        let declared = self.state.spec.members;
        if *spec != self.state.spec {
            self.emit(Record::Defined { spec: Box::new(spec.clone()) });
        }
        // A number that somebody has scaled to stays until another one is declared.
        if spec.members != declared {
            self.emit(Record::Scaled { members: spec.members });
        }
        self.adopt_slots();
        Ok(())
    }

    fn adopt_slots(&mut self) {
        for slot in self.state.spec.slots.clone() {
            let member = MemberId::from(slot.name.as_str());
            if !self.state.members.contains_key(&member) {
                let generation = Generation::from(UNKNOWN);
                self.emit(Record::Adopted { member, generation, zone: slot.zone, phase: Phase::Booting });
            }
        }
    }

    fn up(&mut self, generation: &Generation) -> Result<(), String> {
        if let Some(why) = self.state.is_bad(generation) {
            return Err(format!("generation {generation} is known to be bad: {why}"));
        }
        match &self.state.current {
            Some(current) if current != generation => {
                return Err(format!(
                    "the fleet is at generation {current}; `theseus rollout start` brings it to another one"
                ));
            }
            Some(_) => {}
            None => self.emit(Record::Current { generation: generation.clone() }),
        }
        if self.state.desired == 0 {
            self.emit(Record::Scaled { members: self.state.spec.members });
        }
        self.adopt_slots();
        Ok(())
    }

    fn scale(&mut self, members: u32) -> Result<(), String> {
        if !self.state.spec.slots.is_empty() {
            return Err(
                "the members of this fleet are the inventory's hosts; change the inventory".to_owned()
            );
        }
        if members == 0 {
            return Err("a fleet needs at least one member; `theseus fleet down` removes it".to_owned());
        }
        if members != self.state.desired {
            self.emit(Record::Scaled { members });
        }
        Ok(())
    }

    fn start(&mut self, start: &Start) -> Result<(), String> {
        let Some(current) = self.state.current.clone() else {
            return Err("the fleet is not up; `theseus fleet up` starts it".to_owned());
        };
        if let Some(why) = self.state.is_bad(&start.to).filter(|_| !start.force) {
            return Err(format!(
                "generation {} is known to be bad: {why}; --force uses it all the same",
                start.to
            ));
        }
        if start.plan.steps.is_empty() {
            return Err("the plan has no steps".to_owned());
        }
        let mut from = current.clone();
        if let Some(active) = self.state.active() {
            if active.to == start.to && active.stage.forward() {
                return Err(format!("rollout {} is on its way to {} already", active.id, start.to));
            }
            // What is good does not change because somebody could not wait.
            from = active.from.clone().unwrap_or(from);
            self.emit(Record::Cause { cause: Cause { why: format!("{} comes next", start.to), bad: false } });
            self.stage(Stage::Superseded);
        } else if current == start.to && !self.state.members.values().any(|m| m.generation != start.to) {
            return Err(format!("the fleet is at generation {current} already"));
        }
        // It was called back, and the way back was cut short: what was to come back is the good one.
        let before = self.state.rollout.as_ref().and_then(|rollout| rollout.from.clone());
        if let (Some(_), Some(before)) = (self.state.is_bad(&from), before)
            && self.state.is_bad(&before).is_none()
        {
            from = before;
        }
        if start.force {
            self.mark(start.to.clone(), Mark::Candidate);
        }
        let id = format!("{}-r{}", self.state.spec.name, self.state.answered + 1);
        let start = Start { from: Some(from), ..start.clone() };
        self.emit(Record::Began { rollout: id, start: Box::new(start) });
        Ok(())
    }

    fn pause(&mut self, by: &str) -> Result<(), String> {
        self.need_active()?;
        let paused = self.state.active().and_then(|rollout| rollout.pause.as_ref());
        if !paused.is_some_and(|pause| matches!(pause.why, PauseWhy::Person(_))) {
            let why = PauseWhy::Person(by.to_owned());
            self.emit(Record::Paused { pause: Pause { why, since: self.seen.at, until: None } });
        }
        Ok(())
    }

    fn resume(&mut self) -> Result<(), String> {
        let Some(rollout) = &self.state.rollout else { return Err("there is no rollout".to_owned()) };
        let frozen = rollout.frozen(self.state.spec.irreversible_after);
        match (rollout.stage, &rollout.pause) {
            (Stage::Halted, _) => {
                if frozen {
                    // There is only forward, and a person wants it.
                    let to = rollout.to.clone();
                    self.mark(to, Mark::Candidate);
                }
                self.stage(if frozen { Stage::Stepping } else { Stage::RollingBack });
                Ok(())
            }
            (stage, _) if stage.ended() => Err(format!("rollout {} has ended: {}", rollout.id, stage.word())),
            (_, Some(Pause { why: PauseWhy::Approval(step), .. })) => Err(format!(
                "it waits for approval of step {}: theseus rollout approve {} --step {}",
                step + 1,
                self.state.spec.name,
                step + 1
            )),
            (_, Some(_)) => {
                self.emit(Record::Resumed);
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    fn abort(&mut self, by: &str) -> Result<(), String> {
        match self.state.rollout.as_ref().map(|rollout| (rollout.stage, rollout.pause.is_some())) {
            Some((stage, _)) if stage.forward() => self.turn_back(format!("{by} has aborted it"), false),
            // Already on its way; whoever aborts does not want it to stand still.
            Some((Stage::RollingBack, true)) => self.emit(Record::Resumed),
            Some((Stage::RollingBack | Stage::Halted, _)) => {}
            _ => {
                return Err(
                    "no rollout is under way; after completion, `theseus rollout back` goes back".to_owned()
                );
            }
        }
        Ok(())
    }

    fn back(&mut self, by: &str) -> Result<(), String> {
        let Some(rollout) = &self.state.rollout else { return Err("there was no rollout".to_owned()) };
        match rollout.stage {
            stage if stage.forward() => self.turn_back(format!("{by} has called it back"), true),
            Stage::RollingBack => {}
            Stage::RolledBack => return Err(format!("rollout {} has been rolled back already", rollout.id)),
            Stage::Superseded => return Err("another rollout has taken over".to_owned()),
            Stage::Succeeded | Stage::Halted => {
                let Some(from) = rollout.from.clone() else {
                    return Err("there is no earlier generation".to_owned());
                };
                if rollout.frozen(self.state.spec.irreversible_after) {
                    return Err("an irreversible step has been taken: no way leads back".to_owned());
                }
                if let Some(why) = self.state.is_bad(&from) {
                    return Err(format!("the generation before, {from}, is known to be bad: {why}"));
                }
                let (to, why) = (rollout.to.clone(), format!("{by} has called it back"));
                self.mark(to, Mark::Bad(why.clone()));
                self.emit(Record::Cause { cause: Cause { why, bad: true } });
                self.stage(Stage::RollingBack);
            }
            _ => {}
        }
        Ok(())
    }

    /// A person wants it back: the policy for failures is not asked, the point of no return is.
    fn turn_back(&mut self, why: String, bad: bool) {
        let Some(rollout) = self.state.active() else { return };
        let (to, paused) = (rollout.to.clone(), rollout.pause.is_some());
        let frozen = rollout.frozen(self.state.spec.irreversible_after);
        if bad {
            self.mark(to, Mark::Bad(why.clone()));
        }
        if paused {
            self.emit(Record::Resumed);
        }
        let why = if frozen {
            format!("{why}; an irreversible step has been taken, so nothing is put back")
        } else {
            why
        };
        self.emit(Record::Cause { cause: Cause { why, bad } });
        self.stage(if frozen { Stage::Halted } else { Stage::RollingBack });
    }

    fn approve(&mut self, by: &str, step: usize, plan: &str) -> Result<(), String> {
        self.need_active()?;
        let Some(rollout) = self.state.active() else { return Ok(()) };
        if rollout.plan != plan {
            return Err(format!(
                "that approval is for plan {plan}; this rollout follows plan {}",
                rollout.plan
            ));
        }
        if rollout.steps.get(step).is_none_or(|step| !step.approval) {
            return Err(format!("step {} needs no approval", step + 1));
        }
        if step < rollout.step || rollout.approved.contains(&step) {
            return Err(format!("step {} is over", step + 1));
        }
        let waits = rollout.pause.as_ref().is_some_and(|pause| pause.why == PauseWhy::Approval(step));
        self.emit(Record::Approved { step, by: by.to_owned() });
        if waits {
            self.emit(Record::Resumed);
        }
        Ok(())
    }

    fn down(&mut self) -> Result<(), String> {
        if !self.state.spec.slots.is_empty() {
            return Err(
                "the members of this fleet are the inventory's hosts; they are not removed".to_owned()
            );
        }
        if let Some(rollout) = self
            .state
            .rollout
            .as_ref()
            .filter(|rollout| !rollout.stage.ended() || rollout.stage == Stage::Halted)
        {
            let back = rollout.from.clone();
            self.emit(Record::Cause {
                cause: Cause { why: "the fleet is taken down".to_owned(), bad: false },
            });
            self.stage(Stage::RolledBack);
            if let Some(back) = back {
                self.emit(Record::Current { generation: back });
            }
        }
        self.emit(Record::Scaled { members: 0 });
        Ok(())
    }
}
