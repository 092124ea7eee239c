//! Counting what passed, failed and was skipped, and saying so in one closing line.

use std::process::ExitCode;

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: Vec<String>,
    /// What those that failed printed: where a run is read elsewhere, often only its end is there.
    pub(crate) printed: Vec<String>,
    /// Each with its reason.
    pub(crate) skipped: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.printed.extend(other.printed);
        self.skipped.extend(other.skipped);
    }

    /// What failed says again what it printed, at most this many lines of each.
    const LINES: usize = 60;

    pub(crate) fn print_again(&mut self, name: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let left = lines.len().saturating_sub(Self::LINES);
        let mut text = format!("---- {name} ----\n{}", lines[..lines.len() - left].join("\n"));
        if left > 0 {
            text += &format!("\n… and {left} more lines");
        }
        self.printed.push(text);
    }

    /// Repeats what failed, names it and what was skipped, then the counts alone on a line.
    pub(crate) fn conclude(&self) -> ExitCode {
        println!();
        for text in &self.printed {
            println!("{text}\n");
        }
        for name in &self.skipped {
            println!("skipped: {name}");
        }
        for name in &self.failed {
            println!("failed: {name}");
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
