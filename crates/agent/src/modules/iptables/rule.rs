//! A rule as the program's words, always in the same order, so that the program recognises its own rule again.

use catalog::{Args, Json, arguments};

use crate::module::Failure;

#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn push(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|w| (*w).to_owned()));
    }

    /// `flag value`; `!value` is `! flag value`.
    fn flag(&mut self, flag: &str, value: Option<&str>) {
        match value.map(|value| value.strip_prefix('!').map_or((false, value), |rest| (true, rest))) {
            None => {}
            Some((true, value)) => self.push(&["!", flag, value]),
            Some((false, value)) => self.push(&[flag, value]),
        }
    }

    /// The extension that the following flags belong to, unless the task names it itself.
    fn extension(&mut self, named: &[String], name: &str) {
        if !named.iter().any(|n| n == name) {
            self.push(&["-m", name]);
        }
    }
}

pub(super) fn words(args: &Args, version: &str) -> Result<Vec<String>, Failure> {
    let mut rule = Words::default();
    let named = args.strings("match");
    basics(args, &mut rule, &named);
    targets(args, &mut rule);
    conditions(args, &mut rule, &named);
    rule.flag("--reject-with", args.str("reject_with"));
    let icmp = if version == "ipv6" { "--icmpv6-type" } else { "--icmp-type" };
    rule.flag(icmp, args.str("icmp_type"));
    if let Some(comment) = args.str("comment") {
        rule.push(&["-m", "comment", "--comment", comment]);
    }
    Ok(rule.0)
}

fn basics(args: &Args, rule: &mut Words, named: &[String]) {
    rule.flag("-p", args.str("protocol"));
    rule.flag("-s", args.str("source"));
    rule.flag("-d", args.str("destination"));
    for name in named {
        rule.push(&["-m", name]);
    }
    if let Some(flags) = args.dict("tcp_flags") {
        let list = |key: &str| {
            let words = flags.get(key).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            words.iter().map(arguments::text).collect::<Vec<_>>().join(",")
        };
        let (all, set) = (list("flags"), list("flags_set"));
        if !all.is_empty() && !set.is_empty() {
            rule.push(&["--tcp-flags", &all, &set]);
        }
    }
}

fn targets(args: &Args, rule: &mut Words) {
    // A way to reject, without a target, can only mean REJECT.
    let jump = args.str("jump").or(args.str("reject_with").map(|_| "REJECT"));
    rule.flag("-j", jump);
    if args.str("jump").is_some_and(|jump| jump.eq_ignore_ascii_case("tee")) {
        rule.flag("--gateway", args.str("gateway"));
    }
    if let Some(prefix) = args.str("log_prefix") {
        rule.push(&["--log-prefix", prefix]);
    }
    rule.flag("--log-level", args.str("log_level"));
    rule.flag("--to-destination", args.str("to_destination"));
    let ports = args.strings("destination_ports");
    if !ports.is_empty() {
        rule.push(&["-m", "multiport", "--dports", &ports.join(",")]);
    }
    rule.flag("--to-source", args.str("to_source"));
    rule.flag("-g", args.str("goto"));
    rule.flag("-i", args.str("in_interface"));
    rule.flag("-o", args.str("out_interface"));
    rule.flag("-f", args.str("fragment"));
    if let Some(counters) = args.str("set_counters") {
        rule.push(&["-c"]);
        rule.0.extend(counters.split_whitespace().map(str::to_owned));
    }
    rule.flag("--source-port", args.str("source_port"));
    rule.flag("--destination-port", args.str("destination_port"));
    rule.flag("--to-ports", args.str("to_ports"));
    for (flag, name) in [("--set-dscp", "set_dscp_mark"), ("--set-dscp-class", "set_dscp_mark_class")] {
        rule.flag(flag, args.str(name));
        if args.has(name) && !args.string("jump").eq_ignore_ascii_case("DSCP") {
            rule.push(&["-j", "DSCP"]);
        }
    }
}

fn conditions(args: &Args, rule: &mut Words, named: &[String]) {
    let names = |name: &str| named.iter().any(|n| n == name);
    match args.str("syn") {
        Some("match") => rule.push(&["--syn"]),
        Some("negate") => rule.push(&["!", "--syn"]),
        _ => {}
    }
    let states = args.strings("ctstate").join(",");
    if !states.is_empty() {
        if names("state") && !names("conntrack") {
            rule.push(&["--state", &states]);
        } else {
            rule.extension(named, "conntrack");
            rule.push(&["--ctstate", &states]);
        }
    }
    if args.has("src_range") || args.has("dst_range") {
        rule.extension(named, "iprange");
        rule.flag("--src-range", args.str("src_range"));
        rule.flag("--dst-range", args.str("dst_range"));
    }
    if let (Some(set), Some(flags)) = (args.str("match_set"), args.str("match_set_flags")) {
        rule.extension(named, "set");
        rule.flag("--match-set", Some(set));
        rule.push(&[flags]);
    }
    if args.has("limit") || args.has("limit_burst") {
        rule.push(&["-m", "limit"]);
        rule.flag("--limit", args.str("limit"));
        rule.flag("--limit-burst", args.str("limit_burst"));
    }
    for (flag, name) in [("--uid-owner", "uid_owner"), ("--gid-owner", "gid_owner")] {
        if args.has(name) {
            rule.push(&["-m", "owner"]);
            rule.flag(flag, args.str(name));
        }
    }
}
