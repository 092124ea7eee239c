//! The long run: many generations on one host, and two controllers at once.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use layer::{Attributes, Recorder};

use crate::report::Found;
use crate::subject::Ground;
use crate::trial::mix;

/// So many runs, one after the other; time, memory and descriptors must not grow with their number.
pub(crate) fn generations(ground: &Ground, count: u64) -> Result<Found> {
    fresh(ground)?;
    let mut found = Found::default();
    let mut lap = Instant::now();
    let mut laps = Vec::new();
    let part = (count / 4).max(1);
    generation(ground, 0)?;
    let (memory, descriptors) = (resident(), open_files());
    for number in 1..count {
        generation(ground, number)?;
        if number.is_multiple_of(part) {
            laps.push(lap.elapsed().as_secs_f64() / part as f64 * 1e3);
            lap = Instant::now();
        }
    }
    let head = layer::history::head(&ground.state())?;
    if head != count {
        found.violations.push(format!("{count} runs made {head} generations"));
    }
    let start = Instant::now();
    let listed = layer::history::generations(&ground.state())?.len();
    let listing = start.elapsed().as_secs_f64() * 1e3;
    let more_memory = resident().saturating_sub(memory);
    let more_descriptors = open_files().saturating_sub(descriptors);
    if more_descriptors > 2 {
        found.violations.push(format!("{more_descriptors} more descriptors are open than before"));
    }
    if more_memory > 64 << 10 {
        found.violations.push(format!("{more_memory} KiB more memory is in use than before"));
    }
    let (first, last) = (laps.first().copied().unwrap_or_default(), laps.last().copied().unwrap_or_default());
    if last > 3.0 * first + 1.0 {
        found.violations.push(format!("a generation took {first:.2} ms at first and {last:.2} ms at last"));
    }
    let store = size(&ground.state())?;
    found.figures = format!(
        "{count} generations, {first:.2} ms each at first and {last:.2} ms at last; {listed} listed in {listing:.1} ms; \
         store {} KiB ({} bytes a generation); memory +{more_memory} KiB, descriptors +{more_descriptors}",
        store / 1024,
        store / count.max(1)
    );
    Ok(found)
}

fn fresh(ground: &Ground) -> Result<()> {
    for dir in [ground.tree(), ground.state()] {
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
    }
    fs::create_dir_all(ground.tree()).context("the tree")
}

/// One run that changes one file of a hundred.
fn generation(ground: &Ground, number: u64) -> layer::Result<()> {
    let run = layer::Run { run: format!("r{number}"), command: "soak".to_owned(), ..layer::Run::default() };
    let mut recorder = Recorder::new(ground.state(), run);
    let path = ground.tree().join(format!("file-{}", number % 100));
    recorder.write(&path, format!("generation {number}\n").as_bytes(), &Attributes::default())?;
    recorder.seal(false).map(drop)
}

/// Of this process, in KiB.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn size(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path)?;
    let mut total = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            total += size(&entry?.path())?;
        }
    }
    Ok(total)
}

/// Two controllers at once: the second is refused while the first is there, and never after it is gone, however it ended.
pub(crate) fn two_at_once(ground: &Ground, kills: u64, seed: u64) -> Result<Found> {
    fresh(ground)?;
    let mut found = Found::default();
    let (mut refused, mut longest) = (0, Duration::ZERO);
    for round in 0..kills {
        let mut holder = ground.holder()?;
        // While it writes, or before, or after: a moment that depends on the seed.
        std::thread::sleep(Duration::from_micros(mix(seed + round) % 12_000));
        match second(ground, Duration::ZERO) {
            Err(layer::Error::Locked { .. }) => refused += 1,
            Ok(()) => {}
            Err(error) => found.violations.push(format!("round {round}: {error}")),
        }
        holder.kill()?;
        holder.wait()?;
        let start = Instant::now();
        if let Err(error) = second(ground, Duration::from_secs(5)) {
            found.violations.push(format!("round {round}: stuck after the holder was killed: {error}"));
        }
        longest = longest.max(start.elapsed());
    }
    if refused == 0 {
        found
            .violations
            .push("the second was never refused: two wrote at once, or none was there".to_owned());
    }
    found.figures = format!(
        "{kills} holders killed, the second refused {refused} times, the next run began after at most {:.1} ms",
        longest.as_secs_f64() * 1e3
    );
    Ok(found)
}

fn second(ground: &Ground, wait: Duration) -> layer::Result<()> {
    let run = layer::Run { run: "second".to_owned(), ..layer::Run::default() };
    let mut recorder = Recorder::new(ground.state(), run).lock_wait(wait);
    let content = format!("{:?}", Instant::now());
    recorder.write(&ground.tree().join("shared"), content.as_bytes(), &Attributes::default())?;
    recorder.seal(false).map(drop)
}

/// Runs for ever: what the other end of [`two_at_once`] kills.
pub(crate) fn hold(state: &Path, tree: &Path) -> Result<(), String> {
    let run = layer::Run { run: "holder".to_owned(), ..layer::Run::default() };
    let mut recorder = Recorder::new(state.to_owned(), run);
    for number in 0_u64.. {
        let path = tree.join(format!("held-{}", number % 10));
        recorder
            .write(&path, number.to_string().as_bytes(), &Attributes::default())
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}
