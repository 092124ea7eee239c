//! One trial: a tree is furnished, something happens to the run, the host recovers, and what is there is judged.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::calls::Call;
use crate::scenario::{self, Scenario};
use crate::snapshot::{self, Snapshot, Times, differences};
use crate::subject::{Ground, Report, Work};
use crate::tracer::{Verdict, Watcher};

/// A point that is never reached: the run comes to its end.
pub(crate) const END: usize = usize::MAX;

/// Which of the two allowed states a host is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// A ground where a run is about to begin.
pub(crate) struct Ready {
    pub(crate) work: Work,
    pub(crate) before: Snapshot,
    /// Where an undo shall lead, exactly.
    original: Option<Snapshot>,
}

/// What an undisturbed run comes to.
pub(crate) struct Reference {
    pub(crate) scenario: Scenario,
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
    /// How many calls that change something it makes.
    pub(crate) calls: usize,
}

pub(crate) fn prepare(ground: &Ground, scenario: &Scenario) -> Result<Ready> {
    wipe(ground)?;
    let tree = ground.tree();
    scenario::make_cache(&ground.place.join("cache"))?;
    fs::create_dir_all(&tree)?;
    scenario::furnish(&tree)?;
    if scenario.needs.contains(&"dpkg") {
        scenario::install_first(&tree)?;
    }
    scenario::set_times(&tree)?;
    let run = Work::Run(scenario.calls(&tree));
    if !scenario.undo {
        return Ok(Ready { work: run, before: snapshot::take(&tree)?, original: None });
    }
    let original = snapshot::take(&tree)?;
    let report = ground.plain(&run)?;
    if !report.success {
        bail!("{}: the run failed: {}", scenario.title(), report.said);
    }
    let before = snapshot::take(&tree)?;
    Ok(Ready { work: Work::Undo(0), before, original: Some(original) })
}

/// Tree and record go; what is beside them stays.
fn wipe(ground: &Ground) -> Result<()> {
    for dir in [ground.tree(), ground.state()] {
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
        }
    }
    Ok(())
}

/// The run without a disturbance; an error if it fails, changes nothing or cannot be undone.
pub(crate) fn reference(ground: &Ground, scenario: &Scenario) -> Result<Reference> {
    let ready = prepare(ground, scenario)?;
    let mut count = Interrupt::never();
    let report = ground.watched(&ready.work, &mut count)?;
    let title = scenario.title();
    if !report.success {
        bail!("{title}: the run failed: {}", report.said);
    }
    let after = match &ready.original {
        Some(original) => original.clone(),
        None => snapshot::take(&ground.tree())?,
    };
    let reference = Reference { scenario: *scenario, before: ready.before.clone(), after, calls: count.seen };
    if differences(&reference.before, &reference.after, Times::Exact).is_empty() || count.seen < 5 {
        bail!("{title}: the run changed nothing, so it cannot be a trial");
    }
    match judge(ground, &reference, &ready.before) {
        Ok(Side::After) => {}
        Ok(Side::Before) => bail!("{title}: the run said that all is well and changed nothing"),
        Err(reason) => bail!("{title}, undisturbed: {reason}"),
    }
    take_back(ground, &ready).map_err(|reason| anyhow::anyhow!("{title}, undisturbed: {reason}"))?;
    Ok(reference)
}

/// Is the tree as it was, or as it shall be?
pub(crate) fn judge(ground: &Ground, reference: &Reference, before: &Snapshot) -> Result<Side, String> {
    let found = snapshot::take(&ground.tree()).map_err(|e| format!("{e:#}"))?;
    let head = layer::history::head(&ground.state()).map_err(|e| e.to_string())?;
    let base = u64::from(reference.scenario.undo);
    let to_before = differences(before, &found, Times::Exact);
    if to_before.is_empty() {
        return if head == base {
            Ok(Side::Before)
        } else {
            Err(format!("the tree is as before, and the head is {head}"))
        };
    }
    let times = if reference.scenario.undo { Times::Exact } else { Times::SinceChange(&reference.before) };
    let to_after = differences(&reference.after, &found, times);
    if to_after.is_empty() {
        return if head > base {
            Ok(Side::After)
        } else {
            Err(format!("the tree is as after, and the head is {head}"))
        };
    }
    Err(format!("head {head}; {}; {}", some("from before", &to_before), some("from after", &to_after)))
}

fn some(what: &str, lines: &[String]) -> String {
    let shown = lines.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    format!("{} differences {what}: {shown}", lines.len())
}

/// After whatever happened: recovery must lead to one of the two states, with a store that is whole, and the change
/// must be one that can be taken back.
pub(crate) fn recovered(ground: &Ground, reference: &Reference, ready: &Ready) -> Result<Side, String> {
    let report = ground.plain(&Work::Recover).map_err(|e| format!("{e:#}"))?;
    if !report.success {
        return Err(format!("recovery failed: {}", report.said));
    }
    let side = judge(ground, reference, &ready.before)?;
    whole(ground)?;
    if side == Side::After {
        take_back(ground, ready)?;
    }
    Ok(side)
}

/// Every object of the store is what its name says.
fn whole(ground: &Ground) -> Result<(), String> {
    let check =
        layer::store::check(&ground.state()).map_err(|e| format!("the store cannot be checked: {e}"))?;
    if check.is_good() { Ok(()) } else { Err(format!("the store is damaged: {check:?}")) }
}

/// Undo leads back exactly.
pub(crate) fn take_back(ground: &Ground, ready: &Ready) -> Result<(), String> {
    let to = if ready.original.is_some() { 1 } else { 0 };
    if layer::history::head(&ground.state()).map_err(|e| e.to_string())? <= to {
        return Ok(());
    }
    let report = ground.plain(&Work::Undo(to)).map_err(|e| format!("{e:#}"))?;
    if !report.success {
        return Err(format!("the undo failed: {}", report.said));
    }
    let found = snapshot::take(&ground.tree()).map_err(|e| format!("{e:#}"))?;
    let all = differences(&ready.before, &found, Times::Exact);
    if all.is_empty() { Ok(()) } else { Err(format!("the undo is not exact: {}", some("from before", &all))) }
}

/// Kills at the begin or end of one call.
pub(crate) struct Interrupt {
    /// Twice the number of the call, and one more for its end.
    point: usize,
    /// Only the agent, not what it has started.
    alone: bool,
    pub(crate) seen: usize,
    /// Where it struck.
    pub(crate) hit: Option<String>,
}

impl Interrupt {
    pub(crate) fn at(point: usize) -> Self {
        Self { point, alone: false, seen: 0, hit: None }
    }
    pub(crate) fn alone(point: usize) -> Self {
        Self { alone: true, ..Self::at(point) }
    }
    pub(crate) fn never() -> Self {
        Self::at(END)
    }
}

impl Watcher for Interrupt {
    fn begins(&mut self, call: &Call) -> Verdict {
        let here = self.point == 2 * self.seen;
        self.seen += 1;
        self.verdict(here, "before", call)
    }
    fn ended(&mut self, call: &Call, _result: i64) -> Verdict {
        let here = self.seen > 0 && self.point == 2 * (self.seen - 1) + 1;
        self.verdict(here, "after", call)
    }
}

impl Interrupt {
    fn verdict(&mut self, here: bool, when: &str, call: &Call) -> Verdict {
        if !here {
            return Verdict::Go;
        }
        self.hit = Some(format!("{when} {}", call.shown()));
        if self.alone { Verdict::KillFirst } else { Verdict::Kill }
    }
}

/// So many of these numbers, spread evenly, the last among them; where the others lie depends on the seed.
pub(crate) fn spread(total: usize, wanted: usize, seed: u64) -> Vec<usize> {
    if total <= wanted {
        return (0..total).collect();
    }
    let step = total as f64 / wanted as f64;
    let shift = (mix(seed) % 1000) as f64 / 1000.0 * step;
    let mut all: Vec<usize> =
        (0..wanted).map(|i| ((i as f64 * step + shift) as usize).min(total - 1)).collect();
    all.push(total - 1);
    all.dedup();
    all
}

/// A number that looks random.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What a report says, when it was no success.
pub(crate) fn words(report: &Report) -> &str {
    if report.said.is_empty() { "it said nothing" } else { &report.said }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_sample_is_spread_and_holds_the_end() {
        assert_eq!(spread(3, 10, 7), [0, 1, 2]);
        let some = spread(1000, 10, 7);
        assert!(some.len() >= 10 && some.windows(2).all(|w| w[0] < w[1] && w[1] - w[0] <= 101));
        assert_eq!(some.last(), Some(&999));
    }
}
