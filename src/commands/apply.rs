//! `theseus apply`, and the program under the name `ansible-playbook`.

use std::sync::Arc;

use link::RunInfo;
use playbook::Diagnostic;
use playbook::health::{self, Check};
use playbook::ir::Play;
use playbook::load::Project;
use run::event::Event;
use run::settings::Settings;

use crate::arguments::{OnDrift, OnFailure, Own, Playing};
use crate::commands::callbacks;
use crate::commands::memory::bare_play;
use crate::commands::stage::{self, Performed, Stage};
use crate::commands::{ahead, effect, listing, plan, record};
use crate::report::{self, Style};
use crate::setup::{self, Base, Problem};
use crate::terminal;

/// Until when somebody must have come in anew, if nobody says otherwise.
const GUARD: u64 = 60;

pub(crate) fn apply(playing: &Playing, own: &Own, style: Style, command: &str) -> u8 {
    if let [one] = playing.playbooks.as_slice()
        && plan::is_plan(one)
    {
        return plan::apply(playing, own, style, command);
    }
    effect::with_base(&playing.given, style, |base| go(playing, own, style, command, base))
}

/// A limit that no host of the inventory meets is a mistake.
fn hosts_are_left(limit: Option<&str>, inventory: &playbook::inventory::Inventory) -> Result<(), Problem> {
    let Some(limit) = limit else { return Ok(()) };
    if inventory.select("all", None)?.is_empty() || !inventory.select("all", Some(limit))?.is_empty() {
        return Ok(());
    }
    let problem =
        format!("--limit {limit} leaves us with no hosts to target: the inventory has none that it means");
    Err(playbook::Diagnostic::new(problem)
        .hint("`--list-hosts` without the limit shows what there is")
        .into())
}

pub(crate) fn go(
    playing: &Playing,
    own: &Own,
    style: Style,
    command: &str,
    base: &mut Base,
) -> Result<u8, Problem> {
    if own.on_drift == Some(OnDrift::Stop) && ahead::has_drifted(playing, base, command)? {
        return Ok(1);
    }
    let mut settings = setup::settings(playing, base, command)?;
    settings.undo_on_failure = match own.on_failure {
        Some(wish) => wish == OnFailure::Rollback,
        None => base.definition.undo_on_failure,
    } && !settings.check;
    let style = Style {
        verbosity: settings.verbosity,
        display_skipped: base.config.flag("DISPLAY_SKIPPED_HOSTS"),
        custom_stats: base.config.flag("SHOW_CUSTOM_STATS"),
        ..style
    };
    let mut checks = base.definition.checks.clone();
    for text in &own.health {
        checks.push(Check::parse(text).map_err(Problem::Options)?);
    }
    let stage = Stage::set(playing, settings, base, |base| {
        let mut project = base.project(&playing.playbooks)?;
        add_health(&mut project, base, &checks, Health::AroundChange)?;
        refuse_unknown(&project)?;
        Ok(project)
    })?;
    hosts_are_left(playing.hosts.limit.as_deref(), &stage.variables.inventory())?;
    if let Some(listed) = listing::list(playing, &stage.project, &stage.variables, &stage.settings)? {
        print!("{listed}");
        return Ok(0);
    }
    let info = RunInfo {
        tell_drift: style.output != report::Output::Ansible,
        ..run_info(&stage.settings, own, base)
    };
    let record = record::begin(&info, &playing.playbooks);
    let sink = callbacks::sink(style, own, base);
    let performed = stage.perform(base, info, record, sink, &playing.playbooks)?;
    if style.verbosity >= 3 {
        say_cost(&performed);
    }
    let code = code(&performed, base, style);
    performed.close(code);
    Ok(code)
}

fn run_info(settings: &Settings, own: &Own, base: &Base) -> RunInfo {
    RunInfo {
        unwatched: own.no_witness,
        undo_when_lost: settings.undo_on_failure,
        keep_drifted: own.on_drift == Some(OnDrift::Keep),
        guard_seconds: own.guard.or(base.definition.guard_seconds).unwrap_or(GUARD),
        keep: base.definition.keep,
        ..stage::run_info(settings, base)
    }
}

fn say_cost(performed: &Performed) {
    let cost = performed.run.counted();
    let text =
        format!("round trips: {}, sent {} bytes, received {}", cost.round_trips, cost.sent, cost.received);
    performed.sink.lock().event(&Event::Notice(text));
}

/// Which health checks are added to the plays of a project.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// A first play and a last one: what failed before the change already is told apart.
    AroundChange,
    /// A last play: all of them hold.
    AtTheEnd,
}

/// The health checks of `theseus.yml` and of flags, for every host of the plays.
pub(crate) fn add_health(
    project: &mut Project,
    base: &Base,
    checks: &[Check],
    which: Health,
) -> Result<(), Problem> {
    let patterns: Vec<String> = project.plays.iter().map(|play| pattern(play)).collect();
    let name = std::path::Path::new("the health checks");
    let (mut first, mut last) = (None, None);
    if !checks.is_empty() && which == Health::AroundChange {
        let (before, after) = health::tasks(checks);
        (first, last) = (Some(before), Some(after));
    } else if !checks.is_empty() {
        last = Some(health::holding(checks));
    }
    let (before, after) = match (&base.definition.health, which) {
        (Some(tasks), Health::AroundChange) => {
            let (before, after) = health::around(tasks);
            (Some(before), Some(after))
        }
        (tasks, _) => (None, tasks.clone()),
    };
    for (text, tasks, title) in [(first, before, "health before"), (last, after, "health")] {
        if text.is_none() && tasks.is_none() {
            continue;
        }
        let mut play = bare_play(title, &patterns.join(":"), &base.cwd);
        let around = Arc::new(play.clone());
        if let Some(text) = text {
            play.tasks.extend(project.task(&text, name, &around)?.nodes);
        }
        if let Some(tasks) = tasks {
            let loaded = project.tasks(&tasks, &around)?;
            play.tasks.extend(loaded.nodes);
            project.unknown_modules.extend(loaded.unknown_modules);
        }
        let at = if title == "health" { project.plays.len() } else { 0 };
        project.plays.insert(at, Arc::new(play));
    }
    Ok(())
}

pub(crate) fn pattern(play: &Play) -> String {
    match &play.hosts {
        expressions::Value::List(list) => {
            let all: Vec<String> =
                list.raw_items().iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
            all.join(":")
        }
        one => one.as_str().unwrap_or("all").to_owned(),
    }
}

/// A module that exists nowhere is refused before any host is touched; a real one that Theseus lacks, or one that a
/// collection may hold, fails only when its task is reached.
pub(crate) fn refuse_unknown(project: &Project) -> Result<(), Problem> {
    let mistakes: Vec<Diagnostic> = project
        .unknown_modules
        .iter()
        .filter(|unknown| !playbook::load::is_real(&unknown.name))
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

fn code(performed: &Performed, base: &Base, style: Style) -> u8 {
    let json = style.output == report::Output::Json;
    if let Err(problem) = &performed.outcome {
        return terminal::show(&problem.clone().into(), &base.sources, json);
    }
    if !performed.run.start_found() {
        let missing = Diagnostic::new("no task has the name given with --start-at-task; nothing was done");
        return terminal::show(&missing.into(), &base.sources, json);
    }
    stage::exit_code(&performed.recap)
}
