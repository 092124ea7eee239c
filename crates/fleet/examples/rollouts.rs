//! Many seeded schedules of the simulation: `cargo xtask rollouts --schedules 100000 [--from SEED]`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fleet::simulation::{Scenario, run, run_traced};

fn number(name: &str, otherwise: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Everything that one schedule writes down.
fn trace(seed: u64) -> ExitCode {
    let (ended, journal) = run_traced(Scenario::random(seed));
    for (at, record) in &journal.entries {
        println!("{at:>8} {record:?}");
    }
    match ended {
        Ok(_) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("FAILED seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--trace") {
        return trace(number("--trace", 1));
    }
    let (from, count) = (number("--from", 1), number("--schedules", 2000));
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let (begun, broken, done) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    let (crashes, ticks) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (broken, done, crashes, ticks) = (&broken, &done, &crashes, &ticks);
            scope.spawn(move || {
                for seed in (from + thread..from + count).step_by(usize::try_from(threads).unwrap_or(1)) {
                    match run(Scenario::random(seed)) {
                        Ok(ended) => {
                            crashes.fetch_add(u64::from(ended.crashes), Ordering::Relaxed);
                            ticks.fetch_add(ended.ticks, Ordering::Relaxed);
                        }
                        Err(violation) => {
                            broken.fetch_add(1, Ordering::Relaxed);
                            println!("FAILED seed {seed}: {violation}");
                        }
                    }
                    let all = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if all % 10_000 == 0 {
                        eprintln!("{all} of {count} schedules, {:.0} s", begun.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let broken = broken.into_inner();
    println!(
        "{} rollouts: {count} schedules, {} decisions, {} crashes of the controller, {broken} broken promises, {:.1} s",
        if broken == 0 { "ok" } else { "FAILED" },
        ticks.into_inner(),
        crashes.into_inner(),
        begun.elapsed().as_secs_f64()
    );
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
