//! Looking at each member: where it is in its life now, and what went wrong with it.

use super::capacity::{Limits, settled};
use super::commands::UNKNOWN;
use super::decide::Deciding;
use super::goal::alive;
use super::rollout::Stage;
use super::state::{Member, Phase};
use super::words::{Act, Attested, Fault, Generation, Health, MemberId, Millis, Record, Seen, Verdict};

/// A stranger with the fleet's label is left alone for so long: its launch may just be under way.
const GRACE: Millis = 15_000;
/// Losses of old members in this time excuse losses of new ones.
const STORM: Millis = 60_000;
/// How often a member may fall back while it boots.
const FLAPS: u32 = 3;
/// Pause between launches after a failure: doubles each time, up to this.
const BACKOFF: Millis = 300_000;

impl Deciding<'_> {
    pub(crate) fn look_at_members(&mut self) {
        self.note_storm();
        let ids: Vec<MemberId> = self.state.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.state.members.get(&id).cloned() else { continue };
            match self.seen.members.get(&id) {
                Some(found) => self.present(&member, found),
                None => self.missing(&member),
            }
        }
        self.strangers();
    }

    fn is_slot(&self, id: &MemberId) -> bool {
        self.state.spec.slots.iter().any(|slot| *slot.name == *id.0)
    }

    /// Old members that vanish show that something else goes on: then the new generation is not to blame.
    fn note_storm(&mut self) {
        let Some(to) = self.state.active().map(|rollout| rollout.to.clone()) else { return };
        let lost = self.state.members.values().any(|member| {
            member.generation != to
                && member.phase == Phase::Serving
                && self.seen.members.get(&member.id).is_none_or(|found| found.stopped.is_some())
        });
        if lost {
            self.state.storm = self.seen.at;
        }
    }

    fn missing(&mut self, member: &Member) {
        if let Some(known) = self.state.members.get_mut(&member.id) {
            (known.healthy_since, known.sick_since) = (None, None);
        }
        let busy = self.state.busy(&member.id);
        match member.phase {
            Phase::Launching if busy => {}
            Phase::Launching => self.launch_unseen(member),
            Phase::Applying if !busy => self.changing(member),
            // Not seen is not gone: what is just being made is not seen either.
            Phase::Retiring if member.removed && !busy => {
                self.emit(Record::Gone { member: member.id.clone() })
            }
            Phase::Retiring if !busy => self.retire_again(member),
            Phase::Retiring | Phase::Applying => {}
            // A host that cannot be reached is still a host.
            _ if self.is_slot(&member.id) => {}
            _ => {
                if member.phase != Phase::Standby && member.failed.is_none() {
                    self.blame(member, Fault::Lost, "it has gone without being told to");
                }
                self.emit(Record::Gone { member: member.id.clone() });
            }
        }
    }

    /// Asked for, answered or not, and not there.
    fn launch_unseen(&mut self, member: &Member) {
        let now = self.seen.at;
        if let Some((fault, why)) = member.failed.clone() {
            self.refused(member, fault, &why);
        } else if self.state.is_bad(&member.generation).is_some() {
            // Nobody wants it any more; a launch that was lost may still come up.
            self.retire(&member.id);
        } else if now >= member.since + self.state.spec.timing.boot {
            self.blame(member, Fault::BootTimeout, "it was launched and never seen");
            self.retire(&member.id);
        }
    }

    /// Where an answer was lost, or the controller, the same is done again: it makes no second one. After everything
    /// has been judged, so that nothing is begun anew that has just turned out to be bad.
    pub(crate) fn ask_again(&mut self) {
        let waits = |member: &&Member| {
            let launching = member.phase == Phase::Launching && !self.seen.members.contains_key(&member.id);
            (launching || member.phase == Phase::Applying)
                && member.failed.is_none()
                && !self.state.busy(&member.id)
                && self.state.is_bad(&member.generation).is_none()
                && self.seen.at >= member.asked + self.state.spec.timing.retry
        };
        let waiting: Vec<Member> = self.state.members.values().filter(waits).cloned().collect();
        // The fleet may have been made smaller meanwhile.
        let capacity = self.capacity();
        let room = capacity.total <= capacity.limits.most;
        let waiting = waiting.into_iter().filter(|member| member.phase == Phase::Applying || room);
        for Member { id: member, generation, zone, phase, .. } in waiting {
            self.intend(match phase {
                Phase::Launching => Act::Launch { member, generation, zone },
                _ => Act::Apply { member, generation },
            });
        }
    }

    fn refused(&mut self, member: &Member, fault: Fault, why: &str) {
        if fault == Fault::Capacity {
            let until = self.seen.at + self.state.spec.timing.retry;
            self.emit(Record::Held { until, why: why.to_owned() });
            self.emit(Record::Gone { member: member.id.clone() });
            return;
        }
        self.blame(member, fault, why);
        // A launch that failed half-way may have left something.
        self.retire(&member.id);
    }

    fn present(&mut self, member: &Member, found: &Seen) {
        self.note_health(member, found);
        let Some(member) = self.state.members.get(&member.id).cloned() else { return };
        let busy = self.state.busy(&member.id);
        match member.phase {
            // A launch that is still under way could make anew what goes or is removed meanwhile.
            Phase::Launching if !busy => {
                self.emit(Record::Moved { member: member.id.clone(), phase: Phase::Booting });
                self.booting(&member, found);
            }
            Phase::Applying if !busy => self.changing(&member),
            Phase::Booting => self.booting(&member, found),
            Phase::Ready => self.ready(&member, found),
            Phase::Serving => self.serving(&member, found),
            Phase::Standby | Phase::Draining if found.stopped.is_some() && !self.is_slot(&member.id) => {
                self.retire(&member.id);
            }
            // The others may have died since: then it is kept after all.
            Phase::Retiring if !busy && self.is_last_good(&member) => {
                self.emit(Record::Moved { member: member.id.clone(), phase: Phase::Standby });
            }
            Phase::Retiring if !busy => self.retire_again(&member),
            _ => {}
        }
    }

    fn retire_again(&mut self, member: &Member) {
        if self.seen.at >= member.asked + self.state.spec.timing.retry {
            self.retire(&member.id);
        }
    }

    fn note_health(&mut self, member: &Member, found: &Seen) {
        let now = self.seen.at;
        let Some(known) = self.state.members.get_mut(&member.id) else { return };
        // What is healthy while it is being changed is still the old one.
        let changes = known.phase == Phase::Applying;
        let healthy = found.health == Health::Healthy && found.stopped.is_none() && !changes;
        if healthy {
            known.healthy_since.get_or_insert(now);
            known.sick_since = None;
        } else {
            known.healthy_since = None;
            if found.health == Health::Sick || found.stopped.is_some() {
                known.sick_since.get_or_insert(now);
            }
        }
    }

    fn booting(&mut self, member: &Member, found: &Seen) {
        let now = self.seen.at;
        if let Some(why) = &found.stopped {
            return self.fell(member, Fault::Crashed, &format!("it ended by itself: {why}"));
        }
        if let Attested::Wrong(other) = &found.attested {
            return self.fell(member, Fault::WrongGeneration, &format!("it runs {other}"));
        }
        if let Verdict::Fail(why) = &found.verified {
            return self.fell(member, Fault::CheckFailed, why);
        }
        if member.flaps > FLAPS {
            return self.fell(member, Fault::Flapping, "it becomes healthy and sick again and again");
        }
        let right = found.attested == Attested::Right && found.verified == Verdict::Pass;
        if right && settled(self.state, member, now) {
            self.emit(Record::Moved { member: member.id.clone(), phase: Phase::Ready });
        } else if now >= member.since + self.state.spec.timing.boot
            && !self.waits_for_its_turn(member)
            && !self.is_last_good(member)
        {
            let what = match (found.health, &found.attested, &found.verified) {
                (Health::Healthy, Attested::Unknown, _) => "it does not say which generation it runs",
                (Health::Healthy, _, Verdict::Error(why)) => why,
                (Health::Healthy, ..) => "its checks decide nothing",
                _ => "it has not become healthy in time",
            };
            self.fell(member, Fault::BootTimeout, what);
        }
    }

    /// A host of unknown state is not failing: it has not been changed yet.
    fn waits_for_its_turn(&self, member: &Member) -> bool {
        *member.generation.0 == *UNKNOWN && self.is_slot(&member.id)
    }

    fn ready(&mut self, member: &Member, found: &Seen) {
        if found.stopped.is_some() || found.health == Health::Sick {
            self.emit(Record::Moved { member: member.id.clone(), phase: Phase::Booting });
            if let Some(member) = self.state.members.get(&member.id).cloned() {
                self.booting(&member, found);
            }
        }
    }

    fn serving(&mut self, member: &Member, found: &Seen) {
        if let Some(why) = &found.stopped {
            return self.fell(member, Fault::Crashed, &format!("it ended by itself: {why}"));
        }
        let for_long =
            member.sick_since.is_some_and(|since| self.seen.at >= since + self.state.spec.timing.sick);
        if !for_long || self.is_slot(&member.id) {
            return;
        }
        // If all are sick at once, their own death is not what ails them: never more at once than the budget's width.
        let leaving = self.state.members.values().filter(|other| {
            matches!(other.phase, Phase::Launching | Phase::Booting | Phase::Draining | Phase::Retiring)
        });
        let limits = Limits::of(self.state);
        if super::capacity::count(leaving.count()) < (limits.surge + limits.desired - limits.least).max(1) {
            self.fell(member, Fault::Sick, "it has been sick for too long");
        }
    }

    /// An apply in place that has ended, or whose end nobody knows.
    fn changing(&mut self, member: &Member) {
        if let Some((fault, why)) = member.failed.clone() {
            self.fell(member, fault, &why);
        } else if self.state.is_bad(&member.generation).is_some() {
            // Nobody wants it any more, and nobody knows how far it got.
            self.give_up(member);
        }
    }

    /// It will not do. A member is replaced; a host is in an unknown state and gets its turn again.
    fn fell(&mut self, member: &Member, fault: Fault, why: &str) {
        self.blame(member, fault, why);
        self.give_up(member);
    }

    fn give_up(&mut self, member: &Member) {
        if self.is_slot(&member.id) {
            let generation = Generation::from(UNKNOWN);
            let (id, zone) = (member.id.clone(), member.zone.clone());
            self.emit(Record::Adopted { member: id, generation, zone, phase: Phase::Draining });
        } else if member.phase == Phase::Serving {
            self.emit(Record::Moved { member: member.id.clone(), phase: Phase::Draining });
        } else {
            self.retire(&member.id);
        }
    }

    fn blame(&mut self, member: &Member, fault: Fault, why: &str) {
        let storm = fault == Fault::Lost
            && self.state.storm > 0
            && self.seen.at.saturating_sub(self.state.storm) < STORM;
        let ours = fault != Fault::Capacity && !storm;
        self.emit(Record::Fault {
            member: Some(member.id.clone()),
            generation: member.generation.clone(),
            fault,
            why: why.to_owned(),
            ours,
        });
        let active = self.state.active().map(|rollout| (rollout.to == member.generation, rollout.stage));
        match active {
            Some((true, stage)) if fault == Fault::Image && stage != Stage::RollingBack => {
                self.fail(format!("{}: {why}", member.id), true);
            }
            Some(_) => {}
            None => {
                let wait = (1000_u64 << self.state.failures.min(16)).min(BACKOFF);
                let until = self.seen.at + wait;
                self.emit(Record::Held { until, why: format!("{} failed: {why}", member.id) });
            }
        }
    }

    /// Members that carry the fleet's label and are in no journal: a dead controller's, or somebody's.
    fn strangers(&mut self) {
        let now = self.seen.at;
        self.state.strangers.retain(|id, _| self.seen.members.contains_key(id));
        for (id, found) in &self.seen.members {
            if self.state.members.contains_key(id) {
                continue;
            }
            let since = *self.state.strangers.entry(id.clone()).or_insert(now);
            if now.saturating_sub(since) < GRACE {
                continue;
            }
            let generation = found.generation.clone().unwrap_or_else(|| Generation::from(UNKNOWN));
            let wanted = self.state.current.as_ref() == Some(&generation)
                || self.state.active().is_some_and(|rollout| rollout.to == generation);
            let room = super::capacity::count(self.state.members.values().filter(|m| alive(m)).count())
                < self.state.desired;
            let zone = found.zone.clone();
            let phase =
                if wanted && room && found.stopped.is_none() { Phase::Booting } else { Phase::Draining };
            self.emit(Record::Adopted { member: id.clone(), generation, zone, phase });
            if phase == Phase::Draining && found.weight.is_none_or(|weight| weight == 0) {
                self.retire(id);
            }
        }
    }
}
