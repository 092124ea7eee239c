//! `theseus apply`, and the program under the name `ansible-playbook`.

use std::sync::Arc;

use link::RunInfo;
use parking_lot::Mutex;
use playbook::Diagnostic;
use playbook::load::Project;
use run::event::{Event, Sink};
use run::{Parts, Progress, Recap, Run};

use crate::arguments::Playing;
use crate::commands::{listing, record};
use crate::report::{self, Style};
use crate::setup::{self, Base, Problem};
use crate::terminal;

type Shared = Arc<Mutex<Box<dyn Sink>>>;

pub(crate) fn apply(playing: &Playing, style: Style, command: &str) -> u8 {
    let json = style.output == report::Output::Json;
    let mut base = match Base::new(&playing.given) {
        Ok(base) => base,
        Err(problem) => return terminal::show(&problem, &playbook::Sources::new(), json),
    };
    let outcome = go(playing, style, command, &mut base);
    match outcome {
        Ok(code) => code,
        Err(problem) => terminal::show(&problem, &base.sources, json),
    }
}

fn go(playing: &Playing, style: Style, command: &str, base: &mut Base) -> Result<u8, Problem> {
    let settings = setup::settings(playing, base, command)?;
    let style = Style {
        diff: settings.diff,
        verbosity: settings.verbosity,
        display_skipped: base.config.flag("DISPLAY_SKIPPED_HOSTS"),
        ..style
    };
    let inventory = base.inventory(&playing.hosts)?;
    let options = setup::run_options(&settings, base, &playing.hosts, &inventory);
    let progress = Arc::new(Progress::default());
    let variables = base.variables(inventory, options, progress.clone());
    let project = base.project(&playing.playbooks)?;
    refuse_unknown(&project)?;
    let dirs: Vec<_> = project.plays.iter().map(|p| p.dir.clone()).collect();
    let problems: Vec<Diagnostic> = variables.preload(&dirs).into_iter().filter(|d| !d.warning).collect();
    if !problems.is_empty() {
        return Err(Problem::Mistakes(problems));
    }
    if let Some(listed) = listing::list(playing, &project, &variables, &settings)? {
        print!("{listed}");
        return Ok(0);
    }
    let info = run_info(&settings, base);
    let record = record::begin(&info, &playing.playbooks);
    let sink: Shared = Arc::new(Mutex::new(record.watch(report::sink(style))));
    warn(&sink, base, &project, &variables);
    let say = sink.clone();
    let person =
        terminal::Person { say: Box::new(move |text| say.lock().event(&Event::Notice(text.to_owned()))) };
    for playbook in &playing.playbooks {
        sink.lock().event(&Event::Playbook { file: playbook.display().to_string() });
    }
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
    let (recap, outcome) = execute(&run)?;
    if style.verbosity >= 3 {
        let cost = run.counted();
        let text = format!(
            "round trips: {}, sent {} bytes, received {}",
            cost.round_trips, cost.sent, cost.received
        );
        sink.lock().event(&Event::Notice(text));
    }
    let code = finish(&run, &recap, outcome, base, style);
    record.end(&recap, code, &|text| sink.lock().event(&Event::Warning(text)));
    Ok(code)
}

/// A module that exists nowhere is refused before any host is touched; one that a collection or the project's own
/// `library` may hold fails only when its task is reached.
fn refuse_unknown(project: &Project) -> Result<(), Problem> {
    let mistakes: Vec<Diagnostic> = project
        .unknown_modules
        .iter()
        .filter(|unknown| {
            !unknown.name.contains('.')
                || unknown.name.starts_with("ansible.builtin.")
                || unknown.name.starts_with("ansible.legacy.")
        })
        .map(|unknown| {
            let mistake = Diagnostic::new(format!("there is no module or action `{}`", unknown.name))
                .at(&unknown.origin);
            match &unknown.suggestion {
                Some(near) => mistake.hint(format!("did you mean `{near}`?")),
                None => mistake.hint("check the spelling, or the indentation of the keywords beside it"),
            }
        })
        .collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Problem::Mistakes(mistakes)) }
}

fn warn(sink: &Shared, base: &Base, project: &Project, variables: &playbook::vars::Variables) {
    let of_files = variables.take_warnings();
    let mut sink = sink.lock();
    for warning in base.warnings.iter().chain(&project.warnings).chain(&of_files) {
        let place = warning.origin.as_ref().map(|o| format!(" ({o})")).unwrap_or_default();
        sink.event(&Event::Warning(format!("{}{place}", warning.message)));
    }
}

pub(crate) fn run_info(settings: &run::settings::Settings, base: &Base) -> RunInfo {
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

type Ended = (Recap, Result<(), Diagnostic>);

/// Run to the end, or to a clean stop by Ctrl-C.
pub(crate) fn execute(run: &Arc<Run>) -> Result<Ended, Problem> {
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

fn finish(run: &Run, recap: &Recap, outcome: Result<(), Diagnostic>, base: &Base, style: Style) -> u8 {
    let json = style.output == report::Output::Json;
    if let Err(problem) = outcome {
        return terminal::show(&problem.into(), &base.sources, json);
    }
    if !run.start_found() {
        let missing = Diagnostic::new("no task has the name given with --start-at-task; nothing was done");
        return terminal::show(&missing.into(), &base.sources, json);
    }
    exit_code(recap)
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
