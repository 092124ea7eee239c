//! `theseus fleet`: members that can be replaced.

pub(crate) mod drive;
pub(crate) mod ground;
pub(crate) mod status;

use fleet::engine::{Capacity, Command, State};

use crate::arguments::{self, FleetAction};
use crate::report::{Output, Style};
use crate::setup::Problem;
use crate::terminal;
use ground::Ground;

pub(crate) fn fleet(asked: &arguments::Fleet, style: Style) -> u8 {
    let done = match &asked.action {
        FleetAction::Up { fleet, stay } => up(fleet, *stay, style),
        FleetAction::Status { fleet } => status::all(fleet.as_deref(), style),
        FleetAction::Scale { fleet, members } => scale(fleet, *members, style),
        FleetAction::Down { fleet } => down(fleet, style),
    };
    done.unwrap_or_else(|problem| {
        terminal::show(&problem, &playbook::Sources::new(), style.output == Output::Json)
    })
}

/// So many members that fail in a row are enough for somebody who waits.
const FAILURES: u32 = 5;

fn complete(state: &State, seen: &fleet::engine::Observation) -> bool {
    let capacity = Capacity::of(state, seen);
    state.active().is_none() && capacity.available >= state.desired && capacity.moving == state.desired
}

fn up(name: &str, stay: bool, style: Style) -> Result<u8, Problem> {
    let mut ground = Ground::of(name)?;
    ground.ensure_proxy()?;
    let spec = Box::new(ground.fleet.spec.clone());
    ground.ask(Command::Define { spec })?;
    let generation = match ground.current()? {
        Some(current) => current,
        None => ground.generation(&ground.fleet.image.0)?,
    };
    let number = ground.ask(Command::Up { generation })?;
    drive::until(&ground, number, style, |state, seen| {
        if stay {
            return None;
        }
        if state.failures >= FAILURES {
            let why = state.held.as_ref().map_or("members fail", |(_, why)| why);
            eprintln!("given up: {why}");
            return Some(3);
        }
        complete(state, seen).then_some(0)
    })
}

fn scale(name: &str, members: u32, style: Style) -> Result<u8, Problem> {
    let mut ground = Ground::of(name)?;
    let number = ground.ask(Command::Scale { members })?;
    drive::until(&ground, number, style, |state, seen| {
        (complete(state, seen) || state.active().is_some()).then_some(0)
    })
}

fn down(name: &str, style: Style) -> Result<u8, Problem> {
    let mut ground = Ground::of(name)?;
    if !ground.fleet.spec.slots.is_empty() {
        ground.stop_proxy();
        println!("{name}: its servers stay as they are; its balancer, if it had one of its own, has ended");
        return Ok(0);
    }
    let number = ground.ask(Command::Down)?;
    let code = drive::until(&ground, number, style, |state, seen| {
        (state.members.is_empty() && seen.members.is_empty()).then_some(0)
    })?;
    ground.stop_proxy();
    Ok(code)
}
