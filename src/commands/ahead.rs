//! Before a run: whose files of earlier runs somebody has changed since, where a person wants to stop there.

use serde_json::json;

use crate::arguments::{Means, Playing};
use crate::commands::apply;
use crate::commands::effect::Question;
use crate::setup::{Base, Problem};

/// Whether there are such files; they are named.
pub(crate) fn has_drifted(playing: &Playing, base: &mut Base, command: &str) -> Result<bool, Problem> {
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
    let mut found = false;
    for (host, answer) in &answers.by_host {
        for finding in answer.get("drifted").and_then(|d| d.as_array()).into_iter().flatten() {
            found = true;
            eprintln!(
                "{host}: {} was changed since by somebody else (left by: {})",
                finding["path"].as_str().unwrap_or_default(),
                finding["cause"].as_str().unwrap_or_default()
            );
        }
    }
    if found {
        eprintln!(
            "nothing was done: --on-drift stop. `theseus drift --fix` or `--accept` settles it; --on-drift keep leaves \
             these paths alone, --on-drift overwrite goes on"
        );
    }
    Ok(found)
}
