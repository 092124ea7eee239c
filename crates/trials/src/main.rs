//! The crash and fault battery for layers: runs of the agent are killed at every system call, cut off from power, given
//! I/O errors; then the host recovers, and the whole tree must be what it was before or what it should be after.
//!
//! Started by `cargo xtask trials`. Everything happens in a mount namespace of its own, on a tmpfs that goes with it.

mod boot;
mod calls;
mod disk;
mod power;
mod process;
mod report;
mod scenario;
mod small;
mod snapshot;
mod soak;
mod strict;
mod subject;
mod tracer;
mod trial;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};

use disk::mounted::Kind;
use process::Size;
use report::Tally;
use scenario::Scenario;
use subject::Ground;

const USAGE: &str = "\
cargo xtask trials [BATTERY…] [--points N | --all] [--scenario NAME] [--at POINT|end] [--fs ext4|xfs] [--seed N]

  kill         agent and children are killed at the begin and end of system calls that change something
  agent        the agent alone is killed, its children go on
  recovery     the same to the recovery after it, and to the recovery after that
  undone       the same while a run that failed is taken back by itself
  loss         a power cut with a disk stricter than real ones: what was not synced is lost
  power        a power cut on ext4 and xfs: disks built from every part of the log of writes
  error        the n-th system call fails with EIO or ENOSPC
  small        a disk of 20 MB that is nearly full
  mutants      each sync is left out in turn, and that must be noticed
  soak         many generations, two controllers at once

Without a battery: all of them. --all: every point.
";

struct Asked {
    batteries: Vec<String>,
    points: Option<usize>,
    scenario: Option<String>,
    at: Option<usize>,
    fs: Option<String>,
    seed: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = subject::main(&arguments) {
        return code;
    }
    if arguments.iter().any(|word| ["help", "--help"].contains(&word.as_str())) {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match parse(&arguments).and_then(|asked| run(&asked)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("trials: {error:#}");
            ExitCode::FAILURE
        }
    }
}

const BATTERIES: &[&str] =
    &["kill", "agent", "recovery", "undone", "loss", "power", "error", "small", "mutants", "soak"];

fn parse(arguments: &[String]) -> Result<Asked> {
    let mut asked =
        Asked { batteries: Vec::new(), points: None, scenario: None, at: None, fs: None, seed: 1 };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--points" => asked.points = Some(value()?.parse()?),
            "--all" => asked.points = Some(usize::MAX),
            "--scenario" => asked.scenario = Some(value()?.clone()),
            "--at" => {
                let point = value()?;
                asked.at = Some(if point == "end" { trial::END } else { point.parse()? });
            }
            "--fs" => asked.fs = Some(value()?.clone()),
            "--seed" => asked.seed = value()?.parse()?,
            name if BATTERIES.contains(&name) => asked.batteries.push(name.to_owned()),
            _ => bail!("`{word}` is not known\n\n{USAGE}"),
        }
    }
    if asked.batteries.is_empty() {
        asked.batteries = BATTERIES.iter().map(|name| (*name).to_owned()).collect();
    }
    Ok(asked)
}

fn run(asked: &Asked) -> Result<bool> {
    let mut tally = Tally::default();
    if let Some(reason) = lacking() {
        for battery in &asked.batteries {
            tally.skip(&format!("trials {battery}"), &reason);
        }
        return Ok(tally.conclude());
    }
    let room = enter()?;
    let scenarios: Vec<Scenario> = scenario::all()
        .into_iter()
        .filter(|scenario| asked.scenario.as_ref().is_none_or(|name| *name == scenario.title()))
        .collect();
    if scenarios.is_empty() {
        bail!(
            "no scenario has that name: {}",
            scenario::all().iter().map(Scenario::title).collect::<Vec<_>>().join(", ")
        );
    }
    for battery in &asked.batteries {
        battery_of(battery, asked, &scenarios, &room, &mut tally);
    }
    leave(&room);
    Ok(tally.conclude())
}

/// Why the trials cannot be made here at all.
fn lacking() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("the tracer knows x86_64 only".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    None
}

/// Where the trials are made. A name of its own: whoever removes a directory takes away what is mounted there, in every
/// namespace.
pub(crate) fn room() -> PathBuf {
    PathBuf::from(format!("/tmp/theseus-trials-{}", std::process::id()))
}

/// A private view of the file systems; with this program goes what it mounted.
fn enter() -> Result<PathBuf> {
    unshare(CloneFlags::CLONE_NEWNS).context("a mount namespace")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).context("a private mount namespace")?;
    let room = room();
    std::fs::create_dir_all(&room)?;
    let options = c"size=8g,mode=0700";
    mount("theseus-trials", &room, "tmpfs", MountFlags::empty(), Some(options)).context("tmpfs")?;
    let apart = room.join("w/apart");
    std::fs::create_dir_all(&apart)?;
    mount("theseus-trials", &apart, "tmpfs", MountFlags::empty(), Some(options)).context("tmpfs")?;
    // Daemons of a trial that outlive their parents are ours to wait for.
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(room)
}

/// What was mounted goes with this program; the directory would stay.
fn leave(room: &Path) {
    if unmount(room, UnmountFlags::DETACH).is_ok() {
        _ = std::fs::remove_dir(room);
    }
}

fn battery_of(battery: &str, asked: &Asked, scenarios: &[Scenario], room: &Path, tally: &mut Tally) {
    let ground = Ground { place: room.join("w"), apart: false };
    let apart = Ground { place: room.join("w"), apart: true };
    let size =
        |points: usize| Size { points: asked.points.unwrap_or(points), seed: asked.seed, only: asked.at };
    let each = |tally: &mut Tally, work: &dyn Fn(&Scenario) -> Result<report::Found>| {
        for scenario in scenarios {
            let name = format!("trials {battery} {}", scenario.title());
            match scenario.missing() {
                Some(program) => tally.skip(&name, &format!("no {program}")),
                None => tally.run(&name, || work(scenario)),
            }
        }
    };
    let few = |tally: &mut Tally, names: &[&str], work: &dyn Fn(&Scenario) -> Result<report::Found>| {
        for scenario in of(scenarios, asked, names) {
            tally.run(&format!("trials {battery} {}", scenario.title()), || work(&scenario));
        }
    };
    match battery {
        "kill" => each(tally, &|scenario| process::kills(&ground, scenario, size(24))),
        "agent" => few(tally, &["shell", "package", "mixture"], &|scenario| {
            process::kills_of_agent(&ground, scenario, size(24))
        }),
        "recovery" => {
            each(tally, &|scenario| process::recoveries(&ground, scenario, size(18)));
            few(tally, &["mixture", "undo-of-links"], &|scenario| process::deep(&ground, scenario, size(18)));
        }
        "undone" => few(tally, &["writes", "links", "mixture"], &|scenario| {
            process::undone(&ground, scenario, size(24))
        }),
        "small" => match power::lacking(Kind::Ext4) {
            Some(reason) => tally.skip("trials small", &reason),
            None => {
                few(tally, &["writes", "undo-of-removal"], &|scenario| small::runs(room, scenario));
            }
        },
        "loss" => {
            each(tally, &|scenario| process::losses(&[&ground, &apart], scenario, size(8)));
        }
        "error" => each(tally, &|scenario| process::errors(&ground, scenario, size(20))),
        "mutants" => {
            let chosen = of(scenarios, asked, &["writes", "mixture", "undo-of-attributes"]);
            tally.run("trials mutants", || process::mutants(&[&ground, &apart], &chosen, size(40)));
        }
        "power" => power_of(asked, scenarios, room, tally, &size(100)),
        _ => {
            let count = match asked.points {
                None => 1000,
                Some(usize::MAX) => 10_000,
                Some(points) => points as u64,
            };
            tally.run("trials generations", || soak::generations(&ground, count));
            tally.run("trials two controllers", || soak::two_at_once(&ground, 100, asked.seed));
        }
    }
}

/// Those that were asked for, else these few.
fn of(scenarios: &[Scenario], asked: &Asked, few: &[&str]) -> Vec<Scenario> {
    let chosen = scenarios.iter().filter(|s| asked.scenario.is_some() || few.contains(&s.title().as_str()));
    chosen.filter(|s| s.missing().is_none()).copied().collect()
}

fn power_of(asked: &Asked, scenarios: &[Scenario], room: &Path, tally: &mut Tally, size: &Size) {
    for kind in [Kind::Ext4, Kind::Xfs] {
        if asked.fs.as_ref().is_some_and(|fs| fs != kind.name()) {
            continue;
        }
        for scenario in of(scenarios, asked, &["writes", "many", "mixture", "undo-of-attributes"]) {
            let name = format!("trials power {} {}", kind.name(), scenario.title());
            match power::lacking(kind) {
                Some(reason) => tally.skip(&name, &reason),
                None => tally.run(&name, || power::cuts(room, kind, &scenario, *size)),
            }
        }
    }
}
