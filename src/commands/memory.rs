//! A run of one task that no file holds: `ansible -m`, `theseus facts`, and what is asked of a host's own record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::Json;
use expressions::{Origin, Value};
use playbook::ir::{Keywords, Play, Vars};
use playbook::load::Project;
use run::Recap;
use run::event::Sink;

use crate::arguments::Playing;
use crate::commands::record;
use crate::commands::stage::{self, Stage};
use crate::setup::{self, Base, Problem};

/// One task for the hosts of a pattern.
pub(crate) struct Errand<'a> {
    pub(crate) pattern: &'a str,
    /// `{module: arguments, …}`, as a task of a playbook is written.
    pub(crate) task: Json,
    pub(crate) playing: &'a Playing,
    pub(crate) dir: PathBuf,
    /// For the records.
    pub(crate) command: &'a str,
    /// It only looks: the ledger does not name it.
    pub(crate) looks: bool,
}

impl Errand<'_> {
    pub(crate) fn run(&self, base: &mut Base, sink: Box<dyn Sink>) -> Result<(Recap, u8), Problem> {
        let settings = setup::settings(self.playing, base, self.command)?;
        let stage = Stage::set(self.playing, settings, base, |base| self.project(base))?;
        let info = stage::run_info(&stage.settings, base);
        let record = if self.looks { stage::unrecorded() } else { record::begin(&info, &[]) };
        let performed = stage.perform(base, info, record, sink, &[])?;
        let (recap, outcome) = (performed.recap.clone(), performed.outcome.clone());
        let code = if outcome.is_err() { 1 } else { stage::exit_code(&recap) };
        performed.close(code);
        outcome?;
        Ok((recap, code))
    }

    fn project(&self, base: &Base) -> Result<Project, Problem> {
        let bare = Arc::new(bare_play("Ansible Ad-Hoc", self.pattern, &self.dir));
        let project = Project::of(vec![bare.clone()], base.load_options());
        let name = PathBuf::from("the command line");
        let loaded = project.task(&Json::Array(vec![self.task.clone()]).to_string(), &name, &bare)?;
        let mut play = (*bare).clone();
        play.tasks = loaded.nodes;
        Ok(Project::of(vec![Arc::new(play)], base.load_options()))
    }
}

/// A play that no file holds, without tasks yet.
pub(crate) fn bare_play(name: &str, hosts: &str, dir: &Path) -> Play {
    let origin = Arc::new(Origin::new(PathBuf::from("the command line"), 1, 1));
    Play {
        origin,
        name: Some(Value::from(name)),
        hosts: Value::from(hosts),
        keywords: Arc::new(Keywords::default()),
        gather_facts: Some(Value::Bool(false)),
        gather_subset: None,
        gather_timeout: None,
        fact_path: None,
        strategy: None,
        serial: Vec::new(),
        order: None,
        max_fail_percentage: None,
        force_handlers: None,
        vars: Arc::new(Vars::new()),
        vars_files: Vec::new(),
        vars_prompt: Vec::new(),
        pre_tasks: Vec::new(),
        roles: Vec::new(),
        tasks: Vec::new(),
        post_tasks: Vec::new(),
        handlers: Vec::new(),
        static_roles: Vec::new(),
        listed_roles: Vec::new(),
        dir: Arc::from(dir),
    }
}
