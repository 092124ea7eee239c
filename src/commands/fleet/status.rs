//! What people and programs see of a fleet and its rollout.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fleet::controller::Store;
use fleet::engine::{Capacity, Health, Observation, State, Wait, report as waits};
use serde_json::{Value, json};

use crate::report::{self, Output, Style};
use crate::setup::Problem;

/// The object of a rollout, or of a fleet without one.
pub(crate) fn object(state: &State, seen: &Observation) -> Value {
    let capacity = Capacity::of(state, seen);
    let rollout = state.rollout.as_ref();
    let step = rollout.and_then(|rollout| {
        let step = rollout.current_step().filter(|_| rollout.stage.forward())?;
        Some(json!({"number": rollout.step + 1, "of": rollout.steps.len(), "name": step.name}))
    });
    let paused = rollout.is_some_and(|rollout| rollout.pause.is_some() && !rollout.stage.ended());
    let word = rollout.map_or("steady", |rollout| if paused { "paused" } else { rollout.stage.word() });
    json!({
        "event": "rollout",
        "fleet": state.spec.name,
        "from": rollout.and_then(|rollout| rollout.from.clone()),
        "to": rollout.map(|rollout| rollout.to.clone()).or_else(|| state.current.clone()),
        "state": word,
        "healthy": capacity.available,
        "total": capacity.total,
        "step": step,
        "id": rollout.map(|rollout| rollout.id.clone()),
        "plan": rollout.map(|rollout| rollout.plan.clone()),
        "cause": rollout.and_then(|rollout| rollout.cause.clone()).map(|cause| cause.why),
        "desired": state.desired,
        "generation": state.current,
    })
}

/// Prints a line whenever something has changed.
pub(crate) fn changed(state: &State, seen: &Observation, style: Style, shown: &mut String) {
    let line =
        if style.output == Output::Json { object(state, seen).to_string() } else { sentence(state, seen) };
    if line == *shown {
        return;
    }
    shown.clone_from(&line);
    if style.output == Output::Json {
        report::json_line(object(state, seen));
    } else {
        println!("{line}");
    }
}

/// How a fleet is, in one line; for whoever has not looked at it for long.
pub(crate) fn headline(state: &State, seen: &Observation) -> String {
    sentence(&counted(state), seen)
}

fn sentence(state: &State, seen: &Observation) -> String {
    let capacity = Capacity::of(state, seen);
    let mut cohorts: BTreeMap<String, u32> = BTreeMap::new();
    for member in state.members.values() {
        *cohorts.entry(member.generation.to_string()).or_default() += 1;
    }
    let cohorts: Vec<String> = cohorts.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
    let mut text = format!("{}: ", state.spec.name);
    if let Some(rollout) = &state.rollout {
        let _ = write!(text, "{} ", rollout.stage.word().replace('_', " "));
        if let Some(step) = rollout.current_step().filter(|_| rollout.stage.forward()) {
            let _ = write!(text, "{}/{} ({}) ", rollout.step + 1, rollout.steps.len(), step.name);
        }
    }
    let _ = write!(text, "{} of {} healthy, {} members", capacity.available, state.desired, capacity.total);
    if !cohorts.is_empty() {
        let _ = write!(text, ": {}", cohorts.join(", "));
    }
    if let Some(cause) = state.rollout.as_ref().and_then(|rollout| rollout.cause.as_ref()) {
        let _ = write!(text, "; because {}", cause.why);
    }
    text
}

/// `fleet status`: all fleets of the project, or one.
pub(crate) fn all(only: Option<&str>, style: Style) -> Result<u8, Problem> {
    let store = Store::open(super::ground::folder()?)?;
    let names = match only {
        Some(name) => vec![name.to_owned()],
        None => store.fleets()?,
    };
    if names.is_empty() && style.output != Output::Json {
        println!("no fleets; `theseus fleet up NAME` starts one of theseus.yml");
    }
    for name in names {
        one(&store, &name, style)?;
    }
    Ok(0)
}

/// One fleet as the journal and the controller's last look have it.
pub(crate) fn one(store: &Store, name: &str, style: Style) -> Result<Option<State>, Problem> {
    let Some(state) = store.state(name)? else {
        return Err(Problem::Other(format!("fleet {name} was never up")));
    };
    let shown = store.shown(name)?;
    let seen: Observation = shown
        .as_ref()
        .and_then(|(_, body)| serde_json::from_value(body["seen"].clone()).ok())
        .unwrap_or_default();
    let waiting: Vec<Wait> = waits(&state, &seen);
    let at_work = store.at_work(name)?;
    let counted = counted(&state);
    if style.output == Output::Json {
        let mut line = object(&counted, &seen);
        line["members"] = members(&state, &seen);
        line["waits"] = json!(waiting);
        line["controller"] = json!(at_work);
        report::json_line(line);
        return Ok(Some(state));
    }
    println!("{}", sentence(&counted, &seen));
    for member in state.members.values() {
        let found = seen.members.get(&member.id);
        let health = match found.map(|found| found.health) {
            Some(Health::Healthy) => "healthy",
            Some(Health::Sick) => "sick",
            _ => "unknown",
        };
        let weight = found.and_then(|found| found.weight).unwrap_or(0);
        let zone = member.zone.as_ref().map(|zone| format!("  zone {zone}")).unwrap_or_default();
        println!(
            "  {:<14} {:<12} {:<10} {health:<8} weight {weight:>3}{zone}",
            member.id,
            member.generation,
            member.phase.word()
        );
    }
    for wait in &waiting {
        println!("  {}", words(wait));
    }
    if at_work.is_none() && state.active().is_some() {
        println!("  no controller is at work; `theseus rollout resume {name}` goes on");
    }
    Ok(Some(state))
}

/// The journal does not keep for how long somebody has been healthy: the last look says that it was.
fn counted(state: &State) -> State {
    let mut counted = state.clone();
    for member in counted.members.values_mut() {
        member.healthy_since = Some(0);
    }
    counted
}

fn members(state: &State, seen: &Observation) -> Value {
    let all = state.members.values().map(|member| {
        let found = seen.members.get(&member.id);
        json!({
            "member": member.id, "generation": member.generation, "zone": member.zone, "phase": member.phase,
            "since": member.since, "health": found.map(|found| found.health), "weight": found.and_then(|found| found.weight),
        })
    });
    all.collect()
}

fn time(millis: u64) -> String {
    let at = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    at.map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string())
        .unwrap_or_default()
}

pub(crate) fn words(wait: &Wait) -> String {
    let mut text = format!("{}: {}, since {}", wait.what, wait.why, time(wait.since));
    if let Some(until) = wait.until {
        let _ = write!(text, ", until {} at most", time(until));
    }
    if let Some(command) = &wait.command {
        let _ = write!(text, "; {command}");
    }
    text
}
