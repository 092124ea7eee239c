//! What other tools got wrong, one test for each: the number is that of the issue where people met it.

use fleet::engine::{
    Budget, Command, Fault, GateRule, MemberId, Record, Share, Spec, Stage, Start, State, Strategy, Verdict,
    plan,
};
use fleet::simulation::{Ended, Event, Quality, Scenario, run};

fn spec(members: u32) -> Spec {
    Spec { soak: 3000, bake: 5000, ..Spec::new("web", members) }
}

fn canary(members: u32) -> Spec {
    Spec { strategy: Strategy::Canary { percents: vec![1, 5, 25, 50, 100] }, ..spec(members) }
}

fn gated(spec: Spec) -> Spec {
    let gate = GateRule { name: "errors".to_owned(), need: 1, of: 3, fails: 0, interval: 2000 };
    Spec { gates: vec![gate], ..spec }
}

fn rollout(spec: Spec) -> Scenario {
    Scenario::new(spec).at(30_000, Event::Start("g1".into()))
}

fn stage(ended: &Ended) -> Stage {
    ended.controller.state.rollout.as_ref().unwrap().stage
}

fn refusals(ended: &Ended) -> Vec<String> {
    let records = ended.journal.entries.iter();
    records
        .filter_map(|(_, record)| match record {
            Record::Answered { refused } => refused.clone(),
            _ => None,
        })
        .collect()
}

fn when(ended: &Ended, matches: impl Fn(&Record) -> bool) -> Option<u64> {
    ended.journal.entries.iter().find(|(_, record)| matches(record)).map(|(at, _)| *at)
}

fn rolled_back(ended: &Ended, members: u32) {
    let state = &ended.controller.state;
    assert_eq!(stage(ended), Stage::RolledBack, "{:?}", state.rollout);
    assert_eq!(state.current, Some("g0".into()));
    assert!(
        ended.fewest >= members - state.spec.budget.unavailable.floor(members),
        "{} served",
        ended.fewest
    );
}

/// kubernetes/kubernetes#23211: a Deployment that does not come up is never rolled back by itself.
#[test]
fn kubernetes_23211_a_failed_rollout_goes_back_by_itself() {
    for bad in [Quality::CrashesAtStart, Quality::NeverReady, Quality::WrongGeneration, Quality::Unpullable] {
        let ended = run(rollout(spec(4)).image("g1", bad)).unwrap();
        rolled_back(&ended, 4);
        assert!(ended.controller.state.is_bad(&"g1".into()).is_some(), "{bad:?} is not remembered");
    }
}

/// kubernetes/kubernetes#38072, #51671: percentages of few members round to nothing, or to more than was meant.
#[test]
fn kubernetes_38072_percentages_of_few_members() {
    for members in 1..8 {
        let budget =
            Budget { surge: Share::Percent(10), unavailable: Share::Percent(10), ..Budget::default() };
        let ended = run(rollout(Spec { budget, ..spec(members) })).unwrap();
        assert_eq!(stage(&ended), Stage::Succeeded);
        assert!(
            ended.fewest >= members && ended.most <= members + 1,
            "{members}: {} to {}",
            ended.fewest,
            ended.most
        );
    }
    let none = Budget { surge: Share::Count(0), unavailable: Share::Percent(10), ..Budget::default() };
    assert!(Spec { budget: none, ..spec(3) }.check().is_err());
}

/// argoproj/argo-rollouts#3039: rolls back to a revision that was aborted itself.
#[test]
fn argo_3039_never_back_to_what_was_bad() {
    let scenario =
        rollout(spec(3)).image("g1", Quality::CrashesAtStart).at(400_000, Event::Start("g1".into()));
    let ended =
        run(scenario.at(410_000, Event::Start("g2".into())).at(600_000, Event::Ask(Command::Back))).unwrap();
    assert!(refusals(&ended).iter().any(|why| why.contains("known to be bad")), "{:?}", refusals(&ended));
    assert_eq!(ended.controller.state.current, Some("g0".into()));
}

/// argoproj/argo-rollouts#4461: an abort after full promotion is ignored.
#[test]
fn argo_4461_an_abort_is_obeyed_while_it_bakes() {
    let spec = Spec { bake: 120_000, ..spec(3) };
    let ended = run(rollout(spec).at(100_000, Event::Ask(Command::Abort))).unwrap();
    let baked = when(&ended, |record| matches!(record, Record::Stage { stage: Stage::Baking })).unwrap();
    assert!(baked < 100_000, "it was not baking yet");
    rolled_back(&ended, 3);
}

/// argoproj/argo-rollouts#1774: stuck when the stable version itself is bad.
#[test]
fn argo_1774_forward_from_a_sick_baseline() {
    let mut scenario = Scenario::new(spec(3)).image("g0", Quality::SickAfter(15_000));
    let start = |from_unhealthy| Start {
        to: "g1".into(),
        from: None,
        plan: plan(&spec(3)),
        force: false,
        from_unhealthy,
    };
    scenario = scenario.at(40_000, Event::Ask(Command::Start { start: Box::new(start(true)) }));
    let ended = run(scenario).unwrap();
    assert_eq!(stage(&ended), Stage::Succeeded, "{:?}", ended.controller.state.rollout);
}

/// argoproj/argo-rollouts#3412: a change of scale in the middle of the switch leaves it stuck.
#[test]
fn argo_3412_scaling_in_the_middle_of_the_switch() {
    let spec = Spec { strategy: Strategy::BlueGreen, ..spec(4) };
    for at in (30_000..50_000).step_by(1000) {
        let ended = run(rollout(spec.clone()).at(at, Event::Ask(Command::Scale { members: 6 }))).unwrap();
        assert_eq!((stage(&ended), ended.controller.state.desired), (Stage::Succeeded, 6), "scaled at {at}");
        assert_eq!(ended.world.available(), 6);
    }
}

/// argoproj/argo-rollouts, pull request 4221: a restart and a smaller scale in one pass went below the minimum.
#[test]
fn argo_4221_scaling_down_while_members_die() {
    for at in (31_000..60_000).step_by(1000) {
        let scenario =
            rollout(spec(6)).at(at, Event::Ask(Command::Scale { members: 3 })).at(at, Event::Sick(1, 20_000));
        let ended = run(scenario.at(at + 1000, Event::Die(2))).unwrap();
        assert_eq!(ended.world.available(), 3);
    }
}

/// fluxcd/flagger#30: a new revision in the middle inherited the progress of the one before.
#[test]
fn flagger_30_a_new_target_starts_from_nothing() {
    let ended = run(rollout(canary(4)).at(50_000, Event::Start("g2".into()))).unwrap();
    let state = &ended.controller.state;
    assert_eq!(state.current, Some("g2".into()), "{:?} {:?}", state.rollout, refusals(&ended));
    let again =
        ended.journal.entries.iter().skip_while(
            |(_, record)| !matches!(record, Record::Began { start, .. } if start.to == "g2".into()),
        );
    let steps = again.filter(|(_, record)| matches!(record, Record::Step { .. })).count();
    assert_eq!(steps, 4, "each step is taken again");
}

/// fluxcd/flagger#1186: a migration that cannot be taken back must freeze the rollout, not turn it round.
#[test]
fn flagger_1186_a_point_of_no_return_freezes() {
    let spec = Spec { irreversible_after: Some(0), ..gated(canary(4)) };
    let ended = run(rollout(spec).image("g1", Quality::ErrorsAfter(1000))).unwrap();
    assert_eq!(stage(&ended), Stage::Halted);
    let members = ended.controller.state.members.values();
    assert!(members.filter(|member| member.generation == "g1".into()).count() > 0, "it was put back");
    assert!(ended.world.available() >= 4);
}

/// fluxcd/flagger#616: no way back after promotion.
#[test]
fn flagger_616_back_after_completion() {
    let ended = run(rollout(spec(4)).at(200_000, Event::Ask(Command::Back))).unwrap();
    assert!(
        when(&ended, |record| matches!(record, Record::Stage { stage: Stage::Succeeded })).unwrap() < 200_000
    );
    rolled_back(&ended, 4);
    assert!(ended.controller.state.is_bad(&"g1".into()).is_some());
    assert_eq!(ended.world.released, Some("g0".into()), "the source of truth still names the other one");
}

/// fluxcd/flagger#724: a person cannot fail it directly.
#[test]
fn flagger_724_a_person_may_fail_it() {
    let fail = Command::Fail { why: "the shop looks wrong".to_owned() };
    let ended = run(rollout(canary(4)).at(45_000, Event::Ask(fail))).unwrap();
    rolled_back(&ended, 4);
}

/// fluxcd/flagger#1152: after a failure, nothing goes until the template changes.
#[test]
fn flagger_1152_a_failure_is_not_a_wedge() {
    let ended = run(rollout(spec(3)).image("g1", Quality::NeverReady).at(900_000, Event::Start("g2".into())))
        .unwrap();
    assert_eq!(
        (stage(&ended), ended.controller.state.current.clone()),
        (Stage::Succeeded, Some("g2".into()))
    );
}

/// spinnaker/spinnaker#4895: a rollback and a resize at once wrote a stale minimum of zero to the live group.
#[test]
fn spinnaker_4895_rollback_and_resize_at_once() {
    let base = rollout(Spec { bake: 300_000, ..spec(4) });
    for at in (100_000..110_000).step_by(1000) {
        let scenario = base
            .clone()
            .at(100_000, Event::Ask(Command::Abort))
            .at(at, Event::Ask(Command::Scale { members: 6 }));
        let ended = run(scenario).unwrap();
        rolled_back(&ended, 4);
        assert_eq!((ended.world.available(), ended.controller.state.desired), (6, 6));
    }
}

/// spinnaker/spinnaker#2645: a rolling red/black disabled the whole old group.
#[test]
fn spinnaker_2645_the_old_group_goes_member_by_member() {
    let ended =
        run(rollout(Spec { strategy: Strategy::Rolling { batch: Some(Share::Count(1)) }, ..spec(5) }))
            .unwrap();
    assert!(ended.fewest >= 5, "{}", ended.fewest);
}

/// hashicorp/nomad#10465: a canary that can never start stalls for ever.
#[test]
fn nomad_10465_what_cannot_be_pulled_fails_at_once() {
    let ended = run(rollout(canary(4)).image("g1", Quality::Unpullable)).unwrap();
    rolled_back(&ended, 4);
    let over = when(&ended, |record| matches!(record, Record::Stage { stage: Stage::RolledBack })).unwrap();
    assert!(over < 40_000, "it took until {over} ms");
    assert_eq!(ended.world.launches, 4, "something was launched although nothing could be");
}

/// hashicorp/nomad#10882: the way back goes through the canary again.
#[test]
fn nomad_10882_no_canary_on_the_way_back() {
    let spec = Spec { soak: 60_000, ..gated(canary(6)) };
    let ended = run(rollout(spec).image("g1", Quality::ErrorsAfter(70_000))).unwrap();
    rolled_back(&ended, 6);
    let turned =
        when(&ended, |record| matches!(record, Record::Stage { stage: Stage::RollingBack })).unwrap();
    let over = when(&ended, |record| matches!(record, Record::Stage { stage: Stage::RolledBack })).unwrap();
    assert!(over - turned < 40_000, "the way back took {} ms", over - turned);
}

/// hashicorp/nomad#3836: the way back kills healthy ones first.
#[test]
fn nomad_3836_nobody_healthy_goes_before_the_replacement_serves() {
    let budget = Budget { surge: Share::Count(1), unavailable: Share::Count(0), ..Budget::default() };
    for at in (40_000..90_000).step_by(5000) {
        let ended = run(rollout(Spec { budget, ..spec(5) }).at(at, Event::Ask(Command::Abort))).unwrap();
        assert!(ended.fewest >= 5, "aborted at {at}: {} served", ended.fewest);
    }
}

/// hashicorp/nomad#6936: a canary that was started again was no canary any more, and the healthy old ones were stopped.
#[test]
fn nomad_6936_a_canary_that_dies_is_replaced_as_a_canary() {
    let spec = Spec { soak: 60_000, failures: 5, ..canary(4) };
    let mut scenario = rollout(spec);
    for at in (50_000..90_000).step_by(10_000) {
        scenario = scenario.at(at, Event::Die(4));
    }
    let ended = run(scenario).unwrap();
    assert!(ended.fewest >= 3, "{}", ended.fewest);
    assert_eq!(stage(&ended), Stage::Succeeded);
}

/// hashicorp/nomad#20308: promotion silently became manual when placement was late.
#[test]
fn nomad_20308_late_capacity_only_delays() {
    let ended = run(rollout(spec(4)).at(30_000, Event::Full(120_000))).unwrap();
    assert_eq!(stage(&ended), Stage::Succeeded);
    assert!(ended.controller.state.is_bad(&"g1".into()).is_none(), "lack of room was blamed on the image");
}

/// bottlerocket-update-operator#594: one stuck node stops the whole cluster.
#[test]
fn brupop_594_one_sick_host_does_not_stop_the_others() {
    let mut spec = spec(4);
    spec.budget.unavailable = Share::Count(2);
    let ended = run(rollout(spec).at(31_000, Event::Sick(0, 600_000))).unwrap();
    assert_eq!(stage(&ended), Stage::Succeeded);
}

/// serokell/deploy-rs#214: rolled back, and the exit code said success.
#[test]
fn deploy_rs_214_exit_codes_differ() {
    let codes = [Stage::Succeeded, Stage::RolledBack, Stage::Halted, Stage::Stepping].map(Stage::exit);
    assert_eq!(codes, [0, 2, 3, 4]);
}

/// hashicorp/terraform-provider-aws#34189: the source of truth is updated first, so that "back" leads to the bad one.
#[test]
fn terraform_aws_34189_the_source_of_truth_is_told_last() {
    let ended = run(rollout(spec(3)).image("g1", Quality::NeverReady)).unwrap();
    assert_eq!(ended.world.released, None);
    let ended = run(rollout(spec(3))).unwrap();
    let told = when(&ended, |record| {
        matches!(record, Record::Intent { act: fleet::engine::Act::Release { .. }, .. })
    })
    .unwrap();
    let baked = when(&ended, |record| matches!(record, Record::Stage { stage: Stage::Finalizing })).unwrap();
    assert!(told >= baked);
}

/// bootc: after a rollback, the timer installs the bad image again.
#[test]
fn bootc_a_timer_does_not_bring_the_bad_one_back() {
    let mut scenario = rollout(spec(3)).image("g1", Quality::CrashesAtStart);
    for at in (200_000..600_000).step_by(50_000) {
        scenario = scenario.at(at, Event::Start("g1".into()));
    }
    let ended = run(scenario).unwrap();
    assert_eq!(refusals(&ended).len(), 8);
    rolled_back(&ended, 3);
}

/// Kamal: if one host fails, those before it stay new.
#[test]
fn kamal_a_late_failure_puts_all_back() {
    let spec = Spec {
        failures: 0,
        ..gated(Spec { strategy: Strategy::Rolling { batch: Some(Share::Count(1)) }, ..spec(6) })
    };
    let ended = run(rollout(spec).image("g1", Quality::ErrorsAfter(25_000))).unwrap();
    rolled_back(&ended, 6);
    let members = ended.controller.state.members.values();
    let new = members
        .filter(|member| member.generation == "g1".into() && member.phase == fleet::engine::Phase::Serving);
    assert_eq!(new.count(), 0);
}

/// pulumi/pulumi#4265: an interrupted operation must be cleaned up by hand.
#[test]
fn pulumi_4265_killed_at_every_second() {
    for at in (30_000..80_000).step_by(1000) {
        let ended = run(rollout(spec(3)).at(at, Event::Kill)).unwrap();
        assert_eq!(stage(&ended), Stage::Succeeded, "killed at {at}");
        assert!(ended.fewest >= 3 && ended.most <= 4, "killed at {at}: {} to {}", ended.fewest, ended.most);
    }
}

/// No data is neither good nor bad: it waits, and goes on when there is data again.
#[test]
fn a_gate_without_data_waits() {
    let base = rollout(gated(canary(4)));
    let scenario = base.at(33_000, Event::Gate(Some(Verdict::Inconclusive))).at(90_000, Event::Gate(None));
    let ended = run(scenario).unwrap();
    assert!(when(&ended, |record| matches!(record, Record::Paused { .. })).is_some());
    assert_eq!(stage(&ended), Stage::Succeeded);
}

/// A controller that was dead for long has not soaked.
#[test]
fn time_in_which_nobody_looked_is_no_soak() {
    let spec = Spec { bake: 30_000, ..spec(2) };
    let mut scenario = rollout(spec).at(52_000, Event::Blind(60_000));
    scenario.tick = (1000, 1001);
    let ended = run(scenario).unwrap();
    let baked = when(&ended, |record| matches!(record, Record::Stage { stage: Stage::Baking })).unwrap();
    let over = when(&ended, |record| matches!(record, Record::Stage { stage: Stage::Finalizing })).unwrap();
    assert!(over - baked >= 85_000, "{} ms", over - baked);
}

/// A zone that is lost in the middle is nobody's fault, and is filled up again.
#[test]
fn a_lost_zone_is_not_the_images_fault() {
    let zones = ["a", "b", "c"].map(str::to_owned).to_vec();
    let ended = run(rollout(Spec { zones, ..spec(6) }).at(45_000, Event::LoseZone("a".to_owned()))).unwrap();
    assert_eq!(stage(&ended), Stage::Succeeded);
    let blamed = |record: &Record| matches!(record, Record::Fault { fault: Fault::Lost, ours: true, generation, .. } if *generation == "g1".into());
    assert!(when(&ended, blamed).is_none());
}

/// Commands from a screen that shows an old rollout are refused.
#[test]
fn a_stale_screen_is_refused() {
    let mut state = State::new(spec(2));
    let seen = fleet::engine::Observation::default();
    let asked =
        Record::Asked { by: "bob".to_owned(), rollout: Some("web-r1".to_owned()), command: Command::Abort };
    state.apply(0, &asked);
    fleet::engine::decide(&mut state, &seen);
    assert!(state.answers.back().unwrap().refused.as_ref().unwrap().contains("web-r1"));
    assert!(!state.members.contains_key(&MemberId::from("web-1")));
}

/// A thousand members cost as much each as ten do.
#[test]
fn a_thousand_members_are_flat() {
    let cost = |members: u32| {
        let budget = Budget { surge: Share::Percent(10), ..Budget::default() };
        let ended = run(rollout(Spec { budget, ..spec(members) })).unwrap();
        assert_eq!(stage(&ended), Stage::Succeeded);
        (ended.ticks, ended.journal.entries.len() as f64 / f64::from(members))
    };
    let (small, large) = (cost(20), cost(1000));
    assert!(large.0 <= small.0 * 2, "decisions: {small:?} and {large:?}");
    assert!(large.1 <= small.1 * 1.5, "records a member: {small:?} and {large:?}");
}
