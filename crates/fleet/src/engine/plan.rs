//! Strategies become lists of steps. The machine knows only steps.

use serde::{Deserialize, Serialize};

use super::spec::{Mode, Share, Slot, Spec, Strategy, Waves};
use super::state::Member;
use super::words::Millis;

/// One step: so many members of the new generation, then soak and gates, then perhaps a person's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub name: String,
    /// How many of the fleet run the new generation when the step is complete.
    pub want: Share,
    /// Only members of these zones have had their turn; empty: all.
    pub zones: Vec<String>,
    /// In place, only hosts with one of these values of the label.
    pub label: Option<(String, Vec<String>)>,
    /// The new ones' part of the traffic in percent; none: as many as they are.
    pub traffic: Option<u32>,
    /// All are made and verified beside the old ones before the traffic goes over at once.
    pub preview: bool,
    pub soak: Millis,
    pub approval: bool,
    /// A rollout may mix both.
    pub mode: Mode,
}

impl Step {
    fn new(name: String, want: Share, spec: &Spec) -> Self {
        Self {
            name,
            want,
            zones: Vec::new(),
            label: None,
            traffic: None,
            preview: false,
            soak: spec.soak,
            approval: false,
            mode: spec.mode,
        }
    }

    /// Whether a member may be replaced in this step.
    #[must_use]
    pub fn takes(&self, member: &Member, slots: &[Slot]) -> bool {
        if !self.zones.is_empty() && !member.zone.as_ref().is_some_and(|zone| self.zones.contains(zone)) {
            return false;
        }
        let Some((label, values)) = &self.label else { return true };
        let slot = slots.iter().find(|slot| *slot.name == *member.id.0);
        slot.and_then(|slot| slot.labels.get(label)).is_some_and(|value| values.contains(value))
    }
}

/// The steps of one rollout, and a digest that approvals are bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub hash: String,
}

/// The steps that a fleet's strategy means.
#[must_use]
pub fn plan(spec: &Spec) -> Plan {
    let mut steps = match &spec.strategy {
        Strategy::Rolling { batch: None } => {
            vec![Step::new("all members".to_owned(), Share::Percent(100), spec)]
        }
        Strategy::Rolling { batch: Some(batch) } => batches(spec, *batch),
        Strategy::Canary { percents } => canary(spec, percents),
        Strategy::BlueGreen => vec![Step {
            preview: true,
            ..Step::new(
                "all members beside the old ones, then the switch".to_owned(),
                Share::Percent(100),
                spec,
            )
        }],
        Strategy::Waves(waves) => self::waves(spec, waves),
    };
    // The last step is everybody, whatever was listed.
    if let Some(last) = steps.last()
        && (last.want.ceil(spec.members) < spec.members || last.traffic.is_some())
    {
        steps.push(Step::new("all members".to_owned(), Share::Percent(100), spec));
    }
    for (index, step) in steps.iter_mut().enumerate() {
        step.approval = spec.approvals.contains(&index);
        step.mode = spec.way(index);
    }
    let hash = digest(&steps);
    Plan { steps, hash }
}

fn digest(steps: &[Step]) -> String {
    let text = serde_json::to_string(steps).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex()[..12].to_owned()
}

fn batches(spec: &Spec, batch: Share) -> Vec<Step> {
    let size = batch.ceil(spec.members).max(1);
    let count = spec.members.div_ceil(size);
    let step = |number: u32| {
        let upto = (number * size).min(spec.members);
        Step::new(format!("{upto} of {} members", spec.members), Share::Count(upto), spec)
    };
    let mut steps: Vec<Step> = (1..=count).map(step).collect();
    if let Some(last) = steps.last_mut() {
        last.want = Share::Percent(100);
    }
    steps
}

fn canary(spec: &Spec, percents: &[u32]) -> Vec<Step> {
    let step = |percent: &u32| Step {
        traffic: (*percent < 100).then_some(*percent),
        ..Step::new(format!("{percent} %"), Share::Percent(*percent), spec)
    };
    percents.iter().map(step).collect()
}

fn waves(spec: &Spec, waves: &Waves) -> Vec<Step> {
    let cumulative = |all: &[String], name: &str| {
        (1..=all.len())
            .map(|upto| (format!("{name} {}", all[upto - 1]), all[..upto].to_vec()))
            .collect::<Vec<_>>()
    };
    let mut steps: Vec<Step> = match waves {
        Waves::Zones => cumulative(&spec.zones, "zone")
            .into_iter()
            .map(|(name, zones)| Step { zones, ..Step::new(name, Share::Percent(100), spec) })
            .collect(),
        Waves::Label { label, order } => cumulative(order, label)
            .into_iter()
            .map(|(name, values)| Step {
                label: Some((label.clone(), values)),
                ..Step::new(name, Share::Percent(100), spec)
            })
            .collect(),
        Waves::Shares(shares) => {
            shares.iter().map(|share| Step::new(share_name(*share), *share, spec)).collect()
        }
    };
    // Who is in no named zone or has none of the values comes last.
    let scoped = steps.last().is_none_or(|last| !last.zones.is_empty() || last.label.is_some());
    if scoped {
        steps.push(Step::new("all members".to_owned(), Share::Percent(100), spec));
    }
    steps
}

fn share_name(share: Share) -> String {
    match share {
        Share::Count(count) => format!("{count} members"),
        Share::Percent(percent) => format!("{percent} %"),
    }
}

/// What a rollout costs at worst, before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// So few healthy members in service, at worst.
    pub least_healthy: u32,
    /// So many members at once, at most.
    pub most_members: u32,
    /// So many launches (or changes in place).
    pub launches: u32,
    /// One after the other: launch, become healthy, stay so.
    pub rounds: u32,
    /// Rounds, soaks and the bake together.
    pub millis: Millis,
}

/// `boot`: how long a member takes from launch to healthy, as far as is known.
#[must_use]
pub fn estimate(spec: &Spec, steps: &[Step], boot: Millis) -> Estimate {
    let capacity = super::capacity::limits(spec, spec.members, steps.iter().any(|step| step.preview));
    let missing = spec.members - capacity.least;
    let (mut before, mut rounds, mut millis) = (0, 0, spec.bake);
    for step in steps {
        let upto = step.want.ceil(spec.members).min(spec.members);
        let surge = if step.mode == Mode::InPlace { 0 } else { capacity.surge };
        let width = (surge + missing).max(1);
        let turns = (upto.saturating_sub(before)).div_ceil(width);
        rounds += turns;
        millis += step.soak + u64::from(turns) * (boot + spec.timing.min_ready);
        before = before.max(upto);
    }
    Estimate {
        least_healthy: capacity.least,
        most_members: capacity.most,
        launches: spec.members,
        rounds,
        millis,
    }
}
