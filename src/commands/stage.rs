//! From what was typed to a run that can begin, and the run itself: the same for playbooks and for errands.

use std::path::PathBuf;
use std::sync::Arc;

use link::RunInfo;
use parking_lot::Mutex;
use playbook::Diagnostic;
use playbook::load::Project;
use playbook::vars::Variables;
use run::event::{Event, Sink};
use run::settings::Settings;
use run::{Parts, Progress, Recap, Run};

use crate::arguments::Playing;
use crate::commands::record::{self, Record};
use crate::setup::{self, Base, Problem};
use crate::terminal;

pub(crate) type Shared = Arc<Mutex<Box<dyn Sink>>>;

/// Everything that was read, before any host is touched.
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) project: Project,
    pub(crate) variables: Arc<Variables>,
    progress: Arc<Progress>,
    reread: run::Reread,
}

/// A run, and what came of it.
pub(crate) struct Performed {
    pub(crate) run: Arc<Run>,
    pub(crate) sink: Shared,
    pub(crate) recap: Recap,
    pub(crate) outcome: Result<(), Diagnostic>,
    record: Record,
}

impl Stage {
    pub(crate) fn set(
        playing: &Playing,
        settings: Settings,
        base: &mut Base,
        project: impl FnOnce(&Base) -> Result<Project, Problem>,
    ) -> Result<Self, Problem> {
        let inventory = base.inventory(&playing.hosts)?;
        let reread = base.rereader(&playing.hosts);
        let options = setup::run_options(&settings, base, &playing.hosts, &inventory);
        let progress = Arc::new(Progress::default());
        let variables = base.variables(inventory, options, progress.clone());
        if playing.flush_cache {
            variables.flush_cache();
        }
        let project = project(base)?;
        let dirs: Vec<_> = project.plays.iter().map(|p| p.dir.clone()).collect();
        let mistakes: Vec<Diagnostic> =
            variables.preload(&dirs).into_iter().filter(|mistake| !mistake.warning).collect();
        if mistakes.is_empty() {
            Ok(Self { settings, project, variables, progress, reread })
        } else {
            Err(Problem::Mistakes(mistakes))
        }
    }

    /// Run it to the end, or to a clean stop by Ctrl-C.
    pub(crate) fn perform(
        self,
        base: &Base,
        info: RunInfo,
        record: Record,
        shown: Box<dyn Sink>,
        playbooks: &[PathBuf],
    ) -> Result<Performed, Problem> {
        let sink: Shared = Arc::new(Mutex::new(record.watch(shown)));
        self.warn(&sink, base);
        let say = sink.clone();
        let person =
            terminal::Person { say: Box::new(move |text| say.lock().event(&Event::Notice(text.to_owned()))) };
        for playbook in playbooks {
            sink.lock().event(&Event::Playbook { file: playbook.display().to_string() });
        }
        let info = RunInfo { directory: self.directory(base), ..info };
        let run = Run::new(Parts {
            settings: self.settings,
            project: self.project,
            vault: base.vault.clone(),
            variables: self.variables,
            progress: self.progress,
            info,
            notices: Arc::new(person),
            sink: sink.clone(),
            asker: terminal::asker(),
            reread: self.reread,
        });
        let (recap, outcome) = execute(&run)?;
        Ok(Performed { run, sink, recap, outcome, record })
    }

    /// Tasks on the controller itself begin where their playbook lies.
    fn directory(&self, base: &Base) -> String {
        let dir = self.project.plays.first().map_or(base.cwd.clone(), |play| play.dir.to_path_buf());
        base.cwd.join(dir).display().to_string()
    }

    fn warn(&self, sink: &Shared, base: &Base) {
        let of_files = self.variables.take_warnings();
        let mut sink = sink.lock();
        if let Err(problem) = playbook::vars::FactCache::new(&base.config) {
            sink.event(&Event::Warning(problem));
        }
        for warning in base.warnings.iter().chain(&self.project.warnings).chain(&of_files) {
            let place = warning.origin.as_ref().map(|o| format!(" ({o})")).unwrap_or_default();
            sink.event(&Event::Warning(format!("{}{place}", warning.message)));
        }
    }
}

impl Performed {
    /// Write the record's end.
    pub(crate) fn close(self, code: u8) {
        let sink = self.sink;
        self.record.end(&self.recap, code, &|text| sink.lock().event(&Event::Warning(text)));
    }
}

pub(crate) fn run_info(settings: &Settings, base: &Base) -> RunInfo {
    let now = jiff::Timestamp::now();
    RunInfo {
        run: format!("{}-{}", now.strftime("%Y%m%dT%H%M%S"), std::process::id()),
        person: settings.person.clone(),
        command: settings.command.clone(),
        project: base.cwd.display().to_string(),
        started: now.to_string(),
        check: settings.check,
        ..RunInfo::default()
    }
}

/// For what only reads.
pub(crate) fn unrecorded() -> Record {
    record::none()
}

type Ended = (Recap, Result<(), Diagnostic>);

fn execute(run: &Arc<Run>) -> Result<Ended, Problem> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("threads cannot be started: {e}"))?;
    let ended = runtime.block_on(async {
        let stop = run.clone();
        let signals = tokio::spawn(async move {
            if interrupted().await.is_ok() {
                stop.interrupt();
                // A second one does not wait for hosts.
                if interrupted().await.is_ok() {
                    std::process::exit(99);
                }
            }
        });
        let ended = run.apply().await;
        signals.abort();
        ended
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    Ok(ended)
}

/// Ctrl-C or a request to end.
async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = end.recv() => {}
    }
    Ok(())
}

pub(crate) fn exit_code(recap: &Recap) -> u8 {
    if recap.interrupted {
        99
    } else if recap.hosts.values().any(|c| c.failed > 0) {
        2
    } else if recap.hosts.values().any(|c| c.unreachable > 0) {
        4
    } else {
        0
    }
}
