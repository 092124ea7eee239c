//! A plan for people and programs.

use catalog::Json;

use super::change::Foreseen;
use super::foretold::Foretold;
use crate::commands::effect;
use crate::report::{self, Output, Style};
use crate::terminal;

pub(crate) fn print(found: &Foretold, style: Style) {
    for (host, task, reason) in &found.failures {
        terminal::host_failed(host, task, reason);
    }
    let failed = found.failed_hosts();
    if style.output == Output::Json {
        found.changes.iter().for_each(|change| report::json_line(change.json()));
        return;
    }
    for (host, generation) in &found.hosts {
        let own: Vec<&Foreseen> = found.changes.iter().filter(|change| change.host == *host).collect();
        // Nobody knows that nothing would change where the look ended half-way.
        if !own.is_empty() || !failed.contains(&host.as_str()) {
            println!("{}", head(host, *generation, own.len(), style));
        }
        own.iter().for_each(|change| print!("{}", text(change, style)));
        print!("{}", irreversible(&own, style));
    }
    // Tasks that are delegated to who is no host of the run.
    for change in found.changes.iter().filter(|change| !found.hosts.contains_key(&change.host)) {
        print!("{} {}", change.host, text(change, style));
    }
}

fn head(host: &str, generation: Option<u64>, changes: usize, style: Style) -> String {
    let at = generation.map(|number| format!("  at generation {number}")).unwrap_or_default();
    let what = match changes {
        0 => "nothing would change".to_owned(),
        1 => "1 change".to_owned(),
        many => format!("{many} changes"),
    };
    format!("{}: {what}{at}", style.paint.bold(host))
}

fn text(change: &Foreseen, style: Style) -> String {
    let word = if change.unknown { "unknown" } else { change.kind };
    let word = style.paint.color(effect::color(change.kind), &format!("{word:<8}"));
    let mut out = format!("  {word} {}  {}\n", change.what.name(), style.paint.dim(&change.cause));
    let side = |side: &Option<Json>| side.clone().unwrap_or_default();
    let (before, after) = (side(&change.before), side(&change.after));
    for line in properties(&before, &after) {
        out.push_str(&format!("      {line}\n"));
    }
    let content = |side: &Json| side["content"].as_str().unwrap_or_default().to_owned();
    for line in effect::unified(&content(&before), &content(&after)) {
        out.push_str(&format!("      {}\n", effect::painted(&line, style)));
    }
    out
}

/// `mode 0644, was 0600`
fn properties(before: &Json, after: &Json) -> Vec<String> {
    let all = after.as_object().into_iter().flatten().filter(|(key, _)| *key != "content");
    let word = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    all.filter(|(key, value)| before[key.as_str()] != **value)
        .map(|(key, value)| match &before[key.as_str()] {
            Json::Null => format!("{key} {}", word(value)),
            was => format!("{key} {}, was {}", word(value), word(was)),
        })
        .collect()
}

/// What a rollback would not take back; each once.
fn irreversible(changes: &[&Foreseen], style: Style) -> String {
    let mut all: Vec<&str> = changes.iter().filter_map(|change| change.irreversible.as_deref()).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return String::new();
    }
    let lines: String = all.iter().map(|line| format!("      {line}\n")).collect();
    format!("    {}\n{lines}", style.paint.bold("no undo takes this back:"))
}
