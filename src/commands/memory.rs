//! A run of one task that no file holds: `ansible -m`, `theseus facts`.

use std::path::PathBuf;
use std::sync::Arc;

use catalog::Json;
use expressions::{Origin, Value};
use link::RunInfo;
use parking_lot::Mutex;
use playbook::ir::{Keywords, Play, Vars};
use playbook::load::Project;
use run::event::{Event, Sink};
use run::{Parts, Progress, Recap, Run};

use crate::arguments::Playing;
use crate::commands::{apply, record};
use crate::setup::{self, Base, Problem};
use crate::terminal;

/// One task for the hosts of a pattern.
pub(crate) struct Errand<'a> {
    pub(crate) pattern: &'a str,
    /// `{module: arguments, …}`, as a task of a playbook is written.
    pub(crate) task: Json,
    pub(crate) playing: &'a Playing,
    pub(crate) dir: PathBuf,
    /// For the records.
    pub(crate) command: &'a str,
}

impl Errand<'_> {
    pub(crate) fn run(&self, base: &mut Base, sink: Box<dyn Sink>) -> Result<(Recap, u8), Problem> {
        let settings = setup::settings(self.playing, base, self.command)?;
        let inventory = base.inventory(&self.playing.hosts)?;
        let options = setup::run_options(&settings, base, &self.playing.hosts, &inventory);
        let progress = Arc::new(Progress::default());
        let variables = base.variables(inventory, options, progress.clone());
        let project = self.project(base)?;
        let dirs: Vec<_> = project.plays.iter().map(|p| p.dir.clone()).collect();
        let mistakes: Vec<_> = variables.preload(&dirs).into_iter().filter(|d| !d.warning).collect();
        if !mistakes.is_empty() {
            return Err(Problem::Mistakes(mistakes));
        }
        let info: RunInfo = apply::run_info(&settings, base);
        let record = record::begin(&info, &[]);
        let sink = Arc::new(Mutex::new(record.watch(sink)));
        for warning in base.warnings.iter().chain(&variables.take_warnings()) {
            sink.lock().event(&Event::Warning(warning.message.clone()));
        }
        let say = sink.clone();
        let person =
            terminal::Person { say: Box::new(move |text| say.lock().event(&Event::Notice(text.to_owned()))) };
        let run = Run::new(Parts {
            settings,
            project,
            vault: base.vault.clone(),
            variables,
            progress,
            info,
            notices: Arc::new(person),
            sink: sink.clone(),
            asker: terminal::asker(),
        });
        let (recap, outcome) = apply::execute(&run)?;
        let code = if outcome.is_err() { 1 } else { apply::exit_code(&recap) };
        record.end(&recap, code, &|text| sink.lock().event(&Event::Warning(text)));
        outcome?;
        Ok((recap, code))
    }

    fn project(&self, base: &Base) -> Result<Project, Problem> {
        let bare = Arc::new(self.play());
        let project = Project::of(vec![bare.clone()], base.load_options());
        let name = PathBuf::from("the command line");
        let loaded = project.task(&Json::Array(vec![self.task.clone()]).to_string(), &name, &bare)?;
        let mut play = (*bare).clone();
        play.tasks = loaded.nodes;
        Ok(Project::of(vec![Arc::new(play)], base.load_options()))
    }

    fn play(&self) -> Play {
        let origin = Arc::new(Origin::new(PathBuf::from("the command line"), 1, 1));
        Play {
            origin,
            name: Some(Value::from("Ansible Ad-Hoc")),
            hosts: Value::from(self.pattern),
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
            dir: Arc::from(self.dir.as_path()),
        }
    }
}
