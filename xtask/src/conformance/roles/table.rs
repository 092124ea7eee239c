//! The table that is printed: a line a role, and totals as ratios.

use std::fs;

use anyhow::Result;

use super::{Comparison, Role, row};
use crate::shell;
use crate::tally::Tally;

/// Figures of one role: seconds of ansible-core and of Theseus.
#[derive(Default)]
pub(super) struct Row {
    pub(super) tasks: usize,
    /// What the recap calls changed, in each run.
    pub(super) changed: [u64; 2],
    pub(super) first: (f64, f64),
    pub(super) second: (f64, f64),
}

pub(super) struct Table {
    rows: Vec<Row>,
    same: usize,
}

fn ratio((ansible, theseus): (f64, f64)) -> String {
    if theseus > 0.0 && ansible > 0.0 { format!("{:.1}x", ansible / theseus) } else { "-".to_owned() }
}

impl Table {
    pub(super) fn begin() -> Self {
        println!("seconds: ansible-core with pipelining over ssh, Theseus over ssh; how many times faster");
        println!(
            "{:<40} {:>5} {:>7} {:<10} {:>7} {:>7} {:>6} {:>7} {:>7} {:>6}",
            "role",
            "tasks",
            "changed",
            "result",
            "ansible",
            "theseus",
            "first",
            "ansible",
            "theseus",
            "second"
        );
        Self { rows: Vec::new(), same: 0 }
    }

    pub(super) fn add(&mut self, role: &Role, outcome: Result<Comparison>, elapsed: f64, tally: &mut Tally) {
        let name = &role.name;
        if let Some(reason) = &role.skip {
            tally.skipped.push(format!("role {name}: {reason}"));
            return;
        }
        let (word, row, found) = match outcome {
            Ok(comparison) if comparison.found.is_empty() => ("same", row(&comparison), Vec::new()),
            Ok(comparison) => ("different", row(&comparison), comparison.found),
            Err(error) => ("broken", Row::default(), vec![format!("after {elapsed:.0} seconds: {error:#}")]),
        };
        println!(
            "{name:<40} {:>5} {:>3}/{:<3} {word:<10} {:>6.1}s {:>6.1}s {:>6} {:>6.1}s {:>6.1}s {:>6}",
            row.tasks,
            row.changed[0],
            row.changed[1],
            row.first.0,
            row.first.1,
            ratio(row.first),
            row.second.0,
            row.second.1,
            ratio(row.second),
        );
        self.same += usize::from(found.is_empty());
        self.rows.push(row);
        settle(role, &found, tally);
    }

    pub(super) fn conclude(&self) {
        let sum = |pick: fn(&Row) -> (f64, f64)| {
            self.rows
                .iter()
                .map(pick)
                .filter(|(_, theseus)| *theseus > 0.0)
                .fold((0.0, 0.0), |total, each| (total.0 + each.0, total.1 + each.1))
        };
        let (first, second) = (sum(|row| row.first), sum(|row| row.second));
        let tasks: usize = self.rows.iter().map(|row| row.tasks).sum();
        println!(
            "{} of {} roles the same, {tasks} tasks; first runs: {:.0}s and {:.0}s ({}); second runs: {:.0}s and {:.0}s ({})",
            self.same,
            self.rows.len(),
            first.0,
            first.1,
            ratio(first),
            second.0,
            second.1,
            ratio(second),
        );
    }
}

/// Counts the role, and writes what was different where it can be read.
fn settle(role: &Role, found: &[String], tally: &mut Tally) {
    let name = &role.name;
    let Ok(details) = shell::target().map(|target| target.join("conformance").join(format!("{name}.txt")))
    else {
        return;
    };
    if found.is_empty() {
        tally.passed += 1;
        let _ = fs::remove_file(details);
        return;
    }
    match &role.known {
        Some(reason) => tally.skipped.push(format!("role {name}: known to be different: {reason}")),
        None => tally.failed.push(format!("role {name}: see {}", details.display())),
    }
    if let Err(error) = fs::write(&details, found.join("\n") + "\n") {
        eprintln!("{}: {error}", details.display());
    }
}
