//! The world of the simulation: members that boot, serve, fall sick and die, and a balancer. What is true here, the
//! controller only sees through observations.

use std::collections::BTreeMap;

use crate::engine::{
    Act, Attested, Fault, Generation, Health, MemberId, Millis, Observation, Outcome, Seen, Spec, Verdict,
};

/// How an image turns out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    Good,
    /// It cannot be pulled.
    Unpullable,
    CrashesAtStart,
    /// It is fine at first.
    SickAfter(Millis),
    WrongGeneration,
    /// Healthy, but its answers are errors after a while: only a gate sees it.
    ErrorsAfter(Millis),
    /// It never becomes healthy.
    NeverReady,
}

/// A member as it really is.
#[derive(Clone, Debug)]
pub struct Body {
    pub generation: Generation,
    pub zone: Option<String>,
    pub quality: Quality,
    /// Visible, and running, from then on.
    pub visible: Millis,
    /// Its service answers from then on.
    pub boots: Millis,
    /// It has ended by itself.
    pub dead: Option<Millis>,
    /// Sick until then, for reasons of its own.
    pub sick_until: Millis,
    /// Since when it has traffic.
    pub served: Option<Millis>,
    /// A host that stays.
    pub slot: bool,
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub now: Millis,
    pub bodies: BTreeMap<MemberId, Body>,
    pub weights: BTreeMap<MemberId, u32>,
    /// When each lost its traffic: connections finish a while after.
    pub unweighted: BTreeMap<MemberId, Millis>,
    pub qualities: BTreeMap<Generation, Quality>,
    pub released: Option<Generation>,
    pub launches: u64,
    /// What a launch takes now.
    pub boot_time: Millis,
    /// Launches are refused for lack of room until then.
    pub full_until: Millis,
}

impl World {
    #[must_use]
    pub fn healthy(&self, body: &Body) -> bool {
        let alive = body.dead.is_none() && body.visible <= self.now && body.boots <= self.now;
        let quality = match body.quality {
            Quality::SickAfter(after) => self.now < body.boots + after,
            Quality::NeverReady | Quality::CrashesAtStart => false,
            _ => true,
        };
        alive && quality && body.sick_until <= self.now
    }

    /// Really serving: healthy and in traffic.
    #[must_use]
    pub fn available(&self) -> u32 {
        let serving = |(id, weight): (&MemberId, &u32)| {
            *weight > 0 && self.bodies.get(id).is_some_and(|body| self.healthy(body))
        };
        u32::try_from(self.weights.iter().filter(|entry| serving(*entry)).count()).unwrap_or(0)
    }

    #[must_use]
    pub fn total(&self) -> u32 {
        u32::try_from(self.bodies.values().filter(|body| body.dead.is_none()).count()).unwrap_or(0)
    }

    /// Things that happen by themselves.
    pub fn pass(&mut self, now: Millis) {
        self.now = now;
        for body in self.bodies.values_mut() {
            if body.quality == Quality::CrashesAtStart
                && body.boots <= now
                && body.dead.is_none()
                && !body.slot
            {
                body.dead = Some(now);
            }
        }
    }

    pub fn hosts(&mut self, spec: &Spec) {
        for slot in &spec.slots {
            let body = Body {
                generation: Generation::from("?"),
                zone: slot.zone.clone(),
                quality: Quality::Good,
                visible: 0,
                boots: 0,
                dead: None,
                sick_until: 0,
                served: None,
                slot: true,
            };
            self.bodies.insert(MemberId::from(slot.name.as_str()), body);
        }
    }

    /// What somebody sees who looks now.
    #[must_use]
    pub fn observe(&self) -> Observation {
        let members = self.bodies.iter().filter(|(_, body)| body.visible <= self.now);
        let members = members.map(|(id, body)| (id.clone(), self.look(id, body))).collect();
        Observation { at: self.now, members, ..Observation::default() }
    }

    fn look(&self, id: &MemberId, body: &Body) -> Seen {
        let weight = self.weights.get(id).copied();
        let connections = match (weight, self.unweighted.get(id)) {
            (Some(0), Some(since)) => u32::from(self.now < since + 1500),
            (Some(0) | None, _) => 0,
            _ => 1,
        };
        let attested = match (body.quality, body.boots <= self.now) {
            (Quality::WrongGeneration, true) => Attested::Wrong("another one".to_owned()),
            (_, true) => Attested::Right,
            (_, false) => Attested::Unknown,
        };
        Seen {
            generation: Some(body.generation.clone()),
            zone: body.zone.clone(),
            stopped: body.dead.map(|_| "exit status 1".to_owned()),
            health: if self.healthy(body) { Health::Healthy } else { Health::Sick },
            attested,
            verified: Verdict::Pass,
            weight,
            connections: Some(connections),
        }
    }

    /// What the gate on errors says of the new generation.
    #[must_use]
    pub fn errors(&self, to: &Generation) -> Verdict {
        let bad = self.bodies.iter().any(|(id, body)| {
            let Quality::ErrorsAfter(after) = body.quality else { return false };
            let serves = self.weights.get(id).is_some_and(|weight| *weight > 0);
            body.generation == *to && serves && body.served.is_some_and(|since| self.now >= since + after)
        });
        if bad { Verdict::Fail("5 % of the answers are errors".to_owned()) } else { Verdict::Pass }
    }

    /// Does it; doing it twice is doing it once.
    pub fn perform(&mut self, act: &Act) -> Outcome {
        match act {
            Act::Prepare { generation } => match self.quality(generation) {
                Quality::Unpullable => failed(Fault::Image, "no such image"),
                _ => Outcome::Done,
            },
            Act::Launch { member, generation, zone } => self.launch(member, generation, zone.clone()),
            Act::Apply { member, generation } => {
                let quality = self.quality(generation);
                let Some(body) = self.bodies.get_mut(member) else {
                    return failed(Fault::Start, "no such host");
                };
                if quality == Quality::CrashesAtStart {
                    return failed(Fault::Start, "task 3 failed");
                }
                if body.generation != *generation {
                    (body.generation, body.quality) = (generation.clone(), quality);
                    (body.boots, body.served) = (self.now + self.boot_time, None);
                }
                Outcome::Done
            }
            Act::Weigh { weights } => {
                weights.iter().for_each(|(id, weight)| self.weigh(id, *weight));
                Outcome::Done
            }
            Act::Retire { member } => {
                self.bodies.remove(member);
                self.weights.remove(member);
                self.unweighted.remove(member);
                Outcome::Done
            }
            Act::Release { generation } => {
                self.released = Some(generation.clone());
                Outcome::Done
            }
        }
    }

    fn quality(&self, generation: &Generation) -> Quality {
        self.qualities.get(generation).copied().unwrap_or(Quality::Good)
    }

    fn launch(&mut self, id: &MemberId, generation: &Generation, zone: Option<String>) -> Outcome {
        if self.bodies.contains_key(id) {
            return Outcome::Done;
        }
        if self.now < self.full_until {
            return failed(Fault::Capacity, "no capacity in the zone");
        }
        let quality = self.quality(generation);
        self.launches += 1;
        let visible = self.now + self.boot_time / 4;
        let boots = self.now + self.boot_time;
        let body = Body {
            generation: generation.clone(),
            zone,
            quality,
            visible,
            boots,
            dead: None,
            sick_until: 0,
            served: None,
            slot: false,
        };
        self.bodies.insert(id.clone(), body);
        Outcome::Done
    }

    fn weigh(&mut self, id: &MemberId, weight: u32) {
        let Some(body) = self.bodies.get_mut(id) else { return };
        let before = self.weights.insert(id.clone(), weight).unwrap_or(0);
        if before > 0 && weight == 0 {
            self.unweighted.insert(id.clone(), self.now);
        }
        if weight > 0 {
            body.served.get_or_insert(self.now);
        }
    }
}

fn failed(fault: Fault, why: &str) -> Outcome {
    Outcome::Failed { fault, why: why.to_owned() }
}
