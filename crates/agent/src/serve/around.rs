//! What is done around the tasks of a run: which services ran before, what daemons wrote on request, the guard; and
//! at the end the layer, or its undoing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use catalog::Map;
use catalog::protocol::{Keep, RunInfo, Sealed, Undone};
use layer::{Recorder, history};
use serde_json::json;

use super::layer_run;
use super::shared::Shared;
use crate::host::bystanders::Bystanders;
use crate::host::guard::{self, Guard};
use crate::host::services::Running;
use crate::host::{housekeeping, undo};

pub(super) struct Around {
    state_dir: PathBuf,
    run: layer::Run,
    guard_seconds: u64,
    keep: Keep,
    begun: bool,
    bystanders: Option<Bystanders>,
    tell_drift: bool,
    keep_drifted: bool,
    /// Paths that somebody has changed since, and that stay so.
    kept: BTreeSet<PathBuf>,
    /// To be said with the first result.
    drifted: Option<String>,
    services: Running,
}

impl Around {
    pub(super) fn new(state_dir: PathBuf, run: &RunInfo) -> Self {
        // Only root's changes can shut root out.
        let root = rustix::process::geteuid().is_root();
        Self {
            state_dir,
            run: layer_run(run),
            guard_seconds: if root && !run.check { run.guard_seconds } else { 0 },
            keep: run.keep,
            begun: false,
            bystanders: None,
            tell_drift: run.tell_drift && !run.check,
            keep_drifted: run.keep_drifted && !run.check,
            kept: BTreeSet::new(),
            drifted: None,
            services: Running::default(),
        }
    }

    /// Before the first task that may change something.
    pub(super) fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            if self.tell_drift || self.keep_drifted {
                let found = drift::look::declared_drift(&self.state_dir).unwrap_or_default();
                self.drifted =
                    drifted(&self.state_dir, &found, self.keep_drifted).filter(|_| self.tell_drift);
                if self.keep_drifted {
                    self.kept = found.into_iter().map(|finding| finding.real_path).collect();
                }
            }
            self.bystanders = Bystanders::look();
            self.services = Running::look();
        }
    }

    /// What an undo changed is in its own layer.
    pub(super) fn undone(&mut self) {
        self.bystanders = Bystanders::look();
        self.services = Running::look();
    }

    /// After a task.
    pub(super) fn settle(&mut self, recorder: &mut Recorder, mark: usize, result: &mut Map, shared: &Shared) {
        if let Some(text) = self.drifted.take() {
            result.insert("drifted_before".to_owned(), json!(text));
        }
        let recorded = recorder.touched_since(mark);
        self.keep(recorder, &recorded, result);
        if let Some(bystanders) = &mut self.bystanders
            && let Err(error) = bystanders.settle(recorder, &recorded)
        {
            warn(result, format!("what systemd wrote for this task could not be recorded: {error}"));
        }
        let way_in = || recorded.iter().any(|path| guard::is_way_in(&path.to_string_lossy()));
        if self.guard_seconds > 0 && !shared.is_guarded() && way_in() {
            let to = history::head(&self.state_dir).unwrap_or_default();
            match Guard::arm(&self.state_dir, &self.run, to, self.guard_seconds) {
                Ok(guard) => shared.guard_with(guard),
                Err(error) => warn(result, format!("the guard could not be started: {error}")),
            }
        }
    }

    /// What a task did to paths that shall stay is taken back. Did it nothing else, then it changed nothing.
    fn keep(&self, recorder: &mut Recorder, recorded: &[PathBuf], result: &mut Map) {
        let touched: Vec<&PathBuf> = recorded.iter().filter(|path| self.kept.contains(*path)).collect();
        if touched.is_empty() {
            return;
        }
        let before = |path: &&PathBuf| {
            let step = recorder.steps().iter().rev().find(|step| step.path == **path)?;
            Some((step.path.clone(), step.before.clone()))
        };
        let states = touched.iter().filter_map(before).collect();
        let names: Vec<String> = touched.iter().map(|path| path.display().to_string()).collect();
        let names = names.join(", ");
        match recorder.bring(states, &[]) {
            Ok(_) => {
                let text = format!("{names}: left as somebody changed it (--on-drift keep)");
                result.insert("kept_drift".to_owned(), json!(text));
            }
            Err(error) => {
                result.insert("failed".to_owned(), json!(true));
                result
                    .insert("msg".to_owned(), json!(format!("{names} could not be kept as it was: {error}")));
            }
        }
        let only = recorded.iter().all(|path| touched.iter().any(|kept| kept.starts_with(path)));
        if only && result.contains_key("changed") {
            result.insert("changed".to_owned(), json!(false));
        }
    }

    /// The end of the run: its layer, put back if it shall be.
    pub(super) fn seal(
        self,
        mut recorder: Recorder,
        failed: bool,
        undo: bool,
        shared: &Shared,
    ) -> layer::Result<Sealed> {
        if self.begun {
            recorder.services(self.services.changes(&Running::look()));
        }
        let sealed = recorder.seal(failed)?;
        let mut end = Sealed { generation: sealed.generation, made: sealed.made, ..Sealed::default() };
        if undo && sealed.made {
            let to = sealed.generation.unwrap_or(1) - 1;
            let undone = self.undo(to);
            end.generation = history::head(&self.state_dir).ok().or(end.generation);
            end.undone = Some(undone);
            guard::disarm(&self.state_dir);
        } else if shared.is_guarded() {
            end.guarded = sealed.made && shared.extend_guard();
            if !sealed.made {
                guard::disarm(&self.state_dir);
            }
        }
        if sealed.made && self.keep != Keep::default() {
            // What cannot be removed now is removed after the next run.
            _ = housekeeping::tidy(&self.state_dir, self.keep);
        }
        Ok(end)
    }

    fn undo(&self, to: u64) -> Undone {
        let run = layer::Run { command: format!("on failure of: {}", self.run.command), ..self.run.clone() };
        undo::back_to(&self.state_dir, to, run).unwrap_or_else(|problem| Undone {
            to,
            problem: Some(problem),
            ..Undone::default()
        })
    }
}

/// Which files of earlier runs somebody has changed since, in one sentence.
fn drifted(state_dir: &std::path::Path, found: &[drift::Finding], kept: bool) -> Option<String> {
    const SHOWN: usize = 5;
    let names: Vec<&str> = found.iter().map(drift::Finding::name).collect();
    let (first, more) = (names.first()?, names.len().saturating_sub(SHOWN));
    let generation = history::head(state_dir).unwrap_or_default();
    let named = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = if names.len() == 1 { format!("{first} was") } else { format!("{named}{more} were") };
    let then = if kept { "this run leaves that so" } else { "what this run overwrites is kept in its layer" };
    Some(format!("{what} changed by somebody else since generation {generation}; {then}"))
}

fn warn(result: &mut Map, text: String) {
    match result.get_mut("warnings").and_then(|warnings| warnings.as_array_mut()) {
        Some(all) => all.push(json!(text)),
        None => _ = result.insert("warnings".to_owned(), json!([text])),
    }
}
