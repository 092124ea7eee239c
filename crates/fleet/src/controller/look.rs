//! Looking at everything, afresh: the driver's members, their health and proof, the balancer's shares, the gates.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Controller, now};
use crate::definition::Fleet;
use crate::drivers::Found;
use crate::engine::{
    Attested, Generation, Health, MemberId, Observation, Phase, Sample, Seen, Stage, State, Verdict,
};
use crate::gates::{self, Cohorts};
use crate::http;

/// So many members are asked at the same time.
const AT_ONCE: usize = 32;

impl Controller {
    pub(super) fn look(&mut self) -> Observation {
        let found = match self.driver.observe() {
            Ok(found) => found,
            Err(why) => return Observation { at: now(), blind: Some(why), ..Observation::default() },
        };
        self.found = found;
        let mut seen = Observation::default();
        let mut lost = None;
        if let Some(traffic) = &self.traffic {
            match traffic.servers() {
                Ok(servers) => self.servers = servers,
                Err(why) => lost = Some(why),
            }
        }
        let answers = self.ask_members();
        for (id, found) in &self.found {
            let (health, attested) = answers.get(id).cloned().unwrap_or_default();
            let (weight, connections) = match (&self.traffic, lost.is_some()) {
                (_, true) => (None, None),
                (Some(_), false) => {
                    let server = self.servers.get(id);
                    (server.map(|server| server.weight), server.map(|server| server.open))
                }
                (None, false) => {
                    let serves =
                        self.state.members.get(id).is_some_and(|member| member.phase == Phase::Serving);
                    (Some(if serves { 100 } else { 0 }), Some(0))
                }
            };
            let look = Seen {
                generation: found.generation.clone(),
                zone: found.zone.clone(),
                stopped: found.stopped.clone(),
                health,
                attested,
                verified: Verdict::Pass,
                weight,
                connections,
            };
            seen.members.insert(id.clone(), look);
        }
        seen.at = now();
        seen.traffic_lost = lost;
        seen.samples = self.ask_gates(seen.at);
        seen
    }

    fn ask_members(&self) -> BTreeMap<MemberId, (Health, Attested)> {
        let all: Vec<(&MemberId, &Found)> =
            self.found.iter().filter(|(_, found)| found.stopped.is_none()).collect();
        let (fleet, state) = (&self.fleet, &self.state);
        let mut answers = BTreeMap::new();
        for some in all.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                let asked: Vec<_> = some
                    .iter()
                    .map(|(id, found)| (*id, scope.spawn(move || ask_member(fleet, state, id, found))))
                    .collect();
                for (id, answer) in asked {
                    answers.insert(id.clone(), answer.join().unwrap_or_default());
                }
            });
        }
        answers
    }

    /// The gates whose time has come. They are asked before anything is touched, while it steps, and while it bakes.
    fn ask_gates(&mut self, at: u64) -> Vec<Sample> {
        let Some(rollout) = self
            .state
            .active()
            .filter(|rollout| matches!(rollout.stage, Stage::Validating | Stage::Stepping | Stage::Baking))
        else {
            self.asked.clear();
            return Vec::new();
        };
        let cohorts = self.cohorts(rollout);
        let due: Vec<_> = self
            .fleet
            .gates
            .iter()
            .filter(|gate| {
                self.asked.get(&gate.rule.name).is_none_or(|(last, _)| at >= last + gate.rule.interval)
            })
            .cloned()
            .collect();
        let mut samples = Vec::new();
        for gate in due {
            let before = self.asked.get(&gate.rule.name).map(|(_, before)| before);
            let verdict = gate.question.ask(&cohorts, before, Duration::from_millis(gate.timeout));
            self.asked.insert(gate.rule.name.clone(), (at, cohorts.clone()));
            samples.push(Sample { gate: gate.rule.name, verdict });
        }
        samples
    }

    fn cohorts(&self, rollout: &crate::engine::Rollout) -> Cohorts {
        let member = |member: &crate::engine::Member| {
            let address = self.found.get(&member.id).and_then(|found| found.address);
            (member.id.clone(), (member.generation.clone(), address))
        };
        let serving = self.state.members.values().filter(|member| member.phase == Phase::Serving);
        Cohorts {
            fleet: self.fleet.spec.name.clone(),
            rollout: rollout.id.clone(),
            new: Some(rollout.to.clone()),
            old: rollout.from.clone(),
            members: serving.map(member).collect(),
            servers: self.servers.clone(),
        }
    }
}

fn attest(address: std::net::SocketAddr, path: &str, generation: &Generation, timeout: Duration) -> Attested {
    match http::get(address, path, timeout) {
        Ok(answer) if answer.status == 200 && answer.body.trim() == &*generation.0 => Attested::Right,
        Ok(answer) if answer.status == 200 => Attested::Wrong(answer.body.trim().chars().take(60).collect()),
        _ => Attested::Unknown,
    }
}

fn ask_member(fleet: &Fleet, state: &State, id: &MemberId, found: &Found) -> (Health, Attested) {
    let Some(address) = found.address else { return (Health::Unknown, Attested::Unknown) };
    let timeout = Duration::from_millis(fleet.timeout);
    let health = gates::health(&fleet.health, address, timeout);
    if health != Health::Healthy {
        return (health, Attested::Unknown);
    }
    // Whoever serves has proved it before.
    let proven = state.members.get(id).is_some_and(|member| member.phase > Phase::Booting);
    let launched = state.members.get(id).map(|member| &member.generation).or(found.generation.as_ref());
    let attested = match (&fleet.attest, launched) {
        (Some(path), Some(generation)) if !proven => attest(address, path, generation, timeout),
        // Without a question of its own, the driver's label is the proof.
        (None, Some(generation)) if found.generation.as_ref().is_some_and(|label| label != generation) => {
            Attested::Wrong(found.generation.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        _ => Attested::Right,
    };
    (health, attested)
}
