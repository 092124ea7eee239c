//! Power cuts on real file systems: the writes of a run are logged below ext4 and xfs, and disks are built from every
//! part of the log that a power cut can leave.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::boot::Other;
use crate::disk::image::{Cut, Entry, Image, after_cut};
use crate::disk::logger::Disk;
use crate::disk::mounted::{Kind, Mounted};
use crate::process::Size;
use crate::report::Found;
use crate::scenario::{Scenario, on_path};
use crate::subject::Ground;
use crate::trial::{Interrupt, Ready, Reference, Side, prepare, recovered, reference, spread};

/// Why it cannot be done here.
pub(crate) fn lacking(kind: Kind) -> Option<String> {
    if !Path::new("/dev/fuse").exists() {
        return Some("no /dev/fuse".to_owned());
    }
    if !Path::new("/dev/loop-control").exists() {
        return Some("no loop devices".to_owned());
    }
    let program = format!("mkfs.{}", kind.name());
    let missing = [program.as_str(), "losetup", "mount"].into_iter().find(|program| !on_path(program));
    missing.map(|program| format!("no {program} (package xfsprogs, e2fsprogs or util-linux)"))
}

/// A run whose writes were logged.
struct Recorded {
    base: Image,
    log: Vec<Entry>,
    /// From here on it had been said that the run is done.
    done_at: usize,
    ready: Ready,
    reference: Reference,
}

pub(crate) fn cuts(room: &Path, kind: Kind, scenario: &Scenario, size: Size) -> Result<Found> {
    let recorded = record(room, kind, scenario)?;
    let writes = recorded.log.iter().filter(|entry| matches!(entry, Entry::Write { .. })).count();
    let flushes = recorded.log.len() - writes;
    if writes < 5 || flushes < 2 {
        bail!("only {writes} writes and {flushes} flushes were logged: this trial tries nothing");
    }
    let mut found = Found::default();
    let mut sides = [0, 0];
    let states = states(&recorded.log, size);
    let _other = Other::begin()?;
    for (done, cut) in &states {
        match state(room, kind, &recorded, *done, *cut)? {
            Ok(Side::Before) => sides[0] += 1,
            Ok(Side::After) => sides[1] += 1,
            Err(reason) => found.violations.push(format!(
                "[power --fs {} --scenario {} --at {done}] {cut:?}: {reason}",
                kind.name(),
                scenario.title()
            )),
        }
    }
    found.figures = format!(
        "{} states of {writes} writes and {flushes} flushes: {} before, {} after",
        states.len(),
        sides[0],
        sides[1]
    );
    Ok(found)
}

fn record(room: &Path, kind: Kind, scenario: &Scenario) -> Result<Recorded> {
    let ground = ground(room);
    let empty = kind.make(room)?;
    let under = room.join("under");
    let disk = Disk::mount(empty, &under)?;
    let mounted = Mounted::new(kind, &under.join("disk"), &ground.place, true)?;
    let reference = reference(&ground, scenario)?;
    let ready = prepare(&ground, scenario)?;
    let top = std::fs::File::open(&ground.place)?;
    rustix::fs::syncfs(&top)?;
    drop(top);
    let base = disk.begin();
    let report = ground.watched(&ready.work, &mut Interrupt::never())?;
    let done_at = disk.length();
    if !report.success {
        bail!("the run failed: {}", report.said);
    }
    // What comes later is written back by the kernel as it likes.
    let top = std::fs::File::open(&ground.place)?;
    rustix::fs::syncfs(&top)?;
    drop(top);
    let log = disk.end();
    mounted.close().context("after the run")?;
    Ok(Recorded { base, log, done_at, ready, reference })
}

fn ground(room: &Path) -> Ground {
    Ground { place: room.join("disk"), apart: false }
}

/// Prefixes, and for each some subsets and torn writes.
fn states(log: &[Entry], size: Size) -> Vec<(usize, Cut)> {
    if let Some(only) = size.only {
        let subsets = (0..8).map(|n| Cut::Subset(size.seed + n));
        let all = [Cut::Prefix, Cut::Torn(size.seed)].into_iter().chain(subsets);
        return all.map(|cut| (only.min(log.len()), cut)).collect();
    }
    let mut all = Vec::new();
    for (index, done) in spread(log.len() + 1, size.points.div_ceil(2), size.seed).into_iter().enumerate() {
        let seed = size.seed + done as u64;
        all.push((done, Cut::Prefix));
        all.push((done, if index % 4 == 3 { Cut::Torn(seed) } else { Cut::Subset(seed) }));
    }
    all
}

fn state(
    room: &Path,
    kind: Kind,
    recorded: &Recorded,
    done: usize,
    cut: Cut,
) -> Result<Result<Side, String>> {
    let ground = ground(room);
    let path = room.join("image");
    after_cut(&recorded.base, &recorded.log, done, cut).write_to(&path)?;
    let mounted = match Mounted::new(kind, &path, &ground.place, false) {
        Ok(mounted) => mounted,
        Err(error) => return Ok(Err(format!("the disk cannot be mounted any more: {error:#}"))),
    };
    let outcome = match recovered(&ground, &recorded.reference, &recorded.ready) {
        Ok(Side::Before) if done >= recorded.done_at => {
            Err("a generation that was said to be done is gone".to_owned())
        }
        other => other,
    };
    mounted.close()?;
    Ok(outcome)
}
