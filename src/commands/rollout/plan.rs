//! `theseus rollout plan`: what a rollout would do, before it does anything.

use fleet::engine::{Mode, Share, estimate, plan};
use serde_json::json;

use crate::commands::fleet::ground::Ground;
use crate::report::{self, Output, Style};
use crate::setup::Problem;

/// What a member is assumed to need until it is healthy, if nothing is known.
const BOOT: u64 = 2_000;

pub(crate) fn show(name: &str, style: Style) -> Result<u8, Problem> {
    let ground = Ground::of(name)?;
    let mut spec = ground.fleet.spec.clone();
    spec.members = ground.state()?.map_or(spec.members, |state| state.desired).max(1);
    let plan = plan(&spec);
    let cost = estimate(&spec, &plan.steps, BOOT);
    if style.output == Output::Json {
        report::json_line(json!({
            "event": "plan", "fleet": name, "plan": plan.hash, "steps": plan.steps, "least_healthy": cost.least_healthy,
            "most_members": cost.most_members, "launches": cost.launches, "rounds": cost.rounds, "seconds": cost.millis / 1000,
        }));
        return Ok(0);
    }
    println!("plan {} of fleet {name}, {} members", plan.hash, spec.members);
    for (number, step) in plan.steps.iter().enumerate() {
        let want = match step.want {
            Share::Count(_) | Share::Percent(_) => step.want.ceil(spec.members).min(spec.members),
        };
        let traffic = step.traffic.map(|percent| format!(", {percent} % of the traffic")).unwrap_or_default();
        let soak =
            if step.soak > 0 { format!(", then {} s of soak", step.soak / 1000) } else { String::new() };
        let yes = if step.approval { ", then a person's yes" } else { "" };
        let preview = if step.preview { ", beside the old ones until all are ready" } else { "" };
        let way = if step.mode == Mode::InPlace { ", changed in place" } else { "" };
        println!("  {:>2}. {}: {want} new{way}{traffic}{preview}{soak}{yes}", number + 1, step.name);
    }
    for gate in &spec.gates {
        println!(
            "  gate {} every {} s: {} of {} must pass",
            gate.name,
            gate.interval as f64 / 1000.0,
            gate.need,
            gate.of
        );
    }
    if let Some(step) = spec.irreversible_after {
        println!("  from step {} on nothing is put back", step + 1);
    }
    println!(
        "never fewer than {} healthy, never more than {} members; {} launches in {} rounds; about {} s with members that boot in {} s",
        cost.least_healthy,
        cost.most_members,
        cost.launches,
        cost.rounds,
        cost.millis / 1000,
        BOOT / 1000
    );
    Ok(0)
}
