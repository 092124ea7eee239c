//! `theseus rollout status --watch`: members as a grid, old and new, gates, requests and errors, as they change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use fleet::controller::Store;
use fleet::engine::{Generation, Member, Observation, Phase, State};
use fleet::traffic::Server;

use crate::commands::fleet::status;
use crate::report::{Output, Style};
use crate::setup::Problem;

const PASS: Duration = Duration::from_millis(500);
/// Members in a line of the grid.
const WIDE: usize = 40;
/// So many answers of a gate are shown.
const ANSWERS: usize = 20;

/// What the balancer has counted for one generation.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    errors: u64,
    millis: u64,
}

type Counts = BTreeMap<Generation, Count>;

/// Until the rollout has ended; its exit code.
pub(super) fn watch(store: &Store, name: &str, style: Style) -> Result<u8, Problem> {
    let (mut before, mut shown) = (Counts::new(), String::new());
    loop {
        let state = if style.output == Output::Json {
            status::one(store, name, style)?
        } else {
            let Some(state) = store.state(name)? else {
                return Err(Problem::Other(format!("fleet {name} was never up")));
            };
            let counts = show(store, &state, &before, style, &mut shown)?;
            before = counts;
            Some(state)
        };
        let stage = state.and_then(|state| state.rollout).map(|rollout| rollout.stage);
        if let Some(stage) = stage.filter(|stage| stage.ended()) {
            return Ok(stage.exit());
        }
        std::thread::sleep(PASS);
    }
}

/// On a terminal the picture stands still; elsewhere it is printed when it has changed.
fn show(
    store: &Store,
    state: &State,
    before: &Counts,
    style: Style,
    shown: &mut String,
) -> Result<Counts, Problem> {
    let body = store.shown(&state.spec.name)?.map(|(_, body)| body).unwrap_or_default();
    let seen: Observation = serde_json::from_value(body["seen"].clone()).unwrap_or_default();
    let servers: BTreeMap<String, Server> =
        serde_json::from_value(body["servers"].clone()).unwrap_or_default();
    let counts = counted(state, &servers);
    let mut text = status::headline(state, &seen);
    text.push('\n');
    for generation in generations(state) {
        text.push_str(&cohort(state, &generation, style));
        text.push_str(&traffic(counts.get(&generation), before.get(&generation)));
        text.push('\n');
    }
    text.push_str(&gates(state));
    for wait in fleet::engine::report(state, &seen) {
        let _ = writeln!(text, "  {}", status::words(&wait));
    }
    if style.output == Output::Pretty {
        // From the top of an empty screen.
        print!("\x1b[2J\x1b[H{text}");
    } else if text != *shown {
        print!("{text}");
    }
    *shown = text;
    Ok(counts)
}

/// The old one first.
fn generations(state: &State) -> Vec<Generation> {
    let mut all: Vec<Generation> = Vec::new();
    let rollout = state.rollout.as_ref();
    let named = rollout.into_iter().flat_map(|rollout| rollout.from.iter().chain([&rollout.to]));
    for generation in named.chain(state.members.values().map(|member| &member.generation)) {
        if !all.contains(generation) {
            all.push(generation.clone());
        }
    }
    all
}

fn counted(state: &State, servers: &BTreeMap<String, Server>) -> Counts {
    let mut counts = Counts::new();
    for member in state.members.values() {
        let Some(server) = servers.get(&*member.id.0) else { continue };
        let count = counts.entry(member.generation.clone()).or_default();
        count.requests += server.requests;
        count.errors += server.errors;
        count.millis += server.millis;
    }
    counts
}

fn mark(member: &Member) -> char {
    match member.phase {
        _ if member.failed.is_some() => '!',
        Phase::Serving => '●',
        Phase::Ready => '◕',
        Phase::Launching | Phase::Applying | Phase::Booting => '◔',
        Phase::Draining => '◐',
        Phase::Standby => '○',
        Phase::Retiring => '×',
    }
}

fn cohort(state: &State, generation: &Generation, style: Style) -> String {
    let members: Vec<char> =
        state.members.values().filter(|member| member.generation == *generation).map(mark).collect();
    let new = state.rollout.as_ref().is_some_and(|rollout| rollout.to == *generation);
    let word = match &state.rollout {
        Some(_) if new => "new",
        Some(rollout) if rollout.from.as_ref() == Some(generation) => "old",
        _ => "   ",
    };
    let mut text = format!("  {word} {generation:<16} {:>4}  ", members.len());
    for (line, marks) in members.chunks(WIDE).enumerate() {
        if line > 0 {
            let _ = write!(text, "\n{:28}", "");
        }
        let marks: String = marks.iter().collect();
        text.push_str(&if new { style.paint.bold(&marks) } else { marks });
    }
    text
}

fn traffic(now: Option<&Count>, before: Option<&Count>) -> String {
    let Some(now) = now.filter(|count| count.requests > 0) else { return String::new() };
    let before = before.copied().unwrap_or_default();
    let (requests, millis) =
        (now.requests.saturating_sub(before.requests), now.millis.saturating_sub(before.millis));
    format!("   {} requests, {} errors, {} ms each", now.requests, now.errors, millis / requests.max(1))
}

fn gates(state: &State) -> String {
    let mut text = String::new();
    let Some(rollout) = &state.rollout else { return text };
    for rule in &state.spec.gates {
        let Some(tally) = rollout.tallies.get(&rule.name) else { continue };
        let skipped = tally.answers.len().saturating_sub(ANSWERS);
        let answers: String =
            tally.answers.iter().skip(skipped).map(|pass| if *pass { '✓' } else { '✗' }).collect();
        let waits = if tally.undecided_since.is_some() { " decides nothing" } else { "" };
        let _ = writeln!(text, "  gate {:<14} {answers}{waits}", rule.name);
    }
    text
}
