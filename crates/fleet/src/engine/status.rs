//! Why anything waits: since when, until when, and which command moves it.

use serde::Serialize;

use super::capacity::Capacity;
use super::rollout::{PauseWhy, Rollout, Stage};
use super::state::{Member, Phase, State};
use super::words::{Health, Millis, Observation};

/// One reason why something does not go on at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// A member, or the rollout.
    pub what: String,
    pub why: String,
    pub since: Millis,
    /// When something else happens by itself.
    pub until: Option<Millis>,
    /// What a person can type.
    pub command: Option<String>,
}

/// Everything that waits now.
#[must_use]
pub fn report(state: &State, seen: &Observation) -> Vec<Wait> {
    let mut waits = Vec::new();
    let command = |verb: &str| Some(format!("theseus rollout {verb} {}", state.spec.name));
    let mut general = |what: &str, why: String, since, until, command| {
        waits.push(Wait { what: what.to_owned(), why, since, until, command });
    };
    if let Some(why) = &seen.blind {
        general("fleet", format!("the driver cannot be asked: {why}"), seen.at, None, None);
        return waits;
    }
    if let Some(why) = &seen.traffic_lost {
        let why = format!("the balancer cannot be asked, so nobody is taken out of traffic: {why}");
        general("fleet", why, seen.at, None, None);
    }
    if let Some((until, why)) = state.held.as_ref().filter(|(until, _)| *until > seen.at) {
        general("launches", format!("held back: {why}"), seen.at, Some(*until), None);
    }
    if let Some(rollout) = &state.rollout {
        waits.extend(of_rollout(state, seen, rollout, &command));
    }
    waits.extend(state.members.values().filter_map(|member| of_member(state, seen, member)));
    waits
}

fn of_rollout(
    state: &State,
    seen: &Observation,
    rollout: &Rollout,
    command: &dyn Fn(&str) -> Option<String>,
) -> Option<Wait> {
    let wait = |why: String, since, until, command| {
        Some(Wait { what: rollout.id.clone(), why, since, until, command })
    };
    if let Some(pause) = &rollout.pause {
        let (why, verb) = match &pause.why {
            PauseWhy::Person(by) => (format!("paused by {by}"), command("resume")),
            PauseWhy::Approval(step) => (
                format!("step {} of plan {} needs a person's yes", step + 1, rollout.plan),
                command("approve").map(|text| format!("{text} --step {}", step + 1)),
            ),
            PauseWhy::Undecided(gate) => (format!("gate {gate} decides nothing"), command("resume")),
        };
        return wait(why, pause.since, pause.until, verb);
    }
    let deadline = Some(rollout.progress + state.spec.timing.progress);
    let capacity = Capacity::of(state, seen);
    match rollout.stage {
        Stage::Halted => {
            let why = rollout.cause.as_ref().map_or("it was halted", |cause| &cause.why);
            wait(format!("halted: {why}"), rollout.since, None, command("resume"))
        }
        Stage::Validating => wait(
            "making sure that it can begin".to_owned(),
            rollout.since,
            Some(rollout.since + state.spec.timing.boot),
            command("abort"),
        ),
        Stage::Stepping | Stage::Baking => {
            let needed = if rollout.stage == Stage::Baking {
                state.spec.bake
            } else {
                rollout.current_step().map_or(0, |step| step.soak)
            };
            if let Some(rule) = state.spec.gates.iter().find(|rule| {
                rollout.tallies.get(&rule.name).is_none_or(|tally| tally.of_last(rule.of).0 < rule.need)
            }) && rollout.soaked >= needed
                && state.soaked_at.is_some()
            {
                return wait(
                    format!("gate {} has not passed {} times yet", rule.name, rule.need),
                    rollout.since,
                    deadline,
                    command("abort"),
                );
            }
            if state.soaked_at.is_some() && rollout.soaked < needed {
                let left = needed - rollout.soaked;
                return wait(
                    format!("soaking: {} of {} s", rollout.soaked / 1000, needed / 1000),
                    rollout.since,
                    Some(seen.at + left),
                    command("abort"),
                );
            }
            if capacity.spare() == 0 && capacity.room() == 0 {
                let why = format!(
                    "the budget: {} of at least {} healthy members serve, {} of at most {} exist",
                    capacity.available, capacity.limits.least, capacity.total, capacity.limits.most
                );
                return wait(why, rollout.progress, deadline, command("abort"));
            }
            None
        }
        _ => None,
    }
}

fn of_member(state: &State, seen: &Observation, member: &Member) -> Option<Wait> {
    let timing = &state.spec.timing;
    let found = seen.members.get(&member.id);
    let (why, until) = match member.phase {
        Phase::Launching => ("is being launched".to_owned(), Some(member.since + timing.boot)),
        Phase::Applying => ("is being changed in place".to_owned(), None),
        Phase::Booting => match member.healthy_since {
            Some(since) => ("is healthy, not yet for long enough".to_owned(), Some(since + timing.min_ready)),
            None => ("is not healthy yet".to_owned(), Some(member.since + timing.boot)),
        },
        Phase::Draining => {
            let open = found.and_then(|found| found.connections);
            let why = open
                .map_or("finishes its connections".to_owned(), |open| format!("finishes {open} connections"));
            (why, Some(member.since + timing.drain))
        }
        Phase::Retiring => ("is being removed".to_owned(), None),
        Phase::Serving if found.is_some_and(|found| found.health != Health::Healthy) => {
            let until = member.sick_since.map(|since| since + timing.sick);
            ("serves and is not healthy".to_owned(), until)
        }
        _ => return None,
    };
    Some(Wait { what: member.id.to_string(), why, since: member.since, until, command: None })
}
