//! `iptables`: rules, chains and policies of the kernel's packet filter.

use catalog::{Arg, Args, Json, ModuleSpec};
use serde_json::json;

use crate::children;
use crate::command::{Output, find_program};
use crate::module::{Failure, Module, Outcome, Task};

mod rule;

const TCP_FLAGS: &[Arg] = &[Arg::list("flags"), Arg::list("flags_set")];

const LEVELS: &[&str] = &[
    "0", "1", "2", "3", "4", "5", "6", "7", "emerg", "alert", "crit", "error", "warning", "notice", "info",
    "debug",
];

const ARGS: &[Arg] = &[
    Arg::str("table").default("filter").choices(&["filter", "nat", "mangle", "raw", "security"]),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("action").default("append").choices(&["append", "insert"]),
    Arg::str("ip_version").default("ipv4").choices(&["ipv4", "ipv6", "both"]),
    Arg::str("chain"),
    Arg::str("rule_num"),
    Arg::str("protocol"),
    Arg::str("wait"),
    Arg::str("source"),
    Arg::str("to_source"),
    Arg::str("destination"),
    Arg::str("to_destination"),
    Arg::list("match"),
    Arg::dict("tcp_flags").options(TCP_FLAGS),
    Arg::str("jump"),
    Arg::str("gateway"),
    Arg::str("log_prefix"),
    Arg::str("log_level").choices(LEVELS),
    Arg::str("goto"),
    Arg::str("in_interface"),
    Arg::str("out_interface"),
    Arg::str("fragment"),
    Arg::str("set_counters"),
    Arg::str("source_port"),
    Arg::str("destination_port"),
    Arg::list("destination_ports"),
    Arg::str("to_ports"),
    Arg::str("set_dscp_mark"),
    Arg::str("set_dscp_mark_class"),
    Arg::str("comment"),
    Arg::list("ctstate"),
    Arg::str("src_range"),
    Arg::str("dst_range"),
    Arg::str("match_set"),
    Arg::str("match_set_flags").choices(&["src", "dst", "src,dst", "dst,src", "src,src", "dst,dst"]),
    Arg::str("limit"),
    Arg::str("limit_burst"),
    Arg::str("uid_owner"),
    Arg::str("gid_owner"),
    Arg::str("reject_with"),
    Arg::str("icmp_type"),
    Arg::str("syn").default("ignore").choices(&["ignore", "match", "negate"]),
    Arg::bool("flush").default("false"),
    Arg::str("policy").choices(&["ACCEPT", "DROP", "QUEUE", "RETURN"]),
    Arg::bool("chain_management").default("false"),
    Arg::bool("numeric").default("false"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("iptables", ARGS)
        .mutually_exclusive(&[&["set_dscp_mark", "set_dscp_mark_class"], &["flush", "policy"]])
        .required_by(&[("set_dscp_mark", &["jump"]), ("set_dscp_mark_class", &["jump"])])
        .required_if(&[
            ("jump", "TEE", &["gateway"], false),
            ("jump", "tee", &["gateway"], false),
            ("flush", "False", &["chain"], false),
        ]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let versions: &[&str] = match args.str("ip_version") {
        Some("both") => &["ipv4", "ipv6"],
        Some("ipv6") => &["ipv6"],
        _ => &["ipv4"],
    };
    let rule = rule::words(args, versions[0])?;
    let mut changed = false;
    for version in versions {
        let tables = Tables::new(args, version)?;
        changed |= tables.apply(task, &rule::words(args, version)?)?;
    }
    let mut outcome = Outcome::changed(changed).with("failed", false).with("rule", rule.join(" "));
    for name in ["ip_version", "table", "chain", "flush", "state", "chain_management", "wait"] {
        outcome.set(name, args.get(name).cloned().unwrap_or(Json::Null));
    }
    Ok(outcome)
}

/// The program for one family of addresses.
struct Tables<'a> {
    args: &'a Args,
    start: Vec<String>,
    chain: String,
}

impl<'a> Tables<'a> {
    fn new(args: &'a Args, version: &str) -> Result<Self, Failure> {
        let name = if version == "ipv6" { "ip6tables" } else { "iptables" };
        let program = find_program(name)
            .ok_or_else(|| Failure::new(format!("Failed to find required executable \"{name}\" in paths")))?;
        let mut start = vec![program.to_string_lossy().into_owned(), "-t".to_owned(), args.string("table")];
        if let Some(seconds) = args.str("wait") {
            start.extend(["-w".to_owned(), seconds.to_owned()]);
        }
        Ok(Self { args, start, chain: args.string("chain") })
    }

    fn apply(&self, task: &mut Task<'_>, rule: &[String]) -> Result<bool, Failure> {
        let present = self.args.str("state") != Some("absent");
        if self.args.bool("flush") {
            let chain: Vec<&str> = self.args.str("chain").into_iter().collect();
            self.change(task, "-F", &chain)?;
            return Ok(true);
        }
        if let Some(policy) = self.args.str("policy") {
            let differs = self.policy(task)?.as_deref() != Some(policy);
            if differs {
                self.change(task, "-P", &[&self.chain, policy])?;
            }
            return Ok(differs);
        }
        if self.args.bool("chain_management") && rule.is_empty() {
            let there = self.ask(task, "-L", &[&self.chain])?.ok();
            if there != present {
                self.change(task, if present { "-N" } else { "-X" }, &[&self.chain])?;
            }
            return Ok(there != present);
        }
        self.rule(task, rule, present)
    }

    fn rule(&self, task: &mut Task<'_>, rule: &[String], present: bool) -> Result<bool, Failure> {
        let words: Vec<&str> =
            std::iter::once(self.chain.as_str()).chain(rule.iter().map(String::as_str)).collect();
        let there = self.ask(task, "-C", &words)?.ok();
        if there == present {
            return Ok(false);
        }
        match (present, self.args.str("action")) {
            (false, _) => self.change(task, "-D", &words)?,
            (true, Some("insert")) => {
                let mut words = words;
                if let Some(number) = self.args.str("rule_num") {
                    words.insert(1, number);
                }
                self.change(task, "-I", &words)?;
            }
            (true, _) => self.change(task, "-A", &words)?,
        }
        Ok(true)
    }

    fn argv<'w>(&'w self, verb: &'w str, words: &[&'w str]) -> Vec<&'w str> {
        self.start.iter().map(String::as_str).chain([verb]).chain(words.iter().copied()).collect()
    }

    fn ask(&self, task: &Task<'_>, verb: &str, words: &[&str]) -> Result<Output, Failure> {
        let mut argv = self.argv(verb, words);
        if self.args.bool("numeric") && verb == "-L" {
            argv.push("--numeric");
        }
        children::ask(task, &argv)
    }

    fn change(&self, task: &mut Task<'_>, verb: &str, words: &[&str]) -> Result<(), Failure> {
        if task.check {
            return Ok(());
        }
        let argv = self.argv(verb, words);
        let output = children::act(task, &argv)?;
        if output.ok() {
            return Ok(());
        }
        let said = output.stderr_text().trim_end().to_owned();
        Err(children::failed(&output, said).with("cmd", json!(crate::words::join(&argv))))
    }

    /// From `Chain INPUT (policy ACCEPT)`; chains of one's own have none.
    fn policy(&self, task: &Task<'_>) -> Result<Option<String>, Failure> {
        let output = children::expect(self.ask(task, "-L", &[&self.chain])?)?;
        let text = output.stdout_text();
        let head = text.lines().next().unwrap_or_default();
        let word = head.split_once("(policy ").and_then(|(_, rest)| rest.split([' ', ')']).next());
        Ok(word.map(str::to_owned))
    }
}
