//! A machine with one planted bug for each promise: the simulator must find every one of them.

use fleet::engine::{
    Act, Command, Decision, Generation, MemberId, Observation, Pause, PauseWhy, Phase, Record, Share, Spec,
    Stage, State,
};
use fleet::simulation::{Event, Faults, Promise, Quality, Scenario, Tamper, Wrongs, run};

fn spec() -> Spec {
    Spec { soak: 4000, bake: 10_000, ..Spec::new("web", 4) }
}

/// A quiet fleet with one rollout, by a machine with a bug.
fn with(tamper: Tamper) -> Scenario {
    let scenario = Scenario::new(spec()).at(30_000, Event::Start("g1".into())).at(300_000, Event::Kill);
    Scenario { tamper: Some(tamper), horizon: 900_000, ..scenario }
}

fn found(scenario: Scenario, promise: Promise) {
    let violation = run(scenario).expect_err("the planted bug was not found");
    assert_eq!(violation.promise, promise, "{violation}");
}

/// As a machine does it: written down, then done.
fn intend(state: &State, decision: &mut Decision, act: Act) {
    let next =
        decision.records.iter().filter(|record| matches!(record, Record::Intent { .. })).count() as u64;
    let number = state.intents + next + 1;
    decision.records.push(Record::Intent { number, act: act.clone() });
    decision.acts.push((number, act));
}

#[test]
fn without_bugs_all_is_well() {
    let scenario = Scenario { tamper: None, ..with(|_, _, _| {}) };
    let ended = run(scenario).unwrap();
    assert_eq!(ended.controller.state.current, Some("g1".into()));
    assert!(ended.fewest >= 4 && ended.most <= 5, "{} to {}", ended.fewest, ended.most);
}

#[test]
fn draining_two_from_one_observation() {
    found(
        with(|state, seen, decision| {
            let stepping = state.active().is_some_and(|rollout| rollout.stage == Stage::Stepping);
            let serving = |member: &&fleet::engine::Member| {
                member.phase == Phase::Serving
                    && seen.members.get(&member.id).is_some_and(|found| found.weight == Some(100))
            };
            let two: Vec<MemberId> =
                state.members.values().filter(serving).map(|m| m.id.clone()).take(2).collect();
            if stepping && two.len() == 2 {
                let weights = two.into_iter().map(|id| (id, 0)).collect();
                intend(state, decision, Act::Weigh { weights });
            }
        }),
        Promise::NeverBelowHealthy,
    );
}

#[test]
fn launching_without_counting() {
    found(
        with(|state, _, decision| {
            if state.active().is_some() {
                for number in 0..3 {
                    let member = MemberId::from(format!("web-{}", state.named + 10 + number));
                    intend(state, decision, Act::Launch { member, generation: "g1".into(), zone: None });
                }
            }
        }),
        Promise::NeverAboveTotal,
    );
}

#[test]
fn going_on_without_the_lease() {
    let wrongs = Wrongs { ignores_epoch: true, ..Wrongs::default() };
    let found_one = (1..200).any(|seed| {
        let scenario = Scenario::random(seed);
        let faults = Faults { crash: 30, ..scenario.faults };
        let scenario = Scenario { zombies: true, wrongs, faults, ..scenario };
        run(scenario).is_err_and(|violation| violation.promise == Promise::OneWriter)
    });
    assert!(found_one, "the planted bug was not found");
}

#[test]
fn an_abort_that_stands_still() {
    let scenario = with(|state, seen: &Observation, decision| {
        if state
            .active()
            .is_some_and(|rollout| rollout.stage == Stage::RollingBack && rollout.pause.is_none())
        {
            let pause = Pause { why: PauseWhy::Person("a bug".to_owned()), since: seen.at, until: None };
            decision.records.push(Record::Paused { pause });
        }
    });
    found(scenario.at(34_000, Event::Ask(Command::Abort)), Promise::EveryAbortEnds);
}

#[test]
fn acting_before_writing() {
    found(
        with(|state, _, decision| {
            if let Some(rollout) = state.active() {
                decision.acts.push((1_000_000, Act::Release { generation: rollout.to.clone() }));
            }
        }),
        Promise::NoActWithoutIntent,
    );
}

#[test]
fn retiring_the_way_back() {
    found(
        with(|state, _, decision| {
            let Some(rollout) = state.active().filter(|rollout| rollout.stage == Stage::Baking) else {
                return;
            };
            let kept = state
                .members
                .values()
                .find(|m| m.phase == Phase::Standby && rollout.from.as_ref() == Some(&m.generation));
            if let Some(kept) = kept {
                intend(state, decision, Act::Retire { member: kept.id.clone() });
            }
        }),
        Promise::LastGoodStays,
    );
}

#[test]
fn traffic_for_members_that_cannot_serve() {
    found(
        with(|state, seen, decision| {
            let booting = |m: &&fleet::engine::Member| {
                m.phase == Phase::Booting && m.healthy_since.is_none() && seen.members.contains_key(&m.id)
            };
            if let Some(member) = state.members.values().find(booting).filter(|_| state.active().is_some()) {
                let weights = [(member.id.clone(), 100)].into();
                intend(state, decision, Act::Weigh { weights });
            }
        }),
        Promise::WeightsFollowCapacity,
    );
}

#[test]
fn forgetting_what_was_bad() {
    let scenario = with(|state, _, decision| {
        let bad = state.marks.keys().find(|generation| state.is_bad(generation).is_some());
        let bad: Option<Generation> =
            bad.cloned().filter(|_| state.active().is_none() && state.members.len() < 5);
        if let Some(generation) = bad {
            let member = MemberId::from(format!("web-{}", state.named + 1));
            intend(state, decision, Act::Launch { member, generation, zone: None });
        }
    });
    let mut scenario = scenario.image("g1", Quality::CrashesAtStart);
    scenario.spec.budget.surge = Share::Count(2);
    found(scenario, Promise::BadIsNeverPickedAgain);
}
