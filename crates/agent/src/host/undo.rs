//! Putting a host back to a generation: its files by the layer room, then its services.

use std::path::{Path, PathBuf};

use catalog::Map;
use catalog::protocol::Undone;
use layer::history::{self, Conflict, Options, Report};
use serde_json::json;

use super::services;
use crate::module::{Failure, Task};

/// What a person asks for.
pub(crate) struct Wish<'a> {
    /// `None`: the generation before the newest.
    pub(crate) to: Option<u64>,
    pub(crate) force: bool,
    /// Only say what would be done.
    pub(crate) check: bool,
    /// Empty: all.
    pub(crate) paths: &'a [String],
}

/// `theseus rollback`, as a task: what it told, and whether it changed anything.
pub(crate) fn by_task(
    task: &mut Task<'_>,
    state_dir: &Path,
    wish: &Wish<'_>,
) -> Result<(Map, bool), Failure> {
    let head = history::head(state_dir)?;
    if head == 0 {
        return Err("there is nothing to put back: this host was never changed by this user".into());
    }
    let to = wish.to.unwrap_or(head - 1);
    let only = (!wish.paths.is_empty()).then(|| wish.paths.iter().map(PathBuf::from).collect());
    let options = Options { to, force: wish.force, only };
    let mut told = Map::new();
    told.insert("to".to_owned(), json!(to));
    if wish.check {
        let plan = history::plan(state_dir, &options)?;
        told.insert("paths".to_owned(), json!(shown(&plan.paths)));
        told.insert("irreversible".to_owned(), json!(plan.irreversible));
        say_conflicts(&mut told, &plan.conflicts, wish.force);
        let refused = !plan.conflicts.is_empty() && !wish.force;
        return Ok((told, !refused && !plan.paths.is_empty()));
    }
    let report = history::undo(state_dir, &options, task.recorder.run().clone())?;
    let (services, problems) = services::put_back(&report.services, &report.restored);
    told.insert("paths".to_owned(), json!(shown(&report.restored)));
    told.insert("services".to_owned(), json!(services));
    told.insert("problems".to_owned(), json!(problems));
    told.insert("irreversible".to_owned(), json!(report.irreversible));
    told.insert("generation".to_owned(), json!(report.generation.unwrap_or(head)));
    say_conflicts(&mut told, &report.conflicts, wish.force);
    Ok((told, report.generation.is_some()))
}

fn say_conflicts(told: &mut Map, conflicts: &[Conflict], force: bool) {
    let all: Vec<String> = conflicts
        .iter()
        .map(|conflict| {
            let kept = conflict.kept.map(|digest| format!(", kept as {digest}")).unwrap_or_default();
            format!("{} ({}{kept})", conflict.path.display(), conflict.what.join(", "))
        })
        .collect();
    let key = if force { "kept" } else { "conflicts" };
    told.insert("refused".to_owned(), json!(!force && !all.is_empty()));
    told.insert(key.to_owned(), json!(all));
}

/// Without a person: after a failure, or by the guard. What somebody changed since is kept in the store.
pub(crate) fn back_to(state_dir: &Path, to: u64, run: layer::Run) -> Result<Undone, String> {
    let options = Options { to, force: true, only: None };
    let Report { restored, irreversible, services, .. } =
        history::undo(state_dir, &options, run).map_err(|error| error.to_string())?;
    let (services, problems) = services::put_back(&services, &restored);
    let problem = (!problems.is_empty()).then(|| problems.join("; "));
    Ok(Undone { to, paths: shown(&restored), services, irreversible, problem })
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

/// A run that never ended is put back. In words: what was done.
pub(crate) fn recover(state_dir: &Path) -> Result<Vec<String>, String> {
    let recovered = history::recover(state_dir).map_err(|error| error.to_string())?;
    let mut said = Vec::new();
    for interrupted in recovered.runs {
        let (services, problems) = services::put_back(&[], &interrupted.restored);
        let mut text = format!(
            "the run {} ({}) never ended: {} paths were put back, the host is at generation {}",
            interrupted.run.run,
            interrupted.run.command,
            interrupted.restored.len(),
            recovered.generation
        );
        for (title, all) in [
            ("services", services),
            ("not possible", problems),
            ("left, because changed since", shown(&interrupted.left)),
            ("cannot be taken back", interrupted.irreversible),
        ] {
            if !all.is_empty() {
                text.push_str(&format!("; {title}: {}", all.join(", ")));
            }
        }
        said.push(text);
    }
    Ok(said)
}

/// At each contact. Where another run is at work there is nothing to recover.
pub(crate) fn recover_if_free(state_dir: &Path) -> Vec<String> {
    if !is_free(state_dir) {
        return Vec::new();
    }
    recover(state_dir)
        .unwrap_or_else(|problem| vec![format!("an unfinished run could not be put back: {problem}")])
}

/// Nobody works there now: a journal, if there is one, is of a run that ended.
fn is_free(state_dir: &Path) -> bool {
    let Ok(lock) = std::fs::File::open(state_dir.join("lock")) else { return false };
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

pub(crate) fn rfc3339() -> String {
    jiff::Timestamp::now().to_string()
}
