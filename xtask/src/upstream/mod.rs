//! The integration suite of the real ansible-core, run by it and by Theseus on equal fresh hosts of the lab. The
//! suite comes with the source distribution, which is fetched when it is needed; none of it is in this repository.

mod guest;
mod suite;
mod table;
mod target;
mod turn;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};

use crate::tally::Tally;
use crate::{setup, shell};
use suite::Suite;
use table::Row;
use target::Target;
use turn::{Program, Turn};

#[derive(Default)]
pub(crate) struct Options {
    names: Vec<String>,
    /// Forget what the real ansible-core did before.
    fresh: bool,
    oracle_only: bool,
    /// What the real ansible-core would do is not asked, unless it is remembered.
    theseus_only: bool,
    /// Theseus as users get it, for figures.
    release: bool,
    at_once: usize,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self { at_once: 2, ..Self::default() };
        for argument in arguments {
            match argument.as_str() {
                "--upstream" => {}
                "--fresh" => options.fresh = true,
                "--oracle-only" => options.oracle_only = true,
                "--theseus-only" => options.theseus_only = true,
                "--release" => options.release = true,
                "--alone" => options.at_once = 1,
                unknown if unknown.starts_with('-') => {
                    bail!("conformance --upstream has no option {unknown}")
                }
                name => options.names.push(name.to_owned()),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(options: &Options) -> Result<Tally> {
    let targets = target::find(&options.names)?;
    if !shell::is_root() {
        let skipped = targets.iter().map(|t| format!("upstream {}: only root can make its host", t.name));
        return Ok(Tally { skipped: skipped.collect(), ..Tally::default() });
    }
    setup::run()?;
    if !options.oracle_only {
        let profile: &[&str] = if options.release { &["--release"] } else { &[] };
        shell::run(shell::cargo().args(["build", "--bin", "theseus"]).args(profile))?;
    }
    let suite = Suite::prepare(options.release)?;
    println!("{}", table::head());
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.at_once {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = one(&suite, target, options);
                    println!("{}", row.line());
                    rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    println!("{}", table::summary(&rows));
    Ok(table::tally(&rows))
}

/// One target by both programs; what the real one did may be remembered.
fn one(suite: &Suite, target: &Target, options: &Options) -> Row {
    let reference = reference(suite, target, options);
    let sound = options.theseus_only || reference.as_ref().is_ok_and(Turn::passed);
    let theseus = (sound && !options.oracle_only).then(|| Turn::take(suite, target, Program::Theseus));
    Row { name: target.name.clone(), reference, theseus }
}

fn reference(suite: &Suite, target: &Target, options: &Options) -> Result<Turn> {
    if !options.fresh
        && let Some(known) = turn::recall(suite, target)?
    {
        return Ok(known);
    }
    if options.theseus_only {
        bail!("not known yet");
    }
    let turn = Turn::take(suite, target, Program::Ansible)?;
    turn::remember(suite, target, &turn)?;
    Ok(turn)
}
