//! `theseus compare`: which hosts are alike, which one is odd, and why.

use std::collections::BTreeMap;

use drift::fingerprint::{self, Because, Group, Prints};
use serde_json::json;

use crate::arguments::Compare;
use crate::commands::effect::{self, Question};
use crate::report::{self, Output, Style};

pub(crate) fn compare(asked: &Compare, style: Style, command: &str) -> u8 {
    effect::command(&asked.means, style, |base| {
        let question = Question { pattern: &asked.pattern, means: &asked.means, command, looks: true };
        let answers = question.ask_of("drift", base, json!({"ask": "prints", "only": asked.path}), false)?;
        let mut hosts: BTreeMap<String, Prints> = BTreeMap::new();
        for (host, mut answer) in answers.by_host {
            let prints = answer.remove("prints").unwrap_or_default();
            let prints: Prints = serde_json::from_value(prints).map_err(|e| format!("{host}: {e}"))?;
            let objects = asked.path.is_empty();
            hosts.insert(
                host,
                prints.into_iter().filter(|(name, _)| objects || name.starts_with('/')).collect(),
            );
        }
        let groups = fingerprint::groups(hosts);
        for group in &groups {
            if style.output == Output::Json {
                report::json_line(line(group));
            } else {
                print!("{}", text(group, groups.len(), style));
            }
        }
        Ok(match effect::looked(answers.code) {
            0 if asked.exit_code && groups.len() > 1 => 2,
            code => code,
        })
    })
}

fn line(group: &Group) -> serde_json::Value {
    let mut line =
        json!({"event": "group", "fingerprint": group.fingerprint, "hosts": group.hosts, "odd": group.odd});
    if group.odd {
        line["because"] = json!(group.because);
        line["more"] = json!(group.more);
    }
    line
}

fn text(group: &Group, groups: usize, style: Style) -> String {
    let hosts = group.hosts.join(", ");
    let number = group.hosts.len();
    if !group.odd {
        let word = if groups == 1 && number > 1 { "all alike" } else { "alike" };
        let what =
            if number == 1 { "the first of its kind".to_owned() } else { format!("{number} hosts, {word}") };
        return format!("{}: {hosts}\n", style.paint.bold(&what));
    }
    let what = if number == 1 { "odd".to_owned() } else { format!("odd, {number} hosts") };
    let mut out = format!("{}: {hosts}\n", style.paint.bold(&what));
    for because in &group.because {
        out.push_str(&format!("    {}\n", reason(because)));
    }
    if group.more > 0 {
        out.push_str(&format!(
            "    and {} more differences (theseus diff shows those of two hosts)\n",
            group.more
        ));
    }
    out
}

fn reason(because: &Because) -> String {
    let path = because.name.starts_with('/');
    match (&because.here, &because.there) {
        (Some(_), Some(_)) if path => format!("{} is another one there", because.name),
        (Some(_), None) if path => format!("{} is only here", because.name),
        (Some(here), Some(there)) => format!("{}: {here}, elsewhere {there}", because.name),
        (Some(here), None) => format!("{} is only here ({here})", because.name),
        (None, _) => format!("{} is missing here", because.name),
    }
}
