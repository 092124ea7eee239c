//! `theseus-fuzz TARGET [--minutes N] [--seed N]`: feeds a reader with mutations of a kept corpus, in this process:
//! panics are caught, memory is capped, and whoever takes too long is named. `cargo xtask fuzz` starts it.

mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mutate::Mutator;
use targets::Target;

/// One input may take so long; a debug build on a busy machine is slow.
const SLOW: Duration = Duration::from_secs(30);
/// Address space of the whole process.
const MEMORY: u64 = 3 << 30;
/// As the stack of the program's main thread.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<f64>().ok()
    };
    let wanted = arguments.first().map(String::as_str).unwrap_or_default();
    let Some(target) = targets::ALL.iter().find(|target| target.name == wanted) else {
        let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
        eprintln!("theseus-fuzz TARGET [--minutes N] [--seed N]; targets: {}", names.join(", "));
        return ExitCode::from(2);
    };
    let limit = rustix::process::Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::As, limit) {
        eprintln!("memory cannot be capped: {error}");
        return ExitCode::from(2);
    }
    let minutes = number("--minutes").unwrap_or(1.0);
    let seed = number("--seed").map_or_else(clock_seed, |seed| seed.to_bits());
    std::panic::set_hook(Box::new(|_| {}));
    let run = std::thread::Builder::new().stack_size(STACK).spawn(move || fuzz(target, minutes, seed));
    match run.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        _ => ExitCode::FAILURE,
    }
}

fn clock_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs() ^ u64::from(now.subsec_nanos()) << 20)
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(here().join("corpus").join(name)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn fuzz(target: &'static Target, minutes: f64, seed: u64) -> ExitCode {
    let seeds = corpus(target.name);
    if seeds.is_empty() {
        eprintln!("the corpus of {} is empty", target.name);
        return ExitCode::from(2);
    }
    let found = std::env::temp_dir().join(format!("theseus-fuzz-{}-{}", target.name, std::process::id()));
    let beat = watch(target.name, &found);
    let mut mutator = Mutator::new(seed, target.words);
    let (started, mut runs, mut panics) = (Instant::now(), 0_u64, 0_u32);
    // Every seed as it is, then mutations.
    let mut inputs: Vec<Vec<u8>> = seeds.clone();
    while started.elapsed().as_secs_f64() < minutes * 60.0 && panics < 10 {
        let input = inputs.pop().unwrap_or_else(|| mutator.next(&seeds));
        // After an overflow of the stack, or of memory, nobody can say which input it was.
        let _ = std::fs::write(&found, &input);
        beat.store(started.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            panics += 1;
            let kept = found.with_extension(format!("panic{panics}"));
            let _ = std::fs::write(&kept, &input);
            println!("FAILED fuzz {}: panic, the input is in {}", target.name, kept.display());
        }
        beat.store(0, Ordering::Relaxed);
        runs += 1;
    }
    let _ = std::fs::remove_file(&found);
    println!(
        "fuzz {}: {runs} inputs in {:.0} s, {panics} panics, seed {seed}",
        target.name,
        started.elapsed().as_secs_f64()
    );
    if panics == 0 {
        println!("ok fuzz {}", target.name);
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

/// Ends the process when one input takes too long. The number is when it began, in milliseconds; 0: none.
fn watch(name: &'static str, found: &Path) -> Arc<AtomicU64> {
    let beat = Arc::new(AtomicU64::new(0));
    let (seen, found) = (beat.clone(), found.to_owned());
    std::thread::spawn(move || {
        let mut last = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(250));
            let now = seen.load(Ordering::Relaxed);
            if now == 0 || now != last.0 {
                last = (now, Instant::now());
            } else if last.1.elapsed() > SLOW {
                println!(
                    "FAILED fuzz {name}: one input takes longer than {SLOW:?}, it is in {}",
                    found.display()
                );
                std::process::exit(1);
            }
        }
    });
    beat
}
