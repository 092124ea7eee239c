//! `theseus drift`: what is otherwise on hosts than it should be, by what it is explained, and putting it back.

use anstyle::AnsiColor;
use catalog::{Json, Map};
use serde_json::json;

use crate::arguments::Drift;
use crate::commands::effect::{self, Question};
use crate::report::{self, Output, Style};

/// Lines shown of each kind before the rest is only counted.
const SHOWN: usize = 60;
/// The same for what was so before the first look.
const SHOWN_OLD: usize = 5;

pub(crate) fn drift(asked: &Drift, style: Style, command: &str) -> u8 {
    effect::command(&asked.means, style, |base| {
        let acts = (asked.fix || asked.accept) && !asked.check;
        let question = Question { pattern: &asked.pattern, means: &asked.means, command, looks: !acts };
        let answers = question.ask_of("drift", base, arguments(asked), asked.check)?;
        let (mut found, mut failed) = (false, false);
        for (host, answer) in &answers.by_host {
            found |= is_alarmed(answer, asked);
            failed |= list(answer, "failed_to").next().is_some();
            if style.output == Output::Json {
                lines(host, answer).into_iter().for_each(report::json_line);
            } else {
                print!("{}", text(host, answer, asked, style));
            }
        }
        Ok(match effect::looked(answers.code) {
            0 if failed => 1,
            0 if asked.exit_code && found => 2,
            code => code,
        })
    })
}

fn arguments(asked: &Drift) -> Json {
    let ask = if asked.fix {
        "fix"
    } else if asked.accept {
        "accept"
    } else {
        "look"
    };
    let mut arguments =
        json!({"ask": ask, "full": asked.full, "all": asked.all, "histories": asked.shell_history});
    let chosen = if ask == "look" { "only" } else { "paths" };
    arguments[chosen] = json!(asked.path);
    arguments["objects"] = json!(asked.object);
    if let Some(reason) = &asked.reason {
        arguments["reason"] = json!(reason);
    }
    if let Some(limit) = asked.read_limit {
        arguments["limit"] = json!(limit.saturating_mul(1 << 20));
    }
    if let Some(percent) = asked.cpu_limit {
        arguments["cpu"] = json!(percent);
    }
    arguments
}

fn list<'a>(answer: &'a Map, key: &str) -> impl Iterator<Item = &'a Json> {
    answer.get(key).and_then(Json::as_array).into_iter().flatten()
}

/// What is still so when this command ends.
fn is_alarmed(answer: &Map, asked: &Drift) -> bool {
    let alarms = list(answer, "findings").filter(|f| f["explained"].is_null()).count();
    let settled = list(answer, "done_paths").count() + list(answer, "done_objects").count();
    if (asked.fix || asked.accept) && !asked.check { alarms > settled } else { alarms > 0 }
}

/// For programs: a `change` for each difference, and a `drift` for the host.
fn lines(host: &str, answer: &Map) -> Vec<Json> {
    let mut all = Vec::new();
    for finding in list(answer, "findings") {
        let mut line = json!({"event": "change", "host": host});
        if let (Some(line), Some(finding)) = (line.as_object_mut(), finding.as_object()) {
            for (key, value) in finding {
                let key = match key.as_str() {
                    "was" => "before",
                    "is" => "after",
                    other => other,
                };
                line.insert(key.to_owned(), value.clone());
            }
        }
        all.push(line);
    }
    let mut end = json!({"event": "drift", "host": host, "unexplained": list(answer, "findings").filter(|f| f["explained"].is_null()).count()});
    for key in
        ["explained", "baseline", "first", "scan", "generation", "done_paths", "done_objects", "failed_to"]
    {
        if let Some(value) = answer.get(key) {
            end[key] = value.clone();
        }
    }
    all.push(end);
    all
}

fn text(host: &str, answer: &Map, asked: &Drift, style: Style) -> String {
    let mut out = String::new();
    let alarms: Vec<&Json> = list(answer, "findings").filter(|f| f["explained"].is_null()).collect();
    let (new, old): (Vec<&Json>, Vec<&Json>) = alarms.iter().partition(|f| f["from_before"] != true);
    let bold = |text: &str| style.paint.bold(text);
    let first = answer.get("first") == Some(&Json::Bool(true));
    if alarms.is_empty() {
        out.push_str(&format!("{host}: {}\n", bold("nothing has drifted")));
    } else {
        out.push_str(&format!("{host}: {}\n", bold(&count(new.len(), "unexplained difference"))));
    }
    show(&mut out, &new, SHOWN, style);
    if !old.is_empty() {
        let when = if first {
            "before this first look"
        } else {
            "before the first look already, and not accepted yet"
        };
        out.push_str(&format!("  {} {when}:\n", count(old.len(), "difference")));
        show(
            &mut out,
            &old,
            match (asked.all, first) {
                (true, _) => SHOWN,
                (false, true) => SHOWN_OLD,
                (false, false) => 0,
            },
            style,
        );
    }
    if asked.all {
        for finding in list(answer, "findings").filter(|f| !f["explained"].is_null()) {
            out.push_str(&line(finding, style));
            let by = finding["explained"].as_str().unwrap_or_default();
            out.push_str(&format!("      {}\n", style.paint.dim(&format!("explained by {by}"))));
        }
    } else {
        explained(&mut out, answer, style);
    }
    if first {
        out.push_str("  this was the first look at this host: later ones compare with it\n");
    }
    done(&mut out, answer, asked);
    out
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn show(out: &mut String, all: &[&Json], most: usize, style: Style) {
    for finding in all.iter().take(most) {
        out.push_str(&line(finding, style));
        let about = [finding["cause"].as_str(), finding["evidence"]["text"].as_str()];
        let time = finding["time"].as_str().map(|time| format!("{time}; ")).unwrap_or_default();
        let confidence = finding["evidence"]["confidence"].as_str().unwrap_or("unknown");
        if let Some(cause) = about[0].filter(|cause| !cause.is_empty()) {
            let word = if finding["declared"] == true { "left by: " } else { "" };
            out.push_str(&format!("      {word}{cause}\n"));
        }
        if let Some(evidence) = about[1] {
            out.push_str(&format!(
                "      {}\n",
                style.paint.dim(&format!("{time}who: {confidence} ({evidence})"))
            ));
        }
    }
    if most == 0 && !all.is_empty() {
        out.push_str("    (--all shows them)\n");
    } else if all.len() > most {
        out.push_str(&format!("    and {} more (--output json has them all)\n", all.len() - most));
    }
}

fn line(finding: &Json, style: Style) -> String {
    let kind = finding["kind"].as_str().unwrap_or_default();
    let color = match kind {
        "added" => AnsiColor::Green,
        "removed" => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    let name = finding["path"].as_str().or(finding["object"].as_str()).unwrap_or_default();
    let mut what: Vec<String> = finding["what"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|w| w.as_str().map(str::to_owned))
        .collect();
    what.retain(|word| word != kind);
    match (finding["was"].as_str(), finding["is"].as_str()) {
        (Some(was), Some(is)) => what.push(format!("{is}, was {was}")),
        (Some(one), None) | (None, Some(one)) => what.push(one.to_owned()),
        (None, None) => {}
    }
    let what =
        if what.is_empty() { String::new() } else { style.paint.dim(&format!("  ({})", what.join(", "))) };
    format!("  {} {name}{what}\n", style.paint.color(color, &format!("{kind:<8}")))
}

fn explained(out: &mut String, answer: &Map, style: Style) {
    let Some(all) = answer.get("explained").and_then(Json::as_object).filter(|all| !all.is_empty()) else {
        return;
    };
    let total: u64 = all.values().filter_map(Json::as_u64).sum();
    let mut reasons: Vec<(&String, u64)> = all.iter().map(|(by, n)| (by, n.as_u64().unwrap_or(0))).collect();
    reasons.sort_by_key(|(by, n)| (std::cmp::Reverse(*n), (*by).clone()));
    let shown: Vec<String> = reasons.iter().take(4).map(|(by, n)| format!("{n} {by}")).collect();
    let more = if reasons.len() > 4 { ", …" } else { "" };
    let text = format!(
        "{} explained ({}{more}); --all shows them",
        count(total as usize, "difference"),
        shown.join("; ")
    );
    out.push_str(&format!("  {}\n", style.paint.dim(&text)));
}

fn done(out: &mut String, answer: &Map, asked: &Drift) {
    if !asked.fix && !asked.accept {
        return;
    }
    let word = match (asked.fix, asked.check) {
        (true, false) => "put back",
        (true, true) => "would be put back",
        (false, false) => "accepted",
        (false, true) => "would be accepted",
    };
    let shown = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let paths: Vec<String> = list(answer, "done_paths").map(shown).collect();
    let objects: Vec<String> = list(answer, "done_objects").map(shown).collect();
    let named: Vec<&String> = paths.iter().chain(&objects).take(10).collect();
    let more = (paths.len() + objects.len()).saturating_sub(named.len());
    out.push_str(&format!("  {word}: {}\n", count(paths.len() + objects.len(), "thing")));
    named.iter().for_each(|name| out.push_str(&format!("    {name}\n")));
    if more > 0 {
        out.push_str(&format!("    and {more} more\n"));
    }
    for failed in list(answer, "failed_to").map(shown) {
        out.push_str(&format!("  not {word}: {failed}\n"));
    }
}
