//! A really small disk: a run, and an undo, with ever less space; what cannot be done is refused or put back.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::fs::FallocateFlags;

use crate::disk::mounted::{Kind, Mounted};
use crate::process::after_error;
use crate::report::Found;
use crate::scenario::{Scenario, quietly};
use crate::subject::Ground;
use crate::trial::{prepare, reference, words};

const MEGABYTES: u64 = 20;

/// So many bytes are free.
const FREE: &[u64] = &[
    0,
    4 << 10,
    32 << 10,
    128 << 10,
    256 << 10,
    288 << 10,
    512 << 10,
    1 << 20,
    1280 << 10,
    1300 << 10,
    1320 << 10,
    1340 << 10,
    1360 << 10,
    1400 << 10,
    1500 << 10,
    1600 << 10,
    2 << 20,
    3 << 20,
    6 << 20,
];

pub(crate) fn runs(room: &Path, scenario: &Scenario) -> Result<Found> {
    let image = room.join("small.img");
    fs::File::create(&image)?.set_len(MEGABYTES << 20)?;
    quietly(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-E", "nodiscard"]).arg(&image))?;
    let place = room.join("small");
    let mounted = Mounted::new(Kind::Ext4, &image, &place, false)?;
    let found = on(&Ground { place, apart: false }, scenario);
    mounted.close()?;
    fs::remove_file(&image)?;
    found
}

fn on(ground: &Ground, scenario: &Scenario) -> Result<Found> {
    let reference = reference(ground, scenario)?;
    let mut found = Found::default();
    let (mut done, mut refused, mut failed) = (0, 0, 0);
    let filler = ground.place.join("filler");
    for free in FREE {
        let ready = prepare(ground, scenario)?;
        fill(&ground.place, &filler, *free)?;
        let report = ground.plain(&ready.work)?;
        fs::remove_file(&filler)?;
        match (report.success, report.said.contains("bytes are needed")) {
            (true, _) => done += 1,
            (false, true) => refused += 1,
            (false, false) => failed += 1,
        }
        if let Err(reason) = after_error(ground, &reference, &ready, report.success) {
            let said = words(&report);
            found.violations.push(format!(
                "[small --scenario {}] {free} bytes free: {reason} (it said: {said})",
                scenario.title()
            ));
        }
    }
    found.figures = format!(
        "{} disks of {MEGABYTES} MB: {done} runs done, {refused} refused with the space needed, {failed} failed and put back",
        FREE.len()
    );
    Ok(found)
}

/// Leave so many bytes free.
fn fill(place: &Path, filler: &Path, free: u64) -> Result<()> {
    let file = fs::File::create(filler)?;
    loop {
        let stat = rustix::fs::statvfs(place)?;
        let left = (stat.f_bfree * stat.f_frsize).saturating_sub(free) / stat.f_frsize * stat.f_frsize;
        let size = file.metadata()?.len();
        if left == 0 {
            return Ok(());
        }
        // The file's own bookkeeping takes some blocks, too.
        let part = if left > 64 << 10 { left - (32 << 10) } else { stat.f_frsize };
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), size, part) {
            Err(rustix::io::Errno::NOSPC) => return Ok(()),
            other => other.context("the disk cannot be filled")?,
        }
    }
}
