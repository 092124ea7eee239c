//! `ufw`: Ubuntu's firewall.

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::command::{Output, find_program};
use crate::module::{Failure, Module, Outcome, Task};

const DIRECTIONS: &[&str] = &["in", "incoming", "out", "outgoing", "routed"];
const PLACES: &[&str] = &["zero", "first-ipv4", "last-ipv4", "first-ipv6", "last-ipv6"];
const PROTOCOLS: &[&str] = &["ah", "any", "esp", "ipv6", "tcp", "udp", "gre", "igmp", "vrrp"];

const ARGS: &[Arg] = &[
    Arg::str("state").choices(&["enabled", "disabled", "reloaded", "reset"]),
    Arg::str("default").choices(&["allow", "deny", "reject"]).aliases(&["policy"]),
    Arg::str("logging").choices(&["full", "high", "low", "medium", "off", "on"]),
    Arg::str("direction").choices(DIRECTIONS),
    Arg::bool("delete").default("false"),
    Arg::bool("route").default("false"),
    Arg::int("insert"),
    Arg::str("insert_relative_to").default("zero").choices(PLACES),
    Arg::str("rule").choices(&["allow", "deny", "limit", "reject"]),
    Arg::str("interface").aliases(&["if"]),
    Arg::str("interface_in").aliases(&["if_in"]),
    Arg::str("interface_out").aliases(&["if_out"]),
    Arg::bool("log").default("false"),
    Arg::str("from_ip").default("any").aliases(&["from", "src"]),
    Arg::str("from_port"),
    Arg::str("to_ip").default("any").aliases(&["dest", "to"]),
    Arg::str("to_port").aliases(&["port"]),
    Arg::str("proto").choices(PROTOCOLS).aliases(&["protocol"]),
    Arg::str("name").aliases(&["app"]),
    Arg::str("comment"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("ufw", ARGS)
        .collection("community.general")
        .mutually_exclusive(&[
            &["name", "proto", "logging"],
            &["direction", "interface_in"],
            &["direction", "interface_out"],
        ])
        .required_one_of(&[&["state", "default", "rule", "logging"]])
        .required_by(&[("interface", &["direction"])]),
    run,
};

/// Where ufw keeps its rules, by version, and its policies.
const RULES: [[&str; 2]; 3] = [
    ["/lib/ufw/user.rules", "/lib/ufw/user6.rules"],
    ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"],
    ["/var/lib/ufw/user.rules", "/var/lib/ufw/user6.rules"],
];
const POLICIES: &str = "/etc/default/ufw";

/// Everything by which a change is seen.
#[derive(PartialEq, Eq)]
struct Seen {
    status: String,
    rules: [Vec<String>; 2],
    policies: String,
}

struct Firewall {
    program: String,
    commands: Vec<String>,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let program = find_program("ufw").ok_or("Failed to find required executable \"ufw\" in paths")?;
    let mut ufw = Firewall { program: program.to_string_lossy().into_owned(), commands: Vec::new() };
    let before = ufw.look(task)?;
    let mut changed = false;
    if let Some(state) = args.str("state") {
        changed |= ufw.state(task, state, &before)?;
    }
    if let Some(policy) = args.str("default") {
        changed |= ufw.policy(task, args, policy, &before)?;
    }
    if args.has("rule") {
        changed |= ufw.rule(task, args, &before)?;
    }
    if let Some(level) = args.str("logging") {
        changed |= ufw.logging(task, level, &before)?;
    }
    if task.check {
        return Ok(Outcome::changed(changed).with("commands", ufw.commands));
    }
    let after = ufw.look(task)?;
    let status = after.status.trim_end().to_owned();
    Ok(Outcome::changed(changed || before != after).with("commands", ufw.commands).with("msg", status))
}

impl Firewall {
    fn look(&mut self, task: &Task<'_>) -> Result<Seen, Failure> {
        let status = children::expect(self.call(task, &["status", "verbose"])?)?.stdout_text();
        let side = |side: usize| RULES.iter().flat_map(|pair| tuples(&text_of(pair[side]))).collect();
        Ok(Seen { status, rules: [side(0), side(1)], policies: text_of(POLICIES) })
    }

    fn argv<'w>(&'w self, words: &[&'w str]) -> Vec<&'w str> {
        std::iter::once(self.program.as_str()).chain(words.iter().copied()).collect()
    }

    /// A question, or a dry run.
    fn call(&mut self, task: &Task<'_>, words: &[&str]) -> Result<Output, Failure> {
        let argv = self.argv(words);
        let (output, said) = (children::ask(task, &argv)?, argv.join(" "));
        self.commands.push(said);
        Ok(output)
    }

    fn act(&mut self, task: &mut Task<'_>, words: &[&str]) -> Result<(), Failure> {
        let argv = self.argv(words);
        let (output, said) = (children::act(task, &argv)?, argv.join(" "));
        self.commands.push(said);
        self.expect(output).map(drop)
    }

    fn expect(&self, output: Output) -> Result<Output, Failure> {
        if output.ok() {
            return Ok(output);
        }
        let (err, out) = (output.stderr_text(), output.stdout_text());
        let said = if err.is_empty() { out } else { err };
        Err(Failure::new(said).with("commands", self.commands.clone()))
    }

    fn state(&mut self, task: &mut Task<'_>, state: &str, before: &Seen) -> Result<bool, Failure> {
        let active = before.status.lines().any(|line| line == "Status: active");
        if task.check {
            return Ok(match state {
                "enabled" => !active,
                "disabled" => active,
                _ => true,
            });
        }
        let word = match state {
            "enabled" => "enable",
            "disabled" => "disable",
            "reloaded" => "reload",
            _ => "reset",
        };
        self.act(task, &["-f", word])?;
        Ok(matches!(state, "reloaded" | "reset"))
    }

    fn policy(
        &mut self,
        task: &mut Task<'_>,
        args: &Args,
        policy: &str,
        before: &Seen,
    ) -> Result<bool, Failure> {
        let direction = args.str("direction");
        if direction.is_some_and(|d| !matches!(d, "incoming" | "outgoing" | "routed")) {
            return Err(
                "For default, direction must be one of \"outgoing\", \"incoming\" and \"routed\", or direction must not be specified."
                    .into(),
            );
        }
        if task.check {
            let key = match direction {
                Some("outgoing") => "DEFAULT_OUTPUT_POLICY",
                Some("routed") => "DEFAULT_FORWARD_POLICY",
                _ => "DEFAULT_INPUT_POLICY",
            };
            let word = match policy {
                "allow" => "ACCEPT",
                "deny" => "DROP",
                _ => "REJECT",
            };
            let is = before.policies.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            return Ok(is.map(|value| value.trim_matches('"')) != Some(word));
        }
        let words: Vec<&str> = ["default", policy].into_iter().chain(direction).collect();
        self.act(task, &words)?;
        Ok(false)
    }

    fn logging(&mut self, task: &mut Task<'_>, level: &str, before: &Seen) -> Result<bool, Failure> {
        if !task.check {
            self.act(task, &["logging", level])?;
            return Ok(false);
        }
        let line = before.status.lines().find_map(|line| line.strip_prefix("Logging: "));
        Ok(match (level, line) {
            ("off", Some(line)) => line != "off",
            ("on", Some(line)) => !line.starts_with("on"),
            (level, Some(line)) => line != format!("on ({level})"),
            (_, None) => true,
        })
    }

    fn rule(&mut self, task: &mut Task<'_>, args: &Args, before: &Seen) -> Result<bool, Failure> {
        if args.str("direction").is_some_and(|d| !matches!(d, "in" | "out")) {
            return Err(
                "For rules, direction must be one of \"in\" and \"out\", or direction must not be specified."
                    .into(),
            );
        }
        if !args.bool("route") && args.has("interface_in") && args.has("interface_out") {
            return Err("Only route rules can combine interface_in and interface_out".into());
        }
        let words = self.words(task, args)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if !task.check {
            self.act(task, &words)?;
            return Ok(false);
        }
        let dry: Vec<&str> = std::iter::once("--dry-run").chain(words).collect();
        let output = self.call(task, &dry)?;
        let text = self.expect(output)?.stdout_text();
        Ok(shown_rules(&text).into_iter().any(|(side, rules)| rules != before.rules[side]))
    }

    fn words(&mut self, task: &Task<'_>, args: &Args) -> Result<Vec<String>, Failure> {
        let mut words: Vec<String> = Vec::new();
        let mut push = |all: &[&str]| words.extend(all.iter().map(|w| (*w).to_owned()));
        if args.bool("route") {
            push(&["route"]);
        }
        if args.bool("delete") {
            push(&["delete"]);
        } else if let Some(place) = self.place(task, args)? {
            push(&["insert", &place.to_string()]);
        }
        push(&[&args.string("rule")]);
        if let Some(direction) = args.str("direction") {
            push(&[direction]);
        }
        if let Some(interface) = args.str("interface") {
            push(&["on", interface]);
        }
        for (side, name) in [("in", "interface_in"), ("out", "interface_out")] {
            if let Some(interface) = args.str(name) {
                push(&[side, "on", interface]);
            }
        }
        if args.bool("log") {
            push(&["log"]);
        }
        for (side, address, port) in [("from", "from_ip", "from_port"), ("to", "to_ip", "to_port")] {
            push(&[side, &args.string(address)]);
            if let Some(port) = args.str(port) {
                push(&["port", port]);
            }
        }
        for (word, name) in [("proto", "proto"), ("app", "name"), ("comment", "comment")] {
            if let Some(value) = args.str(name) {
                push(&[word, value]);
            }
        }
        Ok(words)
    }

    /// Where a rule is inserted. Behind the last one it is simply added.
    fn place(&mut self, task: &Task<'_>, args: &Args) -> Result<Option<i64>, Failure> {
        let Some(wanted) = args.int("insert") else { return Ok(None) };
        let relative = args.string("insert_relative_to");
        if relative == "zero" {
            return Ok(Some(wanted));
        }
        let text = children::expect(self.call(task, &["status", "numbered"])?)?.stdout_text();
        let rules: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
        let six = rules.iter().filter(|line| line.contains("(v6)")).count() as i64;
        let all = rules.len() as i64;
        let four = all - six;
        let base = match relative.as_str() {
            "first-ipv4" => 1,
            "last-ipv4" => four.max(1),
            "first-ipv6" => four + 1,
            _ => (four + six.max(1)).max(1),
        };
        let place = (base + wanted).max(1);
        Ok((place <= all).then_some(place))
    }
}

fn text_of(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn tuples(text: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with("### tuple")).map(str::to_owned).collect()
}

/// The rules that a dry run would write: of IPv4 (0) and of IPv6 (1), where it writes them.
fn shown_rules(text: &str) -> Vec<(usize, Vec<String>)> {
    text.split("*filter")
        .skip(1)
        .filter(|part| part.contains("### RULES ###"))
        .map(|part| (usize::from(part.contains("ufw6-")), tuples(part)))
        .collect()
}
