//! Before a run: whose files of earlier runs somebody has changed since, where a person wants to stop there.

use serde_json::json;

use crate::arguments::{Means, OnDrift, Playing};
use crate::commands::apply;
use crate::commands::effect::Question;
use crate::setup::{Base, Problem};

/// What is still to be run, without the hosts that are to be left alone; `None`: nothing at all.
pub(crate) fn look(
    playing: &Playing,
    wish: OnDrift,
    base: &mut Base,
    command: &str,
) -> Result<Option<Playing>, Problem> {
    let project = base.project(&playing.playbooks)?;
    let patterns: Vec<String> = project.plays.iter().map(|play| apply::pattern(play)).collect();
    let means = Means {
        hosts: playing.hosts.clone(),
        given: playing.given.clone(),
        reach: playing.reach.clone(),
        own_user: false,
    };
    let question = Question { pattern: &patterns.join(":"), means: &means, command, looks: true };
    let answers = question.ask_of("drift", base, json!({"ask": "ahead"}), true)?;
    let mut drifted = Vec::new();
    for (host, answer) in &answers.by_host {
        let found = answer.get("drifted").and_then(|d| d.as_array()).map(Vec::as_slice).unwrap_or_default();
        for finding in found {
            let cause = finding["cause"].as_str().unwrap_or_default();
            eprintln!(
                "{host}: {} was changed since by somebody else (left by: {cause})",
                finding["path"].as_str().unwrap_or_default()
            );
        }
        if !found.is_empty() {
            drifted.push(host.clone());
        }
    }
    if drifted.is_empty() {
        return Ok(Some(playing.clone()));
    }
    if wish == OnDrift::Stop {
        eprintln!(
            "nothing was done: --on-drift stop. `theseus drift --fix` or `--accept` settles it; --on-drift overwrite goes on"
        );
        return Ok(None);
    }
    eprintln!("left as they are: {}", drifted.join(", "));
    let mut rest = playing.clone();
    let without: Vec<String> = drifted.iter().map(|host| format!("!{host}")).collect();
    let limit = rest.hosts.limit.unwrap_or_else(|| "all".to_owned());
    rest.hosts.limit = Some(format!("{limit},{}", without.join(",")));
    Ok(Some(rest))
}
