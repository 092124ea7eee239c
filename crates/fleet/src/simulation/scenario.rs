//! What a schedule is made of: a fleet, its images, what people do, what goes wrong; by hand, or any at all by a seed.

use std::collections::BTreeMap;

use super::controller::{Tamper, Wrongs};
use super::random::Random;
use super::world::Quality;
use crate::engine::{
    Budget, Command, GateRule, Generation, Mode, OnFailure, Share, Slot, Spec, Strategy, Timing, Verdict,
    Waves,
};

/// What happens at a given time.
#[derive(Clone, Debug)]
pub enum Event {
    Ask(Command),
    /// A rollout to this generation.
    Start(Generation),
    /// Every member of the zone is gone.
    LoseZone(String),
    /// The n-th member dies.
    Die(usize),
    /// The n-th member is sick for so long.
    Sick(usize, u64),
    /// Launches are refused for so long.
    Full(u64),
    /// The controller is killed.
    Kill,
    /// What the gate says from now on; none: the truth.
    Gate(Option<Verdict>),
    /// The balancer cannot be asked for so long.
    LoseTraffic(u64),
    /// The driver cannot be asked for so long.
    Blind(u64),
}

/// How often things go wrong, of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub crash: u64,
    pub lost_reply: u64,
    pub refused: u64,
    pub duplicate: u64,
    pub slow: u64,
    pub blind: u64,
    pub traffic_lost: u64,
    pub unknown_health: u64,
    pub die: u64,
    pub sick: u64,
    pub race: u64,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub spec: Spec,
    pub qualities: BTreeMap<Generation, Quality>,
    pub script: Vec<(u64, Event)>,
    pub faults: Faults,
    pub faults_until: u64,
    pub horizon: u64,
    pub tick: (u64, u64),
    pub boot_time: u64,
    pub tamper: Option<Tamper>,
    pub wrongs: Wrongs,
    /// A dead controller may wake up and go on.
    pub zombies: bool,
    /// Nobody resumes, approves or goes back by itself at the end.
    pub alone: bool,
}

impl Scenario {
    /// A quiet one, to be filled in by hand.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        Self {
            seed: 1,
            spec,
            qualities: BTreeMap::new(),
            script: Vec::new(),
            faults: Faults::default(),
            faults_until: 0,
            horizon: 3_600_000,
            tick: (1000, 1001),
            boot_time: 3000,
            tamper: None,
            wrongs: Wrongs::default(),
            zombies: false,
            alone: true,
        }
    }

    #[must_use]
    pub fn at(mut self, at: u64, event: Event) -> Self {
        self.script.push((at, event));
        self.script.sort_by_key(|(at, _)| *at);
        self
    }

    #[must_use]
    pub fn image(mut self, name: &str, quality: Quality) -> Self {
        self.qualities.insert(name.into(), quality);
        self
    }

    /// Any fleet, any strategy, anything that can go wrong.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let spec = random_spec(&mut random);
        let mut scenario = Self {
            seed,
            faults: random_faults(&mut random),
            faults_until: 240_000,
            horizon: 3_000_000,
            tick: (400, 2200),
            boot_time: random.within(500, 8000),
            zombies: random.chance(500),
            alone: false,
            ..Self::new(spec)
        };
        scenario.random_script(&mut random);
        scenario
    }

    fn random_script(&mut self, random: &mut Random) {
        let qualities = [
            Quality::Good,
            Quality::Good,
            Quality::Good,
            Quality::Good,
            Quality::Unpullable,
            Quality::CrashesAtStart,
            Quality::WrongGeneration,
            Quality::NeverReady,
            Quality::SickAfter(random.within(2000, 30_000)),
            Quality::ErrorsAfter(random.within(0, 15_000)),
        ];
        let mut at = 15_000;
        for number in 1..=random.within(1, 4) {
            let generation = Generation::from(format!("g{number}"));
            self.qualities.insert(generation.clone(), *random.pick(&qualities));
            self.script.push((at, Event::Start(generation)));
            for _ in 0..random.within(0, 3) {
                let when = at + random.within(0, 60_000);
                self.script.push((when, random_event(random, self.spec.members, &self.spec.zones)));
            }
            at += random.within(5_000, 120_000);
        }
        self.script.sort_by_key(|(at, _)| *at);
    }
}

fn random_event(random: &mut Random, members: u32, zones: &[String]) -> Event {
    match random.within(0, 15) {
        0 | 1 => Event::Ask(Command::Pause),
        2 | 3 => Event::Ask(Command::Resume),
        4 | 5 => Event::Ask(Command::Abort),
        6 => Event::Ask(Command::Back),
        7 | 8 => Event::Ask(Command::Scale {
            members: u32::try_from(random.within(1, u64::from(members) * 2)).unwrap_or(1),
        }),
        9 => Event::Full(random.within(1000, 40_000)),
        10 if !zones.is_empty() => Event::LoseZone(random.pick(zones).clone()),
        11 => Event::LoseTraffic(random.within(1000, 30_000)),
        12 => Event::Gate(Some(Verdict::Inconclusive)),
        13 => Event::Gate(None),
        _ => Event::Sick(usize::try_from(random.within(0, 8)).unwrap_or(0), random.within(1000, 40_000)),
    }
}

fn random_faults(random: &mut Random) -> Faults {
    let level = *random.pick(&[0, 1, 1, 3]);
    let mut some = |most: u64| random.within(0, most + 1) * level;
    Faults {
        crash: some(15),
        lost_reply: some(30),
        refused: some(5),
        duplicate: some(30),
        slow: some(60),
        blind: some(10),
        traffic_lost: some(8),
        unknown_health: some(8),
        die: some(2),
        sick: some(3),
        race: some(20),
    }
}

fn random_spec(random: &mut Random) -> Spec {
    let members = u32::try_from(random.within(1, 9)).unwrap_or(1);
    let mut spec = Spec::new("web", members);
    spec.timing = Timing {
        min_ready: random.within(0, 4000),
        boot: 30_000,
        drain: random.within(1000, 8000),
        sick: random.within(4000, 15_000),
        keep: 60_000,
        progress: 200_000,
        undecided: 60_000,
        retry: 5000,
    };
    spec.budget = Budget {
        surge: *random.pick(&[
            Share::Count(1),
            Share::Count(2),
            Share::Percent(25),
            Share::Percent(100),
            Share::Count(0),
        ]),
        unavailable: *random.pick(&[Share::Count(0), Share::Count(1), Share::Percent(30)]),
        quorum: random.chance(200),
        allow_downtime: true,
    };
    if random.chance(400) {
        spec.zones = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    }
    spec.strategy = match random.within(0, 6) {
        0 => Strategy::Rolling { batch: None },
        1 => Strategy::Rolling { batch: Some(Share::Count(2)) },
        2 => Strategy::Canary { percents: vec![1, 5, 25, 50, 100] },
        3 => Strategy::BlueGreen,
        4 if !spec.zones.is_empty() => Strategy::Waves(Waves::Zones),
        _ => Strategy::Waves(Waves::Shares(vec![Share::Count(1), Share::Percent(40)])),
    };
    match random.within(0, 10) {
        0 | 1 => in_place(&mut spec),
        2 if spec.strategy != Strategy::BlueGreen => {
            spec.ways = vec![Mode::InPlace];
        }
        3 if spec.strategy != Strategy::BlueGreen => {
            spec.ways =
                random.pick(&[[Mode::Replace, Mode::InPlace], [Mode::InPlace, Mode::Replace]]).to_vec();
        }
        _ => {}
    }
    if random.chance(600) {
        spec.soak = random.within(0, 12_000);
        spec.bake = random.within(0, 20_000);
        spec.gates = vec![GateRule {
            name: "errors".to_owned(),
            need: 1,
            of: 3,
            fails: u32::from(random.chance(300)),
            interval: 2000,
        }];
    }
    if random.chance(200) {
        spec.approvals = vec![0];
    }
    if random.chance(100) {
        spec.on_failure = OnFailure::Halt;
    }
    if random.chance(100) {
        spec.irreversible_after = Some(usize::try_from(random.within(0, 3)).unwrap_or(0));
    }
    if spec.check().is_err() {
        spec.budget.unavailable = Share::Count(1);
    }
    spec
}

fn in_place(spec: &mut Spec) {
    spec.mode = Mode::InPlace;
    if spec.strategy == Strategy::BlueGreen {
        spec.strategy = Strategy::Rolling { batch: None };
    }
    let slot = |number: u32| Slot {
        name: format!("host{number}"),
        zone: spec.zones.get(number as usize % spec.zones.len().max(1)).cloned(),
        ..Slot::default()
    };
    spec.slots = (0..spec.members).map(slot).collect();
}
