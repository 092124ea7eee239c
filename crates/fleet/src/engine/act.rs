//! Moving the fleet towards its goal, within its budget: launches, joins, drains, weights, and who goes.

use std::collections::BTreeMap;

use super::capacity::{Limits, available, count, settled};
use super::decide::Deciding;
use super::goal::{Goal, alive};
use super::rollout::Stage;
use super::spec::Mode;
use super::state::{Member, Phase};
use super::words::{Act, Generation, Health, MemberId, Record};

/// A member's full share of the traffic.
pub(crate) const FULL: u32 = 100;

impl Deciding<'_> {
    pub(crate) fn advance(&mut self, goal: &Goal) {
        self.bring_back(goal);
        self.launch(goal);
        // Without the balancer nobody knows who gets traffic: nothing is taken out of it, nothing removed, unless all go.
        if self.seen.traffic_lost.is_some() && self.state.desired > 0 {
            return;
        }
        self.drop_unwanted(goal);
        let joiners = self.join(goal);
        self.drain(goal, joiners);
        self.after_drain(goal);
        self.retire_standby(goal);
        self.weigh(goal);
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.state.members.values()
    }

    fn number(&self, matches: impl Fn(&Member) -> bool) -> u32 {
        count(self.members().filter(|member| matches(member)).count())
    }

    fn ids(&self, matches: impl Fn(&Member) -> bool) -> Vec<MemberId> {
        self.members().filter(|member| matches(member)).map(|member| member.id.clone()).collect()
    }

    fn healthy(&self, member: &Member) -> bool {
        let found = self.seen.members.get(&member.id);
        found.is_some_and(|found| found.health == Health::Healthy && found.stopped.is_none())
    }

    /// Members that stand by or are just being drained, and are wanted after all: the fastest way back.
    fn bring_back(&mut self, goal: &Goal) {
        let mut missing = goal.want.saturating_sub(self.number(|m| goal.is_new(m) && alive(m)));
        let kept = self.ids(|m| {
            goal.is_new(m)
                && matches!(m.phase, Phase::Standby | Phase::Draining)
                && m.failed.is_none()
                && self.healthy(m)
        });
        for id in kept {
            if missing > 0 {
                // One that still has traffic just keeps it.
                let serves = self.seen.members.get(&id).is_some_and(|found| found.weight.unwrap_or(0) > 0);
                let phase = if serves { Phase::Serving } else { Phase::Ready };
                self.emit(Record::Moved { member: id, phase });
                missing -= 1;
            }
        }
        // Dead ones of the old generation are replaced by those that stand by, too.
        let Some(refill) = goal.refill.clone().filter(|refill| *refill != goal.generation) else { return };
        let mut missing = goal.others.saturating_sub(self.number(|m| !goal.is_new(m) && alive(m)));
        let kept = self.ids(|m| {
            m.generation == refill && m.phase == Phase::Standby && m.failed.is_none() && self.healthy(m)
        });
        for id in kept {
            if missing > 0 {
                self.emit(Record::Moved { member: id, phase: Phase::Ready });
                missing -= 1;
            }
        }
    }

    /// How many new ones are missing, and how many others.
    fn lacking(&self, goal: &Goal) -> (u32, u32) {
        let new = goal.want.saturating_sub(self.number(|m| goal.is_new(m) && alive(m)));
        let others = goal.others.saturating_sub(self.number(|m| !goal.is_new(m) && alive(m)));
        (new, if goal.refill.is_some() { others } else { 0 })
    }

    fn launch(&mut self, goal: &Goal) {
        if !self.state.spec.slots.is_empty()
            || self.state.held.as_ref().is_some_and(|(until, _)| self.seen.at < *until)
        {
            return;
        }
        let (mut new, others) = self.lacking(goal);
        // While nothing new may begin, only dead capacity is replaced.
        if goal.hold {
            new = new.min(self.state.desired.saturating_sub(self.number(alive)));
        }
        // In place, old members become the new ones: only what has died is launched.
        if goal.mode == Mode::InPlace {
            let stays = |m: &Member| alive(m) || m.phase == Phase::Draining && m.failed.is_none();
            new = new.min(self.state.desired.saturating_sub(self.number(stays)));
        }
        self.make_room(goal, new + others);
        let mut room = self.capacity().room();
        for _ in 0..others.min(room) {
            if let Some(refill) = goal.refill.clone() {
                self.launch_one(refill, None);
            }
        }
        room = room.saturating_sub(others);
        for _ in 0..new.min(room) {
            self.launch_one(goal.generation.clone(), goal.step.as_ref().map(|step| &*step.zones));
        }
    }

    fn launch_one(&mut self, generation: Generation, zones: Option<&[String]>) {
        let zones = zones.filter(|zones| !zones.is_empty()).unwrap_or(&self.state.spec.zones);
        let fewest = |zone: &&String| {
            self.number(|m| m.zone.as_ref() == Some(zone) && alive(m) && m.generation == generation)
        };
        let zone = zones.iter().min_by_key(fewest).cloned();
        let member = MemberId::from(format!("{}-{}", self.state.spec.name, self.state.named + 1));
        self.intend(Act::Launch { member, generation, zone });
    }

    /// What stands by goes when its room is needed: the bad ones first, then the oldest; never the last good one.
    fn make_room(&mut self, goal: &Goal, wanted: u32) {
        let capacity = self.capacity();
        let possible = (capacity.limits.desired + capacity.limits.surge).saturating_sub(capacity.moving);
        let mut lacking = wanted.min(possible).saturating_sub(capacity.room());
        let mut kept: Vec<Member> = self.members().filter(|m| m.phase == Phase::Standby).cloned().collect();
        kept.sort_by_key(|m| (self.state.is_bad(&m.generation).is_none(), self.leads_back(m), m.since));
        for member in &kept {
            if lacking > 0 && !self.is_last_good(member) && !goal.is_new(member) {
                self.retire(&member.id);
                lacking -= 1;
            }
        }
        // The last good one takes the place of one that leads nowhere: then that one can go.
        let stuck = lacking > 0 && !goal.hold && capacity.room() == 0;
        let nowhere = |m: &Member| m.phase == Phase::Serving && !goal.is_new(m) && !self.leads_back(m);
        if stuck && self.members().any(nowhere) {
            for member in kept.iter().filter(|m| self.is_last_good(m)).cloned().collect::<Vec<_>>() {
                self.emit(Record::Moved { member: member.id, phase: Phase::Ready });
            }
        }
    }

    /// Whether a way back would lead to this one.
    fn leads_back(&self, member: &Member) -> bool {
        self.state.active().is_some_and(|rollout| rollout.from.as_ref() == Some(&member.generation))
    }

    /// The last member of the generation that a way back would lead to.
    pub(crate) fn is_last_good(&self, member: &Member) -> bool {
        let Some(rollout) = self.state.active().filter(|rollout| rollout.stage.forward()) else {
            return false;
        };
        // One that is only on its way may never arrive.
        let there = |phase| !matches!(phase, Phase::Launching | Phase::Booting | Phase::Retiring);
        let like_it = |m: &Member| {
            m.id != member.id && m.generation == member.generation && there(m.phase) && m.failed.is_none()
        };
        rollout.from.as_ref() == Some(&member.generation)
            && !self.members().any(like_it)
            // Without room for one more there is no other way than to give it up.
            && Limits::of(self.state).surge > 0
    }

    /// Members without traffic that nobody wants any more.
    fn drop_unwanted(&mut self, goal: &Goal) {
        if goal.hold {
            return;
        }
        let idle = |m: &Member| {
            matches!(m.phase, Phase::Launching | Phase::Booting | Phase::Ready) && m.failed.is_none()
        };
        for new in [false, true] {
            let wanted = if new { goal.want } else { goal.others };
            let serving = self.number(|m| m.phase == Phase::Serving && goal.is_new(m) == new);
            let allowed = wanted.saturating_sub(serving);
            let mut surplus: Vec<Member> =
                self.members().filter(|m| goal.is_new(m) == new && idle(m)).cloned().collect();
            // Those that have come furthest stay.
            surplus.sort_by_key(|m| (std::cmp::Reverse(m.phase), m.since));
            for member in surplus.into_iter().skip(allowed as usize) {
                if goal.mode == Mode::InPlace && !self.state.spec.slots.is_empty() {
                    if !new
                        && goal.step.as_ref().is_none_or(|step| step.takes(&member, &self.state.spec.slots))
                    {
                        self.turn_idle_host(goal, &member);
                    }
                } else if !self.state.busy(&member.id) && !self.is_last_good(&member) {
                    self.retire(&member.id);
                }
            }
        }
    }

    /// A host without traffic gets its turn at once, as far as the budget of moving hosts goes.
    fn turn_idle_host(&mut self, goal: &Goal, member: &Member) {
        let limits = Limits::of(self.state);
        let moving = self.number(|m| {
            matches!(m.phase, Phase::Applying | Phase::Draining)
                || (goal.is_new(m) && m.phase == Phase::Booting)
        });
        if moving < (limits.desired - limits.least).max(1) {
            self.emit(Record::Moved { member: member.id.clone(), phase: Phase::Draining });
        }
    }

    /// Members that are ready get traffic. Returns how many healthy ones do now.
    fn join(&mut self, goal: &Goal) -> u32 {
        let ready =
            |m: &Member| m.phase == Phase::Ready && self.healthy(m) && settled(self.state, m, self.seen.at);
        let mut joining =
            self.ids(|m| !goal.is_new(m) && ready(m) && (goal.others > 0 || self.is_last_good(m)));
        let new = self.ids(|m| goal.is_new(m) && ready(m));
        let serving = self.number(|m| m.phase == Phase::Serving && goal.is_new(m));
        let serving_all = self.number(|m| m.phase == Phase::Serving);
        // Everything or nothing: the switch comes when all are there, and not while nothing may begin.
        let waits = goal.preview && serving == 0 && (goal.hold || count(new.len()) < goal.want);
        let lacks = self.state.desired.saturating_sub(serving_all) as usize;
        if !waits {
            let most = if goal.hold { lacks } else { new.len() };
            joining.extend(new.into_iter().take(most));
        }
        for id in &joining {
            self.emit(Record::Moved { member: id.clone(), phase: Phase::Serving });
        }
        count(joining.len())
    }

    /// Takes members out of traffic, never more than can be missed.
    fn drain(&mut self, goal: &Goal, joiners: u32) {
        if goal.hold {
            return;
        }
        let capacity = self.capacity();
        // In the atomic switch the new ones come with the same act that the old ones go with.
        let coming = if goal.preview { joiners } else { 0 };
        let going = self.number(|m| m.phase == Phase::Draining && available(self.state, m, self.seen));
        let spare = (capacity.available + coming).saturating_sub(capacity.limits.least + going);
        let serving = |m: &Member| m.phase == Phase::Serving;
        let takes = |m: &Member| goal.step.as_ref().is_none_or(|step| step.takes(m, &self.state.spec.slots));
        let old_serving = self.number(|m| !goal.is_new(m) && serving(m));
        let new_serving = self.number(|m| goal.is_new(m) && serving(m));
        let mut leaving: Vec<(Member, bool)> = Vec::new();
        let excess = (old_serving + new_serving).saturating_sub(self.state.desired);
        let (new_missing, _) = self.lacking(goal);
        let room = if goal.mode == Mode::InPlace { 0 } else { capacity.room() };
        let to_make_room = new_missing.saturating_sub(room);
        let old_surplus = old_serving.saturating_sub(goal.others);
        let waits = goal.preview && new_serving == 0;
        if !waits {
            let most = old_surplus.min(excess.max(to_make_room).max(if goal.mode == Mode::InPlace {
                old_surplus
            } else {
                0
            }));
            leaving.extend(self.first_to_go(|m| !goal.is_new(m) && serving(m) && takes(m), most));
        }
        let new_surplus = new_serving.saturating_sub(goal.want);
        leaving.extend(self.first_to_go(|m| goal.is_new(m) && serving(m), new_surplus));
        let mut left = spare;
        for (member, counts) in leaving {
            // When all go, nobody is missed.
            if counts && left == 0 && self.state.desired > 0 {
                continue;
            }
            left = left.saturating_sub(u32::from(counts));
            self.emit(Record::Moved { member: member.id, phase: Phase::Draining });
        }
    }

    /// The sick ones are free to go; then the oldest. With each: whether it counts against the budget.
    fn first_to_go(&self, matches: impl Fn(&Member) -> bool, most: u32) -> Vec<(Member, bool)> {
        let counts = |m: &Member| !self.surely_sick(m);
        let mut found: Vec<(Member, bool)> =
            self.members().filter(|m| matches(m)).map(|m| (m.clone(), counts(m))).collect();
        found.sort_by_key(|(m, counts)| {
            (*counts, self.state.is_bad(&m.generation).is_none(), self.leads_back(m), m.since)
        });
        found.truncate(most as usize);
        found
    }

    /// One that may be in service for all anybody knows is not free to go.
    fn surely_sick(&self, member: &Member) -> bool {
        let found = self.seen.members.get(&member.id);
        found.is_none_or(|found| found.health == Health::Sick || found.stopped.is_some())
    }

    fn drained(&self, member: &Member) -> bool {
        let Some(found) = self.seen.members.get(&member.id) else { return true };
        match (found.weight, found.connections) {
            (Some(weight), _) if weight > 0 => false,
            (None, _) | (Some(_), Some(0)) => true,
            (Some(_), _) => self.seen.at >= member.since + self.state.spec.timing.drain,
        }
    }

    /// What becomes of members whose connections have finished.
    fn after_drain(&mut self, goal: &Goal) {
        let drained: Vec<Member> =
            self.members().filter(|m| m.phase == Phase::Draining && self.drained(m)).cloned().collect();
        for member in drained {
            if self.state.busy(&member.id) {
                continue;
            }
            let slots = !self.state.spec.slots.is_empty();
            // A member that could be replaced as well is changed only while new ones are missing.
            let changes = slots || (member.failed.is_none() && self.lacking(goal).0 > 0);
            if goal.mode == Mode::InPlace && changes && !goal.is_new(&member) && !goal.hold {
                self.intend(Act::Apply { member: member.id, generation: goal.generation.clone() });
            } else if slots {
                // A host of unknown state stays out of traffic until something may be done to it.
                if goal.is_new(&member) || *member.generation.0 != *super::commands::UNKNOWN {
                    self.emit(Record::Moved { member: member.id, phase: Phase::Booting });
                }
            } else if member.failed.is_none() && goal.keep && !goal.is_new(&member) {
                self.emit(Record::Moved { member: member.id, phase: Phase::Standby });
            } else if !self.is_last_good(&member) {
                self.retire(&member.id);
            }
        }
    }

    /// Kept members go when their time is over, or when nobody will ever want them back.
    fn retire_standby(&mut self, goal: &Goal) {
        if self.state.active().is_some() {
            return;
        }
        let halted = self.state.rollout.as_ref().is_some_and(|rollout| rollout.stage == Stage::Halted);
        let keep = self.state.spec.timing.keep;
        let over = |m: &Member| {
            self.state.is_bad(&m.generation).is_some()
                || self.state.desired == 0
                || self.seen.at >= m.since + keep
        };
        let old = self.ids(|m| m.phase == Phase::Standby && !goal.is_new(m) && !halted && over(m));
        old.iter().for_each(|id| self.retire(id));
    }

    /// Everybody's share of the traffic, as one act.
    fn weigh(&mut self, goal: &Goal) {
        let pending = self.state.pending.values().any(|pending| matches!(pending.act, Act::Weigh { .. }));
        if pending || self.seen.traffic_lost.is_some() {
            return;
        }
        let serving = |new: bool| self.number(|m| m.phase == Phase::Serving && goal.is_new(m) == new);
        let new_weight = match goal.traffic {
            Some(percent) => weight_of_canary(percent, serving(true), serving(false)),
            None => FULL,
        };
        let mut weights = BTreeMap::new();
        let capacity = self.capacity();
        let joins = |m: &Member| {
            let weight = self.seen.members.get(&m.id).and_then(|found| found.weight);
            m.phase == Phase::Serving && weight.unwrap_or(0) == 0 && self.healthy(m)
        };
        // Members may have died since it was decided who is drained: it is counted again now.
        let coming = if goal.preview { self.number(joins) } else { 0 };
        let mut spare = (capacity.available + coming).saturating_sub(capacity.limits.least);
        for member in self.state.members.values() {
            let Some(found) = self.seen.members.get(&member.id) else { continue };
            if member.phase != Phase::Serving && found.weight.unwrap_or(0) > 0 && !self.surely_sick(member) {
                if spare == 0 {
                    continue;
                }
                spare -= 1;
            }
            let wanted = match member.phase {
                Phase::Serving if goal.is_new(member) => new_weight,
                Phase::Serving => FULL,
                _ => 0,
            };
            if found.weight != Some(wanted) && (wanted > 0 || found.weight.is_some()) {
                weights.insert(member.id.clone(), wanted);
            }
        }
        if !weights.is_empty() {
            self.intend(Act::Weigh { weights });
        }
    }
}

/// The new ones' weight so that they get this part of the traffic together: never more than their part of the
/// capacity, and never nothing.
#[must_use]
pub fn weight_of_canary(percent: u32, new: u32, old: u32) -> u32 {
    if old == 0 || new == 0 || percent >= 100 {
        return FULL;
    }
    let (percent, new, old) = (u64::from(percent), u64::from(new), u64::from(old));
    let weight = (u64::from(FULL) * percent * old).div_ceil((100 - percent) * new);
    u32::try_from(weight).unwrap_or(FULL).clamp(1, FULL)
}
