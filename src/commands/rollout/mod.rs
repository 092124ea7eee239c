//! `theseus rollout`: bringing a fleet to another image without downtime, and back.

mod plan;
mod watch;

use fleet::controller::Store;
use fleet::engine::{Command, Generation, Observation, PauseWhy, Start, State};

use crate::arguments::{self, RolloutAction, RolloutStart};
use crate::commands::fleet::ground::{Ground, folder};
use crate::commands::fleet::{drive, status};
use crate::report::{Output, Style};
use crate::setup::Problem;
use crate::terminal;

pub(crate) fn rollout(asked: &arguments::Rollout, style: Style) -> u8 {
    let done = match &asked.action {
        RolloutAction::Plan { fleet } => plan::show(fleet, style),
        RolloutAction::Start(start) => self::start(start, style),
        RolloutAction::Status { fleet, watch } => self::status(fleet, *watch, style),
        RolloutAction::Pause { fleet } => ask(fleet, Command::Pause, style, |_, _| Some(0)),
        RolloutAction::Resume { fleet } => ask(fleet, Command::Resume, style, over),
        RolloutAction::Abort { fleet } => ask(fleet, Command::Abort, style, over),
        RolloutAction::Back { fleet } => ask(fleet, Command::Back, style, over),
        RolloutAction::Approve { fleet, step, plan } => approve(fleet, *step, plan.clone(), style),
        RolloutAction::Forgive { fleet, generation } => {
            let generation = Generation::from(generation.as_str());
            ask(fleet, Command::Forgive { generation }, style, |_, _| Some(0))
        }
    };
    done.unwrap_or_else(|problem| {
        terminal::show(&problem, &playbook::Sources::new(), style.output == Output::Json)
    })
}

/// The exit code, once nothing more happens without a person.
fn over(state: &State, _: &Observation) -> Option<u8> {
    let rollout = state.rollout.as_ref()?;
    if rollout.stage.ended() {
        return Some(rollout.stage.exit());
    }
    let approval = rollout.pause.as_ref().is_some_and(|pause| matches!(pause.why, PauseWhy::Approval(_)));
    approval.then_some(4)
}

fn ask(
    name: &str,
    command: Command,
    style: Style,
    over: impl Fn(&State, &Observation) -> Option<u8>,
) -> Result<u8, Problem> {
    let mut ground = Ground::of(name)?;
    ground.ensure_proxy()?;
    let number = ground.ask(command)?;
    drive::until(&ground, number, style, over)
}

fn start(asked: &RolloutStart, style: Style) -> Result<u8, Problem> {
    let mut ground = Ground::of(&asked.fleet)?;
    ground.ensure_proxy()?;
    if !asked.strategy.is_empty() {
        let fleet = &mut ground.fleet;
        fleet.go_by(&asked.strategy).map_err(Problem::Options)?;
        fleet.spec.check().map_err(|why| Problem::Options(format!("fleet {}: {why}", asked.fleet)))?;
    }
    let spec = Box::new(ground.fleet.spec.clone());
    let plan = fleet::engine::plan(&spec);
    ground.ask(Command::Define { spec })?;
    let start = Start {
        to: ground.generation(&asked.to)?,
        from: None,
        plan,
        force: asked.force,
        from_unhealthy: asked.from_unhealthy,
    };
    let number = ground.ask(Command::Start { start: Box::new(start) })?;
    drive::until(&ground, number, style, over)
}

fn approve(name: &str, step: usize, plan: Option<String>, style: Style) -> Result<u8, Problem> {
    let Some(step) = step.checked_sub(1) else {
        return Err(Problem::Options("steps are counted from 1".to_owned()));
    };
    let ground = Ground::of(name)?;
    let current = ground.state()?.and_then(|state| state.rollout).map(|rollout| rollout.plan);
    let plan = plan.or(current).ok_or_else(|| Problem::Other("there is no rollout".to_owned()))?;
    ask(name, Command::Approve { step, plan }, style, over)
}

fn status(name: &str, watch: bool, style: Style) -> Result<u8, Problem> {
    let store = Store::open(folder()?)?;
    if watch {
        return watch::watch(&store, name, style);
    }
    status::one(&store, name, style).map(|_| 0)
}
