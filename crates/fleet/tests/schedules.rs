//! Two thousand seeded schedules. `cargo xtask rollouts --schedules 100000` runs more of them.

use std::sync::atomic::{AtomicU32, Ordering};

use fleet::simulation::{Scenario, run};

#[test]
fn no_promise_is_broken_in_two_thousand_schedules() {
    let crashes = AtomicU32::new(0);
    let broken: Vec<String> = std::thread::scope(|scope| {
        let halves = [1, 2].map(|first| {
            let crashes = &crashes;
            scope.spawn(move || {
                let ended = (first..=2000).step_by(2).map(|seed| (seed, run(Scenario::random(seed))));
                let failed = ended.filter_map(|(seed, ended)| match ended {
                    Ok(ended) => {
                        crashes.fetch_add(ended.crashes, Ordering::Relaxed);
                        None
                    }
                    Err(violation) => Some(format!("seed {seed}: {violation}")),
                });
                failed.collect::<Vec<_>>()
            })
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(broken.is_empty(), "{} broken promises:\n{}", broken.len(), broken.join("\n"));
    assert!(crashes.into_inner() > 500, "the controller was hardly ever killed");
}

#[test]
fn a_seed_is_a_schedule() {
    let ended = || run(Scenario::random(7)).unwrap().journal.entries;
    assert_eq!(ended(), ended());
}
