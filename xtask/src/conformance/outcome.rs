//! What one program did in one run of one case, in a form in which two programs can be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tree::Delta;

const COUNTERS: [&str; 7] = ["ok", "changed", "unreachable", "failed", "skipped", "rescued", "ignored"];

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) exit: i32,
    /// By host: each task's name and status, in order.
    pub(crate) steps: BTreeMap<String, Vec<(String, String)>>,
    /// By host, without those of whom nothing was counted.
    pub(crate) recap: BTreeMap<String, BTreeMap<String, u64>>,
    /// By host, and of the controller's own copy of the case.
    pub(crate) trees: BTreeMap<String, Delta>,
    /// What was asked of a role's service at the end and not answered.
    #[serde(default)]
    pub(crate) silent: Vec<String>,
    #[serde(default)]
    pub(crate) seconds: f64,
}

fn name(event: &Value, key: &str) -> String {
    event[key].as_str().unwrap_or_default().to_owned()
}

impl Outcome {
    /// From lines of JSON as `theseus --output json` prints them; our recorder writes the same for ansible-core.
    pub(crate) fn read(exit: i32, lines: &str) -> Self {
        let mut outcome = Self { exit, ..Self::default() };
        for line in lines.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            match event["event"].as_str() {
                Some("task") if event.get("item").is_none_or(Value::is_null) => outcome.step(&event),
                // ansible-core tells of each included file as of a task that went well.
                Some("included") => outcome
                    .steps
                    .entry(name(&event, "host"))
                    .or_default()
                    .push((name(&event, "task"), "ok".to_owned())),
                Some("recap") => outcome.count(&event["hosts"]),
                _ => {}
            }
        }
        outcome
    }

    /// How many tasks the recap calls changed, over all hosts.
    pub(crate) fn changed(&self) -> u64 {
        self.recap.values().filter_map(|counts| counts.get("changed")).sum()
    }

    fn step(&mut self, event: &Value) {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        // ansible-core knows only afterwards, in the recap, that a failure was rescued.
        let status = if text("status") == "rescued" { "failed".to_owned() } else { text("status") };
        self.steps.entry(text("host")).or_default().push((text("task"), status));
    }

    fn count(&mut self, hosts: &Value) {
        for (host, counts) in hosts.as_object().into_iter().flatten() {
            let counts: BTreeMap<String, u64> = COUNTERS
                .iter()
                .filter_map(|name| {
                    Some(((*name).to_owned(), counts[name].as_u64().filter(|count| *count > 0)?))
                })
                .collect();
            if !counts.is_empty() {
                self.recap.insert(host.clone(), counts);
            }
        }
    }

    /// Every difference between what `self`, the reference, and `other` did, in words; empty if there is none.
    pub(crate) fn differences(&self, other: &Self, expected_exit: i32) -> Vec<String> {
        let mut found = Vec::new();
        if other.exit != expected_exit {
            found.push(format!("exit code: {expected_exit} expected, {} given", other.exit));
        }
        for host in keys(&self.steps, &other.steps) {
            let none = Vec::new();
            let (ours, theirs) =
                (self.steps.get(host).unwrap_or(&none), other.steps.get(host).unwrap_or(&none));
            steps(host, ours, theirs, &mut found);
        }
        for host in keys(&self.recap, &other.recap) {
            let (ours, theirs) = (self.recap.get(host), other.recap.get(host));
            if ours != theirs {
                found.push(format!("{host}: recap: {} expected, {} given", counts(ours), counts(theirs)));
            }
        }
        for host in keys(&self.trees, &other.trees) {
            let none = Delta::new();
            let (ours, theirs) =
                (self.trees.get(host).unwrap_or(&none), other.trees.get(host).unwrap_or(&none));
            for path in keys(ours, theirs) {
                let (ours, theirs) = (ours.get(path), theirs.get(path));
                if ours != theirs {
                    let said =
                        |side: Option<&String>| side.cloned().unwrap_or_else(|| "untouched".to_owned());
                    found.push(format!(
                        "{host}:{path}\n    expected: {}\n    given:    {}",
                        said(ours),
                        said(theirs)
                    ));
                }
            }
        }
        found
    }
}

fn keys<'a, V>(one: &'a BTreeMap<String, V>, two: &'a BTreeMap<String, V>) -> BTreeSet<&'a String> {
    one.keys().chain(two.keys()).collect()
}

fn counts(counts: Option<&BTreeMap<String, u64>>) -> String {
    let shown = |(name, count): (&String, &u64)| format!("{name}={count}");
    counts
        .map_or_else(|| "nothing".to_owned(), |counts| counts.iter().map(shown).collect::<Vec<_>>().join(" "))
}

/// The first place where two lists of steps part, and how long each is.
fn steps(host: &str, ours: &[(String, String)], theirs: &[(String, String)], found: &mut Vec<String>) {
    if ours == theirs {
        return;
    }
    let at = ours.iter().zip(theirs).take_while(|(one, two)| one == two).count();
    let said = |step: Option<&(String, String)>| {
        step.map_or_else(|| "no more tasks".to_owned(), |(task, status)| format!("{status}: {task}"))
    };
    found.push(format!(
        "{host}: task {} of {} ({}):\n    expected: {}\n    given:    {}",
        at + 1,
        ours.len(),
        theirs.len(),
        said(ours.get(at)),
        said(theirs.get(at))
    ));
    // Where only statuses differ, name all of them.
    let same_names = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(one, two)| one.0 == two.0);
    if same_names {
        for (one, two) in ours.iter().zip(theirs).skip(at + 1).filter(|(one, two)| one != two) {
            found.push(format!("{host}: {}: {} expected, {} given", one.0, one.1, two.1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn differences_name_host_task_and_counter() {
        let one = r#"{"event":"task","host":"h1","task":"a","status":"ok"}
{"event":"task","host":"h1","task":"b","item":"x","status":"changed"}
{"event":"recap","hosts":{"h1":{"ok":1,"failed":0}}}"#;
        let reference = Outcome::read(0, one);
        assert!(reference.differences(&Outcome::read(0, one), 0).is_empty());
        let other = Outcome::read(2, &one.replace("\"ok\"}", "\"changed\"}").replace("\"ok\":1", "\"ok\":2"));
        let found = reference.differences(&other, 0);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("exit code"));
        assert!(found[1].contains("changed: a"));
        assert!(found[2].contains("ok=2"));
    }
}
