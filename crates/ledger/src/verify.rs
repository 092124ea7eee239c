//! Is the log one unbroken chain, and are the records what it says? Works on any ledger.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{Entry, Generation, GenerationSummary, Ledger, Result, RunEnd, RunStart, Verification, chain};

/// Entries read at once.
const PAGE: usize = 1000;

pub(crate) fn verify<L: Ledger + ?Sized>(ledger: &L) -> Result<Verification> {
    let mut done = Verification { head: chain::START.to_owned(), ..Verification::default() };
    let mut told = Told::default();
    loop {
        let page = ledger.log(done.entries + 1, PAGE)?;
        let last = page.len() < PAGE;
        for entry in page {
            done.problem = broken(&entry, &done);
            if done.problem.is_none() {
                done.problem = told.hear(ledger, &entry)?;
            }
            if done.problem.is_some() {
                return Ok(done);
            }
            done.entries = entry.number;
            done.head = entry.hash;
        }
        if last {
            break;
        }
    }
    done.problem = told.compare(ledger)?;
    Ok(done)
}

fn broken(entry: &Entry, so_far: &Verification) -> Option<String> {
    let number = so_far.entries + 1;
    if entry.number != number {
        return Some(format!("entry {number} of the log is missing"));
    }
    if entry.previous != so_far.head {
        return Some(format!("entry {number} of the log does not follow the one before it"));
    }
    (chain::hash(entry) != entry.hash).then(|| format!("entry {number} of the log was altered"))
}

/// What the log tells must be in the records, and nothing else.
#[derive(Default)]
struct Told {
    runs: BTreeSet<String>,
    generations: BTreeSet<(String, u64)>,
    facts: BTreeMap<String, Map<String, Value>>,
}

impl Told {
    fn hear<L: Ledger + ?Sized>(&mut self, ledger: &L, entry: &Entry) -> Result<Option<String>> {
        let id = &entry.subject;
        match entry.kind.as_str() {
            "run-begun" => {
                let start: RunStart = serde_json::from_str(&entry.body)?;
                self.runs.insert(id.clone());
                let same = ledger.run(id)?.is_some_and(|run| run.start == start);
                Ok((!same).then(|| format!("run {id} is not as entry {} of the log says", entry.number)))
            }
            "run-ended" => {
                let end: RunEnd = serde_json::from_str(&entry.body)?;
                let problem = ended(ledger, id, &end)?;
                self.generations.extend(end.generations.into_iter().map(|(host, number, _)| (host, number)));
                Ok(problem)
            }
            "facts" => {
                self.facts.insert(id.clone(), serde_json::from_str(&entry.body)?);
                Ok(None)
            }
            other => Ok(Some(format!("entry {} of the log is of an unknown kind, {other}", entry.number))),
        }
    }

    fn compare<L: Ledger + ?Sized>(&self, ledger: &L) -> Result<Option<String>> {
        if let Some(run) =
            ledger.runs(None, usize::MAX)?.iter().find(|run| !self.runs.contains(&run.start.id))
        {
            return Ok(Some(format!("run {} is not in the log", run.start.id)));
        }
        let untold = |made: &&Generation| !self.generations.contains(&(made.host.clone(), made.number));
        if let Some(made) = ledger.generations(None, usize::MAX)?.iter().find(untold) {
            return Ok(Some(format!("generation {} of {} is not in the log", made.number, made.host)));
        }
        let none = Map::new();
        for host in ledger.hosts()? {
            if host.facts != *self.facts.get(&host.name).unwrap_or(&none) {
                return Ok(Some(format!("the facts of {} are not as the log says", host.name)));
            }
        }
        Ok(None)
    }
}

fn ended<L: Ledger + ?Sized>(ledger: &L, id: &str, end: &RunEnd) -> Result<Option<String>> {
    let run = ledger.run(id)?;
    let same_end = run.is_some_and(|run| {
        run.finished.as_deref() == Some(end.finished.as_str()) && run.exit == Some(end.exit)
    });
    if !same_end {
        return Ok(Some(format!("the end of run {id} is not as the log says")));
    }
    let mut results = end.hosts.clone();
    results.sort_by(|a, b| a.host.cmp(&b.host));
    if ledger.results(id)? != results {
        return Ok(Some(format!("the results of run {id} are not as the log says")));
    }
    for (host, number, summary) in &end.generations {
        let told = generation(id, end, host, *number, summary);
        if !ledger.generations(Some(host), usize::MAX)?.contains(&told) {
            return Ok(Some(format!("generation {number} of {host} is not as the log says")));
        }
    }
    Ok(None)
}

/// A generation as a run's end tells of it.
pub(crate) fn generation(
    run: &str,
    end: &RunEnd,
    host: &str,
    number: u64,
    summary: &GenerationSummary,
) -> Generation {
    Generation {
        host: host.to_owned(),
        number,
        run: run.to_owned(),
        at: end.finished.clone(),
        summary: summary.clone(),
    }
}
