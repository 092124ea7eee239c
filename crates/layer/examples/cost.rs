//! What a layer costs: a thousand files written through a recorder, beside the same files written durably by hand; and a
//! run that changes nothing. `cost DIRECTORY [ROUNDS]` prints medians; bench/layers.sh holds them against the aims.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use layer::{Attributes, Cause, Recorder, Run};

const FILES: usize = 1000;
const SIZE: usize = 2000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let top = PathBuf::from(arguments.next().ok_or("cost DIRECTORY [ROUNDS]")?).join("theseus-cost");
    let rounds = arguments.next().map_or(Ok(7), |text| text.parse())?;
    if top.exists() {
        fs::remove_dir_all(&top)?;
    }
    let (mut new, mut over) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        new.push(pair(&top, round, false)?);
        over.push(pair(&top, round, true)?);
    }
    for (name, all) in [("new", new), ("overwritten", over)] {
        let ratio = median(all.iter().map(|(hand, layer)| layer / hand).collect());
        let hand = median(all.iter().map(|(hand, _)| *hand).collect());
        let layer = median(all.iter().map(|(_, layer)| *layer).collect());
        println!("{name}\t{hand:.3}\t{layer:.3}\t{ratio:.2}");
    }
    println!("nothing\t{:.6}", nothing(&top)?);
    fs::remove_dir_all(&top)?;
    Ok(())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

fn content(round: usize, i: usize) -> Vec<u8> {
    format!("setting {i} of round {round}\n").into_bytes().into_iter().cycle().take(SIZE).collect()
}

/// Seconds by hand and with a layer, one after the other, in turns. Each in a place of its own: where many files were
/// removed just now, ext4 looks long for an inode that was not among them.
fn pair(top: &Path, round: usize, over: bool) -> Outcome<(f64, f64)> {
    let mut seconds = [0.0; 2];
    for turn in 0..2 {
        let by_layer = (round + turn) % 2 == 1;
        let top = &top.join(format!("{round}-{turn}-{}", if over { "over" } else { "new" }));
        let dir = top.join("files");
        fs::create_dir_all(&dir)?;
        if over {
            (0..FILES).try_for_each(|i| fs::write(dir.join(i.to_string()), content(usize::MAX, i)))?;
        }
        rustix::fs::sync();
        let begun = Instant::now();
        if by_layer {
            layered(top, &dir, round)?
        } else {
            by_hand(&dir, round)?
        }
        seconds[usize::from(by_layer)] = begun.elapsed().as_secs_f64();
    }
    Ok((seconds[0], seconds[1]))
}

/// As a careful program does it: beside, to the disk, over; at last the names.
fn by_hand(dir: &Path, round: usize) -> io::Result<()> {
    let beside = dir.join("beside");
    for i in 0..FILES {
        let mut file = File::create(&beside)?;
        file.write_all(&content(round, i))?;
        file.sync_all()?;
        fs::rename(&beside, dir.join(i.to_string()))?;
    }
    File::open(dir)?.sync_all()
}

fn layered(top: &Path, dir: &Path, round: usize) -> layer::Result<()> {
    let mut recorder = Recorder::new(top.join("state"), Run::default());
    recorder.begin(Cause::default());
    for i in 0..FILES {
        recorder.write(&dir.join(i.to_string()), content(round, i).as_slice(), &Attributes::default())?;
    }
    recorder.seal(false).map(drop)
}

/// Seconds of a run that finds all as it shall be, one file looked at.
fn nothing(top: &Path) -> Outcome<f64> {
    const TIMES: usize = 1000;
    let file = top.join("0-0-new/files/0");
    let mode = Attributes::mode(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file)?) & 0o7777);
    let begun = Instant::now();
    for _ in 0..TIMES {
        let mut recorder = Recorder::new(top.join("none"), Run::default());
        recorder.begin(Cause::default());
        recorder.set(&file, &mode, false)?;
        recorder.seal(false)?;
    }
    if top.join("none").exists() {
        return Err("a run that changed nothing wrote something".into());
    }
    Ok(begun.elapsed().as_secs_f64() / TIMES as f64)
}
