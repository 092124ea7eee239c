//! Public roles as their authors publish them: each is run by the real ansible-core and by Theseus on equal fresh
//! Debian hosts with systemd, twice, and what they reported, left behind and answer is compared.

mod clone;
mod list;
pub(crate) mod proxy;
mod table;
mod volatile;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use super::case::{About, Case};
use super::outcome::Outcome;
use super::remembered::{self, Remembered};
use super::turn::{self, Program};
use super::{Options, reference_is_right};
use crate::tally::Tally;
use crate::{base, setup, shell};
pub(crate) use list::Role;
use table::{Row, Table};

/// What came of one role.
struct Comparison {
    reference: Vec<Outcome>,
    /// None where only the reference ran.
    given: Option<Vec<Outcome>>,
    found: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<Tally> {
    let roles = list::find(options.names())?;
    let mut tally = Tally::default();
    if !shell::is_root() {
        tally.skipped.push("conformance --roles: only root can make its hosts".to_owned());
        return Ok(tally);
    }
    setup::run()?;
    setup::oracle_with_collections()?;
    base::with_package_lists()?;
    if !options.oracle_only {
        build(options.release)?;
    }
    fs::create_dir_all(shell::target()?.join("conformance"))?;
    let mut table = Table::begin();
    for role in &roles {
        let begun = Instant::now();
        let outcome = one(role, options);
        table.add(role, outcome, begun.elapsed().as_secs_f64(), &mut tally);
    }
    table.conclude();
    Ok(tally)
}

fn build(release: bool) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--bins"]);
    if release {
        cargo.arg("--release");
    }
    shell::run(&mut cargo)
}

/// Runs one role by both programs.
fn one(role: &Role, options: &Options) -> Result<Comparison> {
    let case = case(role).with_context(|| role.name.clone())?;
    let recalled = if options.fresh { None } else { remembered::recall(&case)? };
    let reference = match recalled {
        Some(known) => known.outcomes,
        None => {
            let start = Instant::now();
            let outcomes = turn::take(&case, Program::Ansible, options.keep && options.oracle_only)?;
            let result = Remembered { outcomes, seconds: start.elapsed().as_secs_f64() };
            remembered::remember(&case, &result)?;
            result.outcomes
        }
    };
    let mut found = reference_is_right(&case, &reference);
    found.extend(reference.iter().flat_map(|outcome| outcome.silent.clone()));
    if options.oracle_only {
        return Ok(Comparison { reference, given: None, found });
    }
    let program = Program::Theseus { release: options.release };
    let given = turn::take(&case, program, options.keep)?;
    for (number, (reference, given)) in reference.iter().zip(&given).enumerate() {
        let run = if number > 0 { "second run: " } else { "" };
        let (mut reference, mut given) = (volatile::without(reference, role), volatile::without(given, role));
        if reference.exit != given.exit {
            // What one of them left undone would only hide why it did.
            reference.trees.clear();
            given.trees.clear();
            found.extend(complaints(&role.name));
        }
        let differences = reference.differences(&given, reference.exit);
        found.extend(differences.into_iter().map(|difference| format!("{run}{difference}")));
        found.extend(given.silent.iter().map(|said| format!("with Theseus: {said}")));
    }
    Ok(Comparison { reference, given: Some(given), found })
}

/// What Theseus said of what failed, of the last run.
fn complaints(name: &str) -> Vec<String> {
    let Ok(place) = shell::target().map(|target| target.join("conformance/work").join(name)) else {
        return Vec::new();
    };
    let read = |file: &str| fs::read_to_string(place.join(file)).unwrap_or_default();
    let events = read("events");
    let failed = events.lines().filter(|line| line.contains("\"status\":\"failed\""));
    let said = failed.map(|line| line.chars().take(1500).collect::<String>());
    said.chain(read("errors").lines().map(str::to_owned)).collect()
}

/// All roles of the list, or those named.
pub(crate) fn wanted(names: &[String]) -> Result<Vec<Role>> {
    list::find(names)
}

/// The role as a case of the suite.
fn case(role: &Role) -> Result<Case> {
    let folder = project(role)?;
    fs::write(folder.join("checks"), role.checks.join("\n"))?;
    let about = About { second: true, needs: vec!["systemd".to_owned()], ..About::default() };
    Ok(Case { name: role.name.clone(), folder, about, role: Some(role.clone()) })
}

/// A folder with its playbook `site.yml`, and the role and those it needs beside it.
pub(crate) fn project(role: &Role) -> Result<PathBuf> {
    let folder = shell::target()?.join("conformance/roles").join(&role.name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("roles"))?;
    clone::put(role, &folder.join("roles"))?;
    for name in &role.brings {
        clone::put(&list::one(name)?, &folder.join("roles"))?;
    }
    fs::write(folder.join("site.yml"), role.playbook())?;
    Ok(folder)
}

/// Where a row of the table goes, and what is known of it beside.
fn row(comparison: &Comparison) -> Row {
    let seconds = |outcomes: &[Outcome], at: usize| outcomes.get(at).map_or(0.0, |outcome| outcome.seconds);
    let given = comparison.given.as_deref().unwrap_or_default();
    let pair = |at| (seconds(&comparison.reference, at), seconds(given, at));
    Row {
        tasks: comparison.reference.first().map_or(0, |outcome| outcome.steps.values().map(Vec::len).sum()),
        changed: [0, 1].map(|at| comparison.reference.get(at).map_or(0, Outcome::changed)),
        first: pair(0),
        second: pair(1),
    }
}
