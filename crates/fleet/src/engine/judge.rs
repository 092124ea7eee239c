//! What the rollout's course says now: go on, wait, or turn back.

use super::capacity::{Limits, available, count, serves};
use super::decide::Deciding;
use super::goal::want;
use super::rollout::{Pause, PauseWhy, Rollout, Stage};
use super::state::{Mark, Phase};
use super::words::{Act, Generation, Millis, Record, Verdict};

impl Deciding<'_> {
    pub(crate) fn judge(&mut self) {
        let Some(stage) = self.state.active().map(|rollout| rollout.stage) else { return };
        self.prove();
        if stage.forward() && self.misses_its_time() {
            return;
        }
        match stage {
            Stage::Validating => self.validate(),
            Stage::Stepping | Stage::Baking => self.proceed(stage),
            Stage::Finalizing => self.finalize(),
            Stage::RollingBack => self.come_back(),
            _ => {}
        }
    }

    fn active(&self) -> Option<&Rollout> {
        self.state.active()
    }

    /// Notes that the new generation has served at all.
    fn prove(&mut self) {
        let Some(rollout) = self.active().filter(|rollout| !rollout.proven) else { return };
        let to = &rollout.to;
        let serves = |member: &super::state::Member| {
            member.generation == *to && available(self.state, member, self.seen)
        };
        if self.state.members.values().any(serves) {
            self.emit(Record::Proven);
        }
    }

    /// Pauses with an end, and rollouts that do not move.
    fn misses_its_time(&mut self) -> bool {
        let now = self.seen.at;
        let Some(rollout) = self.active() else { return false };
        if let Some(pause) = &rollout.pause {
            let over = pause.until.is_some_and(|until| now >= until);
            if over && let PauseWhy::Undecided(gate) = &pause.why {
                let why = format!("gate {gate} has decided nothing for too long");
                self.fail(why, false);
                return true;
            }
            return false;
        }
        if now >= rollout.progress + self.state.spec.timing.progress {
            let minutes = self.state.spec.timing.progress / 60_000;
            self.fail(format!("nothing has moved for {minutes} minutes"), false);
            return true;
        }
        false
    }

    fn validate(&mut self) {
        let Some(rollout) = self.active() else { return };
        let (to, since, from_unhealthy, paused) =
            (rollout.to.clone(), rollout.since, rollout.from_unhealthy, rollout.pause.is_some());
        match &self.state.prepared {
            Some((generation, Some(why))) if *generation == to => {
                let why = why.clone();
                return self.fail(why, true);
            }
            Some((generation, None)) if *generation == to => {}
            _ => {
                let asked = |pending: &super::state::Pending| matches!(pending.act, Act::Prepare { .. });
                if !self.state.pending.values().any(asked) && !paused {
                    self.intend(Act::Prepare { generation: to });
                }
                return;
            }
        }
        self.count_samples();
        if paused || !self.gates_can_be_asked(since) {
            return;
        }
        // Healthy now is enough to begin: nobody is taken away before it has been healthy for long enough.
        let serving = count(self.state.members.values().filter(|m| serves(m, self.seen)).count());
        let least = Limits::of(self.state).least;
        if serving >= least || from_unhealthy {
            self.stage(Stage::Stepping);
        } else if self.seen.at >= since + self.state.spec.timing.boot {
            let why = format!(
                "the fleet is not healthy to begin with: {serving} of at least {least} members serve"
            );
            self.fail(why, false);
        }
    }

    /// A gate that cannot be asked must be found here, not in the middle.
    fn gates_can_be_asked(&mut self, since: Millis) -> bool {
        let Some(rollout) = self.active() else { return false };
        let mut silent = None;
        for rule in &self.state.spec.gates {
            match rollout.tallies.get(&rule.name).map(|tally| &tally.last) {
                Some(Verdict::Error(why)) => {
                    silent = Some(format!("gate {} cannot be asked: {why}", rule.name))
                }
                Some(_) => {}
                None => silent = Some(format!("gate {} gives no answer", rule.name)),
            }
        }
        let Some(why) = silent else { return true };
        if self.seen.at >= since + self.state.spec.timing.boot {
            self.fail(why, false);
        }
        false
    }

    fn count_samples(&mut self) {
        for sample in &self.seen.samples {
            if self.state.spec.gates.iter().any(|rule| rule.name == sample.gate) {
                self.emit(Record::Sampled { sample: sample.clone() });
            }
        }
    }

    fn proceed(&mut self, stage: Stage) {
        self.count_samples();
        let Some(rollout) = self.active() else { return };
        if rollout.failures > self.state.spec.failures {
            let why = rollout.failed_members(&rollout.to);
            return self.fail(why, true);
        }
        if let Some(why) = self.failed_gate() {
            return self.fail(why, true);
        }
        if self.heed_undecided() {
            return;
        }
        let complete = self.complete(stage);
        let passed = self.soak(stage, complete);
        let paused = self.active().is_none_or(|rollout| rollout.pause.is_some());
        if complete && passed && !paused {
            self.next(stage);
        }
    }

    fn failed_gate(&self) -> Option<String> {
        let rollout = self.active()?;
        self.state.spec.gates.iter().find_map(|rule| {
            let tally = rollout.tallies.get(&rule.name)?;
            let (_, fails) = tally.of_last(rule.of);
            let Verdict::Fail(why) = &tally.last else { return None };
            (fails > rule.fails).then(|| format!("gate {} fails: {why}", rule.name))
        })
    }

    /// Pauses for a gate that decides nothing, and goes on when it does again. True: it waits.
    fn heed_undecided(&mut self) -> bool {
        let now = self.seen.at;
        let Some(rollout) = self.active() else { return true };
        let undecided = self.state.spec.gates.iter().find(|rule| {
            let since = rollout.tallies.get(&rule.name).and_then(|tally| tally.undecided_since);
            since.is_some_and(|since| now >= since + 3 * rule.interval)
        });
        match (&rollout.pause, undecided.map(|rule| rule.name.clone())) {
            (None, Some(gate)) => {
                let until = Some(now + self.state.spec.timing.undecided);
                self.emit(Record::Paused {
                    pause: Pause { why: PauseWhy::Undecided(gate), since: now, until },
                });
                true
            }
            (Some(Pause { why: PauseWhy::Undecided(_), .. }), None) => {
                self.emit(Record::Resumed);
                false
            }
            (Some(Pause { why: PauseWhy::Undecided(_), .. }), Some(_)) => true,
            _ => false,
        }
    }

    /// Whether the step's members serve, and those whose turn it was do not any more.
    fn complete(&self, stage: Stage) -> bool {
        let Some(rollout) = self.active() else { return false };
        if self.seen.traffic_lost.is_some() {
            return false;
        }
        let step = rollout.current_step().filter(|_| stage == Stage::Stepping);
        let wanted = step.map_or(self.state.desired, |step| want(self.state, rollout, step));
        let members = || self.state.members.values();
        let new = members().filter(|m| m.generation == rollout.to && available(self.state, m, self.seen));
        let old = members().filter(|m| m.generation != rollout.to && m.phase == Phase::Serving);
        count(new.count()) >= wanted && count(old.count()) <= self.state.desired - wanted
    }

    /// Counts soak: only time in which everything was looked at and was well. True: it is enough, and the gates say pass.
    fn soak(&mut self, stage: Stage, complete: bool) -> bool {
        let Some(rollout) = self.active() else { return false };
        let needed = match stage {
            Stage::Baking => self.state.spec.bake,
            _ => rollout.current_step().map_or(0, |step| step.soak),
        };
        let now = self.seen.at;
        let longest = self.state.spec.gates.iter().map(|rule| rule.interval).max().unwrap_or(0);
        let well = complete
            && self.state.spec.gates.iter().all(|rule| {
                rollout.tallies.get(&rule.name).is_some_and(|tally| {
                    tally.undecided_since.is_none() && now.saturating_sub(tally.at) <= 3 * rule.interval
                })
            });
        let soaked = rollout.soaked;
        let before = self.state.soaked_at;
        self.state.soaked_at = well.then_some(now);
        if !well {
            return false;
        }
        let since = before.map_or(0, |before| now.saturating_sub(before));
        // A gap means that nobody looked.
        let counted = if since <= (3 * longest).max(5_000) { since } else { 0 };
        let counted = counted.min(needed.saturating_sub(soaked));
        if counted > 0 {
            self.emit(Record::Soaked { millis: counted });
        }
        soaked + counted >= needed && self.gates_pass()
    }

    fn gates_pass(&self) -> bool {
        let Some(rollout) = self.active() else { return false };
        self.state.spec.gates.iter().all(|rule| {
            rollout.tallies.get(&rule.name).is_some_and(|tally| tally.of_last(rule.of).0 >= rule.need)
        })
    }

    fn next(&mut self, stage: Stage) {
        let Some(rollout) = self.active() else { return };
        let index = rollout.step;
        if stage == Stage::Baking {
            return self.stage(Stage::Finalizing);
        }
        let needs = rollout.current_step().is_some_and(|step| step.approval);
        if needs && !rollout.approved.contains(&index) {
            let pause = Pause { why: PauseWhy::Approval(index), since: self.seen.at, until: None };
            return self.emit(Record::Paused { pause });
        }
        if index + 1 < rollout.steps.len() {
            self.emit(Record::Step { index: index + 1 });
        } else {
            self.stage(Stage::Baking);
        }
    }

    /// The source of truth is told last; only then the generation is good.
    fn finalize(&mut self) {
        let Some(rollout) = self.active() else { return };
        if rollout.pause.is_some() {
            return;
        }
        let to = rollout.to.clone();
        if !self.released(&to) {
            return;
        }
        self.mark(to.clone(), Mark::Good);
        self.emit(Record::Current { generation: to });
        self.stage(Stage::Succeeded);
    }

    /// Whether the source of truth names this generation; if not, it is told so.
    fn released(&mut self, to: &Generation) -> bool {
        if self.state.released.as_ref() == Some(to) {
            return true;
        }
        let asked = |pending: &super::state::Pending| matches!(pending.act, Act::Release { .. });
        if !self.state.pending.values().any(asked) {
            self.intend(Act::Release { generation: to.clone() });
        }
        false
    }

    fn come_back(&mut self) {
        let Some(rollout) = self.active() else { return };
        let (to, from) = (rollout.to.clone(), rollout.from.clone());
        let Some(from) = from else {
            return self.fail("there is no earlier generation to go back to".to_owned(), false);
        };
        if rollout.failures > self.state.spec.failures.saturating_add(self.state.desired) {
            let why = rollout.failed_members(&from);
            return self.fail(why, false);
        }
        if rollout.pause.is_some() {
            return;
        }
        if self.seen.at >= rollout.progress + self.state.spec.timing.progress {
            return self.fail("nothing has moved for too long".to_owned(), false);
        }
        let members = || self.state.members.values();
        let good = members().filter(|m| m.generation == from && available(self.state, m, self.seen));
        let bad =
            members().any(|m| m.generation == to && !matches!(m.phase, Phase::Standby | Phase::Retiring));
        if count(good.count()) < self.state.desired || bad {
            return;
        }
        // What the source of truth was told of the other one is taken back.
        if self.state.released.as_ref().is_some_and(|released| *released != from) && !self.released(&from) {
            return;
        }
        if self.state.current.as_ref() != Some(&from) {
            self.emit(Record::Current { generation: from });
        }
        self.stage(Stage::RolledBack);
    }
}
