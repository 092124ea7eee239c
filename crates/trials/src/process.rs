//! Batteries on the process: kills at every call, lost data, errors of calls, and syncs left out.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::calls::Call;
use crate::report::Found;
use crate::scenario::Scenario;
use crate::snapshot::{self, Times, differences};
use crate::strict::Strict;
use crate::subject::{Ground, Work};
use crate::tracer::{Verdict, Watcher};
use crate::trial::{
    END, Interrupt, Ready, Reference, Side, judge, prepare, recovered, reference, spread, take_back, words,
};

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// At most so many points of each kind in each scenario.
    pub(crate) points: usize,
    pub(crate) seed: u64,
    /// Only this point.
    pub(crate) only: Option<usize>,
}

impl Size {
    fn points(&self, total: usize) -> Vec<usize> {
        self.only.map_or_else(|| spread(total, self.points, self.seed), |point| vec![point])
    }
}

/// Kill agent and children at the begin and end of calls; recover; judge.
pub(crate) fn kills(ground: &Ground, scenario: &Scenario, size: Size) -> Result<Found> {
    kills_by(ground, scenario, size, "kill", Interrupt::at)
}

/// The agent alone is killed; the programs that it started go on to their end.
pub(crate) fn kills_of_agent(ground: &Ground, scenario: &Scenario, size: Size) -> Result<Found> {
    kills_by(ground, scenario, size, "agent", Interrupt::alone)
}

fn kills_by(
    ground: &Ground,
    scenario: &Scenario,
    size: Size,
    battery: &str,
    interrupt: fn(usize) -> Interrupt,
) -> Result<Found> {
    let reference = reference(ground, scenario)?;
    let mut found = Found::default();
    let (mut killed, mut after) = (0, 0);
    let points = size.points(2 * reference.calls);
    for point in &points {
        let ready = prepare(ground, scenario)?;
        let mut interrupt = interrupt(*point);
        let report = ground.watched(&ready.work, &mut interrupt)?;
        killed += usize::from(report.killed);
        match recovered(ground, &reference, &ready) {
            Ok(side) => after += usize::from(side == Side::After),
            Err(reason) => {
                found.violations.push(again(battery, scenario, *point, interrupt.hit.as_ref(), &reason))
            }
        }
    }
    if killed == 0 && size.only.is_none() {
        bail!("no point was reached: this trial tries nothing");
    }
    found.figures = format!("killed at {killed} of {} points, {after} were done", 2 * reference.calls);
    Ok(found)
}

/// As [`kills`], and what was not synced is lost.
pub(crate) fn losses(grounds: &[&Ground], scenario: &Scenario, size: Size) -> Result<Found> {
    let mut found = Found::default();
    let mut tried = 0;
    for ground in grounds {
        let reference = reference(ground, scenario)?;
        let mut points = size.points(2 * reference.calls);
        if size.only.is_none() {
            // Not killed at all: what it called done must be there for good.
            points.push(END);
        }
        for point in points {
            for seed in [0, 1 + size.seed + point as u64 % 1000] {
                tried += 1;
                if let Err(reason) = loss(ground, &reference, point, seed, None)?.outcome {
                    let reason = format!("apart {}, seed {seed}: {reason}", ground.apart);
                    found.violations.push(again("loss", scenario, point, None, &reason));
                }
            }
        }
    }
    found.figures = format!("{tried} power cuts of a strict disk");
    Ok(found)
}

struct Loss {
    outcome: Result<Side, String>,
    left_out: usize,
    classes: BTreeSet<String>,
}

/// What is left out; every trial of left-out syncs is on the strictest disk.
#[derive(Clone, Copy)]
struct Mutation<'a> {
    without: Option<&'a str>,
}

fn loss(
    ground: &Ground,
    reference: &Reference,
    point: usize,
    seed: u64,
    mutation: Option<Mutation<'_>>,
) -> Result<Loss> {
    let ready = prepare(ground, &reference.scenario)?;
    let mut strict = Strict::new(ground, Interrupt::at(point))?;
    if let Some(Mutation { without }) = mutation {
        strict.without = without.map(str::to_owned);
        strict.each_directory = true;
    }
    let report = ground.watched(&ready.work, &mut strict)?;
    strict.lose(seed)?;
    strict.pending.retain(|dir| dir.is_dir());
    let _other_boot = crate::boot::Other::begin()?;
    let mut outcome = recovered(ground, reference, &ready);
    if report.success && outcome == Ok(Side::Before) {
        outcome = Err("a generation that was said to be done is gone".to_owned());
    }
    if let (true, Ok(_), Some(dir)) = (report.success, &outcome, strict.pending.first()) {
        outcome = Err(format!("it was said to be done, and names in {} may be lost", dir.display()));
    }
    if let (Err(reason), Some(hit)) = (&mut outcome, &strict.interrupt.hit) {
        *reason = format!("{hit}: {reason}");
    }
    Ok(Loss { outcome, left_out: strict.left_out, classes: strict.classes })
}

/// A kind of sync, and the runs that make it.
struct Mutant<'a> {
    class: String,
    runs: Vec<(&'a Ground, Reference)>,
}

/// Leaving these out changes nothing that a power cut could show.
const EQUIVALENT: &[(&str, &str)] = &[(
    "fsync state/journal",
    "every entry is followed by an fdatasync of the same file, which makes its length durable too",
)];

/// Leave out each class of sync in turn: the trials must notice.
pub(crate) fn mutants(grounds: &[&Ground], scenarios: &[Scenario], size: Size) -> Result<Found> {
    let mut all: Vec<Mutant<'_>> = Vec::new();
    for ground in grounds {
        for scenario in scenarios {
            let classes = loss(ground, &reference(ground, scenario)?, END, 0, None)?.classes;
            for class in classes {
                let run = (*ground, reference(ground, scenario)?);
                match all.iter_mut().find(|mutant| mutant.class == class) {
                    Some(mutant) => mutant.runs.push(run),
                    None => all.push(Mutant { class, runs: vec![run] }),
                }
            }
        }
    }
    if all.len() < 4 {
        bail!("only {} kinds of sync were seen: the trials do not reach their targets", all.len());
    }
    let mut survivors = Vec::new();
    for (class, reason) in EQUIVALENT {
        all.retain(|mutant| mutant.class != *class);
        println!("    left out {class}: not tried, since {reason}");
    }
    for mutant in &all {
        if let Some(how) = noticed(mutant, size)? {
            println!("    left out {}: noticed, {how}", mutant.class);
        } else {
            println!("    left out {}: NOT noticed", mutant.class);
            survivors.push(mutant.class.clone());
        }
    }
    let caught = all.len() - survivors.len();
    let score = 100.0 * caught as f64 / all.len() as f64;
    let figures = format!("{caught} of {} left-out syncs noticed: {score:.0} %", all.len());
    let violations = if survivors.len() > all.len() / 20 { survivors } else { Vec::new() };
    Ok(Found { figures, violations })
}

fn noticed(mutant: &Mutant<'_>, size: Size) -> Result<Option<String>> {
    let mut reached = false;
    for (ground, reference) in &mutant.runs {
        let mut points = spread(2 * reference.calls, size.points, size.seed);
        points.push(END);
        // Late points first: most syncs stand at the end.
        for point in points.into_iter().rev() {
            let trial = loss(ground, reference, point, 0, Some(Mutation { without: Some(&mutant.class) }))?;
            reached |= trial.left_out > 0;
            if trial.left_out > 0
                && let Err(reason) = trial.outcome
                // What goes wrong without the mutation as well tells nothing.
                && loss(ground, reference, point, 0, Some(Mutation { without: None }))?.outcome.is_ok()
            {
                let reason: String = reason.chars().take(100).collect();
                return Ok(Some(format!("{} at {}: {reason}", reference.scenario.title(), place(point))));
            }
        }
    }
    if !reached {
        bail!("{} was never reached", mutant.class);
    }
    Ok(None)
}

/// Kill a run, then kill its recovery, then recover.
pub(crate) fn recoveries(ground: &Ground, scenario: &Scenario, size: Size) -> Result<Found> {
    let reference = reference(ground, scenario)?;
    let mut found = Found::default();
    let mut tried = 0;
    for first in spread(2 * reference.calls, 3, size.seed) {
        let crash = || -> Result<Ready> {
            let ready = prepare(ground, scenario)?;
            ground.watched(&ready.work, &mut Interrupt::at(first))?;
            Ok(ready)
        };
        crash()?;
        let mut count = Interrupt::never();
        ground.watched(&Work::Recover, &mut count)?;
        for second in spread(2 * count.seen, size.points / 3, size.seed) {
            let ready = crash()?;
            let mut interrupt = Interrupt::at(second);
            ground.watched(&Work::Recover, &mut interrupt)?;
            tried += 1;
            if let Err(reason) = recovered(ground, &reference, &ready) {
                let reason = format!("then recovery killed at {second} ({:?}): {reason}", interrupt.hit);
                found.violations.push(again("recovery", scenario, first, None, &reason));
            }
        }
    }
    found.figures = format!("{tried} killed recoveries");
    Ok(found)
}

/// Kill a run, its recovery, and the recovery after that.
pub(crate) fn deep(ground: &Ground, scenario: &Scenario, size: Size) -> Result<Found> {
    let reference = reference(ground, scenario)?;
    let mut found = Found::default();
    let mut tried = 0;
    for first in spread(2 * reference.calls, 2, size.seed + 1) {
        let crash = |points: &[usize]| -> Result<(Ready, usize)> {
            let ready = prepare(ground, scenario)?;
            ground.watched(&ready.work, &mut Interrupt::at(first))?;
            for point in points {
                ground.watched(&Work::Recover, &mut Interrupt::at(*point))?;
            }
            let mut last = Interrupt::never();
            ground.watched(&Work::Recover, &mut last)?;
            Ok((ready, last.seen))
        };
        for second in spread(2 * crash(&[])?.1, 3, size.seed) {
            for third in spread(2 * crash(&[second])?.1, size.points / 6, size.seed) {
                let (ready, _) = crash(&[second, third])?;
                tried += 1;
                if let Err(reason) = recovered(ground, &reference, &ready) {
                    let reason = format!("recoveries killed at {second} and {third}: {reason}");
                    found.violations.push(again("recovery", scenario, first, None, &reason));
                }
            }
        }
    }
    found.figures = format!("{tried} times two killed recoveries");
    Ok(found)
}

/// A run that failed is taken back by its agent; that is killed.
pub(crate) fn undone(ground: &Ground, scenario: &Scenario, size: Size) -> Result<Found> {
    let reference = reference(ground, scenario)?;
    let mut found = Found::default();
    let work = |ready: &Ready| match &ready.work {
        Work::Run(calls) => Work::Undone(calls.clone()),
        other => other.clone(),
    };
    let ready = prepare(ground, scenario)?;
    let mut count = Interrupt::never();
    let report = ground.watched(&work(&ready), &mut count)?;
    let left = differences(&ready.before, &snapshot::take(&ground.tree())?, Times::Exact);
    if !report.success || !left.is_empty() {
        bail!("undisturbed, it is not taken back: {} {left:?}", report.said);
    }
    let points = size.points(2 * count.seen);
    for point in &points {
        let ready = prepare(ground, scenario)?;
        let mut interrupt = Interrupt::at(*point);
        ground.watched(&work(&ready), &mut interrupt)?;
        if let Err(reason) = taken_back(ground, &reference, &ready) {
            found.violations.push(again("undone", scenario, *point, interrupt.hit.as_ref(), &reason));
        }
    }
    found.figures = format!("killed at {} of {} points", points.len(), 2 * count.seen);
    Ok(found)
}

/// As before (with or without a record of what was done and undone), or done and on record.
fn taken_back(ground: &Ground, reference: &Reference, ready: &Ready) -> Result<(), String> {
    let report = ground.plain(&Work::Recover).map_err(|e| format!("{e:#}"))?;
    if !report.success {
        return Err(format!("recovery failed: {}", report.said));
    }
    let head = layer::history::head(&ground.state()).map_err(|e| e.to_string())?;
    let now = snapshot::take(&ground.tree()).map_err(|e| format!("{e:#}"))?;
    if head != 1 && differences(&ready.before, &now, Times::Exact).is_empty() {
        return Ok(());
    }
    judge(ground, reference, &ready.before)?;
    take_back(ground, ready)
}

/// The n-th call fails.
struct Failing {
    at: usize,
    error: i32,
    seen: usize,
    hit: Option<Call>,
}

impl Watcher for Failing {
    fn begins(&mut self, call: &Call) -> Verdict {
        let here = self.seen == self.at;
        self.seen += 1;
        if !here {
            return Verdict::Go;
        }
        self.hit = Some(call.clone());
        Verdict::Instead(self.error)
    }
}

/// Let the n-th call fail: the run must say so, or have done its work all the same.
pub(crate) fn errors(ground: &Ground, scenario: &Scenario, size: Size) -> Result<Found> {
    let reference = reference(ground, scenario)?;
    let mut found = Found::default();
    let (mut tried, mut told) = (0, 0);
    for (index, at) in size.points(reference.calls).into_iter().enumerate() {
        let error = if index.is_multiple_of(2) { libc::EIO } else { libc::ENOSPC };
        let ready = prepare(ground, scenario)?;
        let mut failing = Failing { at, error, seen: 0, hit: None };
        let report = ground.watched(&ready.work, &mut failing)?;
        tried += usize::from(failing.hit.is_some());
        told += usize::from(!report.success);
        let lost_sync = failing.hit.as_ref().is_some_and(|call| call.own && call.is_sync());
        let outcome = if report.success && lost_sync {
            Err("a sync failed, and the run said that all is well".to_owned())
        } else {
            after_error(ground, &reference, &ready, report.success)
        };
        if let Err(reason) = outcome {
            let hit = failing.hit.map(|call| format!("error {error} of {}", call.shown()));
            let reason = format!("{reason} (it said: {})", words(&report));
            found.violations.push(again("error", scenario, at, hit.as_ref(), &reason));
        }
    }
    if tried == 0 {
        bail!("no call was reached: this trial tries nothing");
    }
    found.figures = format!("{tried} of {} calls failed, {told} runs said so", reference.calls);
    Ok(found)
}

/// Success means the wanted state; failure means any state that can be taken back exactly.
pub(crate) fn after_error(
    ground: &Ground,
    reference: &Reference,
    ready: &Ready,
    success: bool,
) -> Result<(), String> {
    let report = ground.plain(&Work::Recover).map_err(|e| format!("{e:#}"))?;
    if !report.success {
        return Err(format!("recovery failed: {}", report.said));
    }
    if success {
        return match judge(ground, reference, &ready.before) {
            Ok(Side::After) => take_back(ground, ready),
            Ok(Side::Before) => Err("false success: nothing was done".to_owned()),
            Err(reason) => Err(format!("false success: {reason}")),
        };
    }
    let head = layer::history::head(&ground.state()).map_err(|e| e.to_string())?;
    if head > u64::from(reference.scenario.undo) {
        return take_back(ground, ready);
    }
    match judge(ground, reference, &ready.before)? {
        Side::Before => Ok(()),
        Side::After => Err("the run failed and has no record".to_owned()),
    }
}

/// A violation and the command that shows it again.
fn again(battery: &str, scenario: &Scenario, point: usize, hit: Option<&String>, reason: &str) -> String {
    let hit = hit.map(String::as_str).unwrap_or_default();
    format!("[{battery} --scenario {} --at {}] {hit}: {reason}", scenario.title(), place(point))
}

/// As `--at` reads it.
fn place(point: usize) -> String {
    if point == END { "end".to_owned() } else { point.to_string() }
}
