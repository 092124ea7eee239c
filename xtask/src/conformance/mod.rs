//! The oracle: every case is run by the real ansible-core and by Theseus, on equal fresh hosts, and what they
//! reported and left behind is compared.

pub(crate) mod case;
mod hosts;
mod outcome;
mod packages;
mod remembered;
pub(crate) mod roles;
mod tree;
mod turn;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};

use case::Case;
use outcome::Outcome;
use remembered::Remembered;
pub(crate) use tree::digest;
use turn::Program;

use crate::tally::Tally;
use crate::{setup, shell};

const AT_ONCE: usize = 2;

#[derive(Default)]
pub(crate) struct Options {
    names: Vec<String>,
    keep: bool,
    /// Only the reference: its results are remembered, or compared with those remembered.
    oracle_only: bool,
    fresh: bool,
    /// Public roles instead of the suite's own playbooks.
    roles: bool,
    /// Theseus as it is released: for figures.
    release: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--keep" => options.keep = true,
                "--oracle-only" => options.oracle_only = true,
                "--fresh" => options.fresh = true,
                "--roles" => options.roles = true,
                "--release" => options.release = true,
                unknown if unknown.starts_with('-') => bail!("conformance has no option {unknown}"),
                name => options.names.push(name.to_owned()),
            }
        }
        Ok(options)
    }

    fn names(&self) -> &[String] {
        &self.names
    }
}

/// What came of one case.
enum Verdict {
    Same,
    Different(Vec<String>),
    Skipped(String),
}

pub(crate) fn run(options: &Options) -> Result<Tally> {
    if options.roles {
        return roles::run(options);
    }
    let cases = case::find(&options.names)?;
    if !shell::is_root() {
        let skipped =
            cases.iter().map(|case| format!("conformance {}: only root can make its hosts", case.name));
        return Ok(Tally { skipped: skipped.collect(), ..Tally::default() });
    }
    setup::run()?;
    if !options.oracle_only {
        shell::run(shell::cargo().args(["build", "--bins"]))?;
    }
    fs::create_dir_all(shell::target()?.join("conformance"))?;
    println!("{:<34} {:<10} {:>9} {:>9}", "case", "result", "ansible", "theseus");
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut done = one(case, options);
                    if !matches!(done, Ok((Verdict::Same | Verdict::Skipped(_), ..))) {
                        // Said aloud, so that nobody takes a case that comes and goes for a sound one.
                        println!("{:<34} not the same; tried once more on fresh hosts", case.name);
                        done = one(case, options);
                    }
                    report(case, done, &mut tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
                }
            });
        }
    });
    Ok(tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Runs one case by both programs; the verdict, and the seconds of each.
fn one(case: &Case, options: &Options) -> Result<(Verdict, f64, f64)> {
    if let Some(reason) = case.missing() {
        return Ok((Verdict::Skipped(reason), 0.0, 0.0));
    }
    let recalled = if options.fresh { None } else { remembered::recall(case)? };
    let known_before = recalled.is_some();
    let reference = match recalled {
        Some(known) => known,
        None => {
            let start = Instant::now();
            let outcomes = turn::take(case, Program::Ansible, false)?;
            let result = Remembered { outcomes, seconds: start.elapsed().as_secs_f64() };
            if reference_is_right(case, &result.outcomes).is_empty() {
                remembered::remember(case, &result)?;
            }
            result
        }
    };
    let mut found = reference_is_right(case, &reference.outcomes);
    if options.oracle_only && !known_before {
        let verdict = if found.is_empty() { Verdict::Same } else { Verdict::Different(found) };
        return Ok((verdict, reference.seconds, 0.0));
    }
    let start = Instant::now();
    let other = if options.oracle_only { Program::Ansible } else { Program::Theseus { release: false } };
    let outcomes = turn::take(case, other, options.keep)?;
    let seconds = start.elapsed().as_secs_f64();
    let exit = |reference: &Outcome| {
        case.about.theseus_exit.filter(|_| !options.oracle_only).unwrap_or(reference.exit)
    };
    for (number, (reference, given)) in reference.outcomes.iter().zip(&outcomes).enumerate() {
        let differences = reference.differences(given, exit(reference));
        let run = if number > 0 { "second run: " } else { "" };
        found.extend(differences.into_iter().map(|difference| format!("{run}{difference}")));
    }
    let verdict = if found.is_empty() { Verdict::Same } else { Verdict::Different(found) };
    Ok((verdict, reference.seconds, seconds))
}

/// The case says how the real ansible-core ends; if that is wrong the case is.
fn reference_is_right(case: &Case, outcomes: &[Outcome]) -> Vec<String> {
    let wrong = |outcome: &&Outcome| outcome.exit != case.about.exit;
    let said = |outcome: &Outcome| {
        format!("the case says exit {}, ansible-core gave {}", case.about.exit, outcome.exit)
    };
    outcomes.iter().filter(wrong).map(said).collect()
}

fn report(case: &Case, done: Result<(Verdict, f64, f64)>, tally: &mut Tally) {
    let name = &case.name;
    let (word, ansible, theseus, found) = match done {
        Ok((Verdict::Same, ansible, theseus)) => {
            tally.passed += 1;
            ("same", ansible, theseus, Vec::new())
        }
        Ok((Verdict::Different(found), ansible, theseus)) => ("different", ansible, theseus, found),
        Ok((Verdict::Skipped(reason), ..)) => {
            tally.skipped.push(format!("conformance {name}: {reason}"));
            ("skipped", 0.0, 0.0, Vec::new())
        }
        Err(error) => ("broken", 0.0, 0.0, vec![format!("{error:#}")]),
    };
    println!("{name:<34} {word:<10} {ansible:>8.1}s {theseus:>8.1}s");
    let details = shell::target().map(|target| target.join("conformance").join(format!("{name}.txt")));
    let Ok(details) = details else { return };
    if found.is_empty() {
        let _ = fs::remove_file(details);
        return;
    }
    tally.failed.push(format!("conformance {name}: see {}", details.display()));
    tally.print_again(&format!("conformance {name}"), &found);
    if let Err(error) = fs::write(&details, found.join("\n") + "\n") {
        eprintln!("{}: {error}", details.display());
    }
}
