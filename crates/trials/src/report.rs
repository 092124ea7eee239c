//! What came of the trials, one line each, in the words that `cargo xtask test` counts.

use std::time::Instant;

use anyhow::Result;

#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
}

/// What one battery found in one scenario.
#[derive(Default)]
pub(crate) struct Found {
    /// What was measured, in words.
    pub(crate) figures: String,
    /// Each with how to see it again.
    pub(crate) violations: Vec<String>,
}

impl Tally {
    pub(crate) fn run(&mut self, name: &str, work: impl FnOnce() -> Result<Found>) {
        let start = Instant::now();
        let found = work();
        let seconds = start.elapsed().as_secs_f64();
        match found {
            Ok(found) if found.violations.is_empty() => {
                self.passed += 1;
                println!("ok {name}: {} ({seconds:.1} s)", found.figures);
            }
            Ok(found) => {
                println!(
                    "FAILED {name}: {} violations; {} ({seconds:.1} s)",
                    found.violations.len(),
                    found.figures
                );
                for violation in found.violations.iter().take(12) {
                    println!("    {violation}");
                }
                self.failed.push(name.to_owned());
            }
            Err(error) => {
                println!("FAILED {name}: {error:#} ({seconds:.1} s)");
                self.failed.push(name.to_owned());
            }
        }
    }

    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        println!("SKIPPED {name}: {reason}");
        self.skipped += 1;
    }

    pub(crate) fn conclude(&self) -> bool {
        println!("trials: {} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped);
        self.failed.is_empty()
    }
}
