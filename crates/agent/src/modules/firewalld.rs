//! `firewalld`: services, ports and rules of its zones, by `firewall-cmd`, or by `firewall-offline-cmd` where it does not
//! run.

use catalog::{Arg, Args, Json, Kind, ModuleSpec};

use crate::children;
use crate::command::{Output, find_program};
use crate::module::{Failure, Module, Outcome, Task};

const FORWARD: &[Arg] = &[
    Arg::str("port").required(),
    Arg::str("proto").required().choices(&["udp", "tcp"]),
    Arg::str("toport").required(),
    Arg::str("toaddr"),
];

const ARGS: &[Arg] = &[
    Arg::str("icmp_block"),
    Arg::bool("icmp_block_inversion"),
    Arg::str("service"),
    Arg::str("protocol"),
    Arg::str("port"),
    Arg::list("port_forward").of(&Kind::Dict).options(FORWARD),
    Arg::str("rich_rule"),
    Arg::str("source"),
    Arg::str("interface"),
    Arg::str("zone"),
    Arg::bool("immediate").default("false"),
    Arg::bool("permanent").default("false"),
    Arg::str("state").required().choices(&["absent", "disabled", "enabled", "present"]),
    Arg::int("timeout").default("0"),
    Arg::bool("forward"),
    Arg::bool("masquerade"),
    Arg::bool("offline").default("false"),
    Arg::str("target").choices(&["default", "ACCEPT", "DROP", "%%REJECT%%"]),
];

/// What a task is about: one of these, or nothing but the zone.
const SUBJECTS: &[&str] = &[
    "icmp_block", "icmp_block_inversion", "service", "protocol", "port", "port_forward", "rich_rule", "source",
    "interface", "forward", "masquerade", "target",
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("firewalld", ARGS)
        .collection("ansible.posix")
        .mutually_exclusive(&[SUBJECTS])
        .required_by(&[("interface", &["zone"]), ("target", &["zone"]), ("source", &["permanent"])])
        .required_if(&[("state", "absent", &["zone"], false)]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let state = args.string("state");
    let permanent = args.bool("permanent");
    let immediate = args.bool("immediate") || !permanent;
    let subject = SUBJECTS.iter().copied().find(|name| args.has(name));
    let of_zone = matches!(subject, None | Some("target"));
    if subject.is_none() && !matches!(state.as_str(), "present" | "absent") {
        return Err("no operation is named: give a service, a port, a rule or the like".into());
    }
    if of_zone && (!permanent || immediate) {
        return Err("Zone operations must be permanent. Make sure you didn't set the 'permanent' flag to 'false' or the 'immediate' flag to 'true'.".into());
    }
    if !of_zone && matches!(state.as_str(), "present" | "absent") {
        return Err("absent and present state can only be used in zone level operations".into());
    }
    let firewall = Firewall::of(args, task, immediate)?;
    let mut messages = vec![match (permanent, immediate) {
        (true, true) => "Permanent and Non-Permanent(immediate) operation",
        (true, false) => "Permanent operation",
        _ => "Non-permanent operation",
    }
    .to_owned()];
    let wanted = matches!(state.as_str(), "enabled" | "present");
    let changed = match subject {
        None => firewall.zone_itself(task, wanted, &mut messages)?,
        Some("target") => firewall.target(task, wanted, &args.string("target"), &mut messages)?,
        Some(subject) => {
            let items = items(args, subject, wanted);
            let mut changed = false;
            for item in items {
                changed |= firewall.settle(task, &item, (permanent, immediate), &mut messages)?;
            }
            changed
        }
    };
    let outcome = Outcome::changed(changed);
    if task.check && changed {
        return Ok(outcome);
    }
    if firewall.offline {
        messages.push("(offline operation: only on-disk configs were altered)".to_owned());
    }
    Ok(outcome.with("msg", messages.join(", ")))
}

/// One thing that a zone has or has not.
struct Item {
    /// The end of the options: `--query-…`, `--add-…`, `--remove-…`.
    option: &'static str,
    value: Option<String>,
    wanted: bool,
    done: String,
    timeout: Option<i64>,
}

fn items(args: &Args, subject: &'static str, wanted: bool) -> Vec<Item> {
    let zone = args.str("zone").unwrap_or("public").to_owned();
    let word = if wanted { "enabled" } else { "disabled" };
    let timeout = args.int("timeout").filter(|seconds| *seconds > 0 && wanted);
    let plain = |option: &'static str, label: &str| {
        let value = args.string(subject);
        let done = format!("Changed {label} {value} to {word}");
        vec![Item { option, value: Some(value), wanted, done, timeout }]
    };
    match subject {
        "service" => plain("service", "service"),
        "protocol" => plain("protocol", "protocol"),
        "port" => plain("port", "port"),
        "rich_rule" => plain("rich-rule", "rich_rule"),
        "icmp_block" => plain("icmp-block", "icmp-block"),
        "port_forward" => args.list(subject).unwrap_or_default().iter().map(|map| forward(map, wanted, timeout)).collect(),
        "source" | "interface" => {
            let value = args.string(subject);
            let done = match (subject, wanted) {
                ("source", true) => format!("Added {value} to zone {zone}"),
                ("interface", true) => format!("Changed {value} to zone {zone}"),
                _ => format!("Removed {value} from zone {zone}"),
            };
            vec![Item { option: subject, value: Some(value), wanted, done, timeout: None }]
        }
        _ => {
            // A switch, and a state beside: both must say yes.
            let on = args.bool(subject);
            let wanted = wanted == on;
            let done = match (subject, wanted) {
                ("icmp_block_inversion", _) => {
                    format!("Changed icmp-block-inversion {} to {word}", if on { "True" } else { "False" })
                }
                (_, true) => format!("Added {subject} to zone {zone}"),
                (_, false) => format!("Removed {subject} from zone {zone}"),
            };
            let option = if subject == "icmp_block_inversion" { "icmp-block-inversion" } else { subject };
            vec![Item { option, value: None, wanted, done, timeout: None }]
        }
    }
}

fn forward(map: &Json, wanted: bool, timeout: Option<i64>) -> Item {
    let of = |key: &str| map.get(key).map(catalog::arguments::text).unwrap_or_default();
    let value = format!("port={}:proto={}:toport={}:toaddr={}", of("port"), of("proto"), of("toport"), of("toaddr"));
    let word = if wanted { "enabled" } else { "disabled" };
    let done = format!("Changed port_forward {value} to {word}");
    Item { option: "forward-port", value: Some(value), wanted, done, timeout }
}

/// How firewalld is asked here.
struct Firewall {
    offline: bool,
    zone: Option<String>,
}

impl Firewall {
    fn of(args: &Args, task: &Task<'_>, immediate: bool) -> Result<Self, Failure> {
        let zone = args.str("zone").map(str::to_owned);
        let there = find_program("firewall-cmd").is_some() || find_program("firewall-offline-cmd").is_some();
        if !there {
            return Err("firewalld is not installed on this host (firewall-cmd is needed)".into());
        }
        let state = children::ask_if_there(task, &["firewall-cmd", "--state"])?;
        if state.is_some_and(|output| output.ok()) {
            return Ok(Self { offline: false, zone });
        }
        if immediate {
            return Err("firewall is not currently running, unable to perform immediate actions without a running firewall daemon".into());
        }
        if !args.bool("offline") {
            return Err("firewalld service must be running, or try with offline=true".into());
        }
        Ok(Self { offline: true, zone })
    }

    fn words<'a>(&'a self, permanent: bool, zone: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec![if self.offline { "firewall-offline-cmd" } else { "firewall-cmd" }];
        words.extend((permanent && !self.offline).then_some("--permanent"));
        words.extend((!zone.is_empty()).then_some(zone));
        words.extend(more);
        words
    }

    fn zone_option(&self) -> String {
        self.zone.as_ref().map(|zone| format!("--zone={zone}")).unwrap_or_default()
    }

    /// Brings one item to its state, in what is stored and in what runs, as asked.
    fn settle(
        &self,
        task: &mut Task<'_>,
        item: &Item,
        (permanent, immediate): (bool, bool),
        messages: &mut Vec<String>,
    ) -> Result<bool, Failure> {
        let zone = self.zone_option();
        let value = item.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
        let mut changed = false;
        for stored in [permanent.then_some(true), immediate.then_some(false)].into_iter().flatten() {
            let query = format!("--query-{}{value}", item.option);
            let output = children::ask(task, &self.words(stored, &zone, &[&query]))?;
            // It ends with 1 and says nothing of an error where the answer is no.
            if !output.ok() && output.rc != 1 {
                return Err(failed(&output, messages));
            }
            if output.ok() == item.wanted {
                continue;
            }
            changed = true;
            let verb = match (item.option, item.wanted) {
                ("interface", true) => "change",
                (_, true) => "add",
                (_, false) => "remove",
            };
            let option = format!("--{verb}-{}{value}", item.option);
            let timeout = item.timeout.filter(|_| !stored).map(|seconds| format!("--timeout={seconds}"));
            let more: Vec<&str> = std::iter::once(option.as_str()).chain(timeout.as_deref()).collect();
            self.act(task, &self.words(stored, &zone, &more), messages)?;
        }
        if changed {
            messages.push(item.done.clone());
        }
        Ok(changed)
    }

    fn act(&self, task: &mut Task<'_>, words: &[&str], messages: &[String]) -> Result<(), Failure> {
        if task.check {
            return Ok(());
        }
        let run = children::in_c_locale(task, words);
        // Its daemon does what it is told; without one the program writes the files itself.
        let output = if self.offline { children::act_with(task, run)? } else { children::order(task, run)? };
        if output.ok() { Ok(()) } else { Err(failed(&output, messages)) }
    }

    fn zone_itself(&self, task: &mut Task<'_>, wanted: bool, messages: &mut Vec<String>) -> Result<bool, Failure> {
        let Some(zone) = &self.zone else { return Err("a zone must be named to make or remove one".into()) };
        let listed = children::expect(children::ask(task, &self.words(true, "", &["--get-zones"]))?)?;
        let there = listed.stdout_text().split_whitespace().any(|known| known == zone);
        if there == wanted {
            return Ok(false);
        }
        let option = format!("--{}-zone={zone}", if wanted { "new" } else { "delete" });
        self.act(task, &self.words(true, "", &[&option]), messages)?;
        let (done, state) = if wanted { ("Added", "present") } else { ("Removed", "absent") };
        messages.extend([format!("{done} zone {zone}"), format!("Changed zone {zone} to {state}")]);
        Ok(true)
    }

    fn target(
        &self,
        task: &mut Task<'_>,
        wanted: bool,
        target: &str,
        messages: &mut Vec<String>,
    ) -> Result<bool, Failure> {
        let zone = self.zone_option();
        let output = children::ask(task, &self.words(true, &zone, &["--get-target"]))?;
        if !output.ok() {
            return Err(failed(&output, messages));
        }
        let said = output.stdout_text();
        let now = said.trim();
        let shown = self.zone.as_deref().unwrap_or("public");
        let (new, done) = if wanted {
            (target, format!("Set zone {shown} target to {target}"))
        } else {
            ("default", format!("Reset zone {shown} target to default"))
        };
        // Only this very target is taken away.
        if now == new || (!wanted && now != target) {
            return Ok(false);
        }
        let option = format!("--set-target={new}");
        self.act(task, &self.words(true, &zone, &[&option]), messages)?;
        messages.push(done);
        Ok(true)
    }
}

/// firewalld's own words, in the reference's sentence.
fn failed(output: &Output, messages: &[String]) -> Failure {
    let said = output.stderr_text();
    let words = said.trim().trim_start_matches("Error: ").lines().last().unwrap_or_default().to_owned();
    let hint = if words.starts_with("INVALID_SERVICE") {
        ", Services are defined by port/tcp relationship and named as they are in /etc/services (on most systems)"
    } else {
        ""
    };
    // A zone that is not known is found before anything else.
    let before = if words.starts_with("INVALID_ZONE") { String::new() } else { messages.join(", ") };
    children::failed(output, format!("ERROR: Exception caught: {words} {before}{hint}").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_is_off_in_an_enabled_task_is_taken_away() {
        let args = |text: &str| MODULE.spec.read(&serde_json::from_str(text).unwrap(), &|_| false).unwrap();
        let off = items(&args(r#"{"masquerade": false, "state": "enabled", "zone": "dmz"}"#), "masquerade", true);
        assert!(!off[0].wanted);
        assert_eq!(off[0].done, "Removed masquerade from zone dmz");
        let text = r#"{"port_forward": [{"port": 443, "proto": "tcp", "toport": 8443}], "state": "enabled"}"#;
        let forwards = items(&args(text), "port_forward", true);
        assert_eq!(forwards[0].value.as_deref(), Some("port=443:proto=tcp:toport=8443:toaddr="));
    }
}
