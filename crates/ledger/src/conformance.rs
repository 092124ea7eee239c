//! What every implementation of [`Ledger`] must do. Each check gets a new, empty ledger.

use serde_json::json;

use crate::{Counts, Error, GenerationSummary, HostResult, Ledger, RunEnd, RunStart};

/// Runs all checks; panics at the first that fails.
///
/// # Panics
/// If the implementation does not do what it must.
pub fn check(make: &mut dyn FnMut() -> Box<dyn Ledger>) {
    empty(&*make());
    runs_come_back(&mut *make());
    histories_of_hosts(&mut *make());
    hosts_made_anew(&mut *make());
    refusals(&mut *make());
    facts_are_filtered(&mut *make());
    the_chain_holds(&mut *make());
}

fn start(id: &str, minute: u32) -> RunStart {
    RunStart {
        id: id.to_owned(),
        started: format!("2026-01-02T03:{minute:02}:00Z"),
        person: "ann@laptop".to_owned(),
        command: "theseus apply site.yml".to_owned(),
        project: "/home/ann/site".to_owned(),
        playbooks_digest: "d1".to_owned(),
        check: false,
    }
}

fn result(host: &str, generation: Option<u64>, made: bool) -> HostResult {
    let counts = Counts { ok: 5, changed: 2, skipped: 1, ..Counts::default() };
    HostResult { host: host.to_owned(), counts, generation, made, reason: None }
}

fn summary(path: &str) -> GenerationSummary {
    GenerationSummary {
        paths: 12,
        some_paths: vec![path.to_owned()],
        tasks: vec!["web : configure".to_owned()],
    }
}

fn end(minute: u32, hosts: Vec<HostResult>) -> RunEnd {
    let generations = hosts
        .iter()
        .filter_map(|host| {
            Some((host.host.clone(), host.generation.filter(|_| host.made)?, summary("/etc/a")))
        })
        .collect();
    RunEnd { finished: format!("2026-01-02T03:{minute:02}:30Z"), exit: 0, hosts, generations }
}

fn empty(ledger: &dyn Ledger) {
    assert!(ledger.runs(None, 10).expect("runs").is_empty());
    assert!(ledger.run("r1").expect("run").is_none());
    assert!(ledger.results("r1").expect("results").is_empty());
    assert!(ledger.generations(None, 10).expect("generations").is_empty());
    assert!(ledger.last_generation("a").expect("last").is_none());
    assert!(ledger.hosts().expect("hosts").is_empty());
    let verification = ledger.verify().expect("verify");
    assert_eq!((verification.entries, verification.problem), (0, None));
}

fn runs_come_back(ledger: &mut dyn Ledger) {
    // The order is that of arrival, whatever the clocks of controllers said.
    for (id, minute) in [("r1", 5), ("r2", 1), ("r3", 9)] {
        ledger.begin_run(&start(id, minute)).expect("begin");
    }
    let mut failed = result("b", None, false);
    failed.counts.unreachable = 1;
    failed.reason = Some("no route to host".to_owned());
    let done = RunEnd { exit: 4, ..end(6, vec![failed.clone(), result("a", Some(1), true)]) };
    ledger.end_run("r1", &done).expect("end");
    let ids = |limit| -> Vec<String> {
        ledger.runs(None, limit).expect("runs").into_iter().map(|run| run.start.id).collect()
    };
    assert_eq!(ids(10), ["r3", "r2", "r1"]);
    assert_eq!(ids(2), ["r3", "r2"]);
    let run = ledger.run("r1").expect("run").expect("r1 is there");
    assert_eq!(run.start, start("r1", 5));
    assert_eq!((run.finished.as_deref(), run.exit), (Some(done.finished.as_str()), Some(4)));
    let unfinished = ledger.run("r2").expect("run").expect("r2 is there");
    assert_eq!((unfinished.finished, unfinished.exit), (None, None));
    assert_eq!(ledger.results("r1").expect("results"), [result("a", Some(1), true), failed]);
    let of_a: Vec<_> =
        ledger.runs(Some("a"), 10).expect("runs").into_iter().map(|run| run.start.id).collect();
    assert_eq!(of_a, ["r1"]);
}

fn histories_of_hosts(ledger: &mut dyn Ledger) {
    for (id, minute, hosts) in [
        ("r1", 1, vec![result("a", Some(1), true), result("b", Some(7), true)]),
        ("r2", 2, vec![result("a", Some(1), false)]),
        ("r3", 3, vec![result("a", Some(2), true)]),
    ] {
        ledger.begin_run(&start(id, minute)).expect("begin");
        ledger.end_run(id, &end(minute, hosts)).expect("end");
    }
    let numbers = |host: Option<&str>| -> Vec<(String, u64)> {
        let all = ledger.generations(host, 10).expect("generations");
        all.into_iter().map(|generation| (generation.host, generation.number)).collect()
    };
    let named = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs.iter().map(|(host, number)| ((*host).to_owned(), *number)).collect()
    };
    assert_eq!(numbers(Some("a")), named(&[("a", 2), ("a", 1)]));
    assert_eq!(numbers(None), named(&[("a", 2), ("a", 1), ("b", 7)]));
    let last = ledger.last_generation("a").expect("last").expect("a has one");
    assert_eq!((last.number, last.run.as_str(), last.summary), (2, "r3", summary("/etc/a")));
    let hosts = ledger.hosts().expect("hosts");
    let seen: Vec<_> = hosts.iter().map(|host| (host.name.as_str(), host.generation)).collect();
    assert_eq!(seen, [("a", Some(2)), ("b", Some(7))]);
    assert_eq!(hosts[0].first_seen, "2026-01-02T03:01:30Z");
    assert_eq!(hosts[0].last_seen, "2026-01-02T03:03:30Z");
}

/// A host that was thrown away and made again under its name counts from 1 again.
fn hosts_made_anew(ledger: &mut dyn Ledger) {
    for (id, minute, number) in [("r1", 1, 1), ("r2", 2, 2), ("r3", 3, 1)] {
        ledger.begin_run(&start(id, minute)).expect("begin");
        ledger.end_run(id, &end(minute, vec![result("a", Some(number), true)])).expect("end");
    }
    let last = ledger.last_generation("a").expect("last").expect("a has one");
    assert_eq!((last.number, last.run.as_str()), (1, "r3"));
    assert_eq!(ledger.hosts().expect("hosts")[0].generation, Some(1));
    assert_eq!(ledger.generations(Some("a"), 10).expect("generations").len(), 3);
    assert_eq!(ledger.verify().expect("verify").problem, None);
}

fn refusals(ledger: &mut dyn Ledger) {
    ledger.begin_run(&start("r1", 1)).expect("begin");
    assert!(matches!(ledger.begin_run(&start("r1", 2)), Err(Error::KnownRun(_))));
    assert!(matches!(ledger.end_run("nope", &end(1, vec![])), Err(Error::UnknownRun(_))));
    ledger.end_run("r1", &end(1, vec![result("a", Some(1), true)])).expect("end");
    assert!(matches!(ledger.end_run("r1", &end(1, vec![])), Err(Error::EndedRun(_))));
    ledger.begin_run(&start("r2", 2)).expect("begin");
    // One host cannot have two results.
    let twice = ledger.end_run("r2", &end(2, vec![result("b", Some(1), true), result("b", Some(2), true)]));
    assert!(twice.is_err());
    // What was refused has left nothing behind.
    assert_eq!(ledger.run("r2").expect("run").expect("r2 is there").finished, None);
    assert!(ledger.last_generation("b").expect("last").is_none());
    assert_eq!(ledger.verify().expect("verify").problem, None);
}

fn facts_are_filtered(ledger: &mut dyn Ledger) {
    let facts = json!({"ansible_kernel": "6.1", "ansible_env": {"TOKEN": "s3cr3t"}, "password": "s3cr3t"});
    let facts = facts.as_object().expect("an object");
    for at in ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] {
        ledger.note_facts("a", at, facts).expect("facts");
    }
    let hosts = ledger.hosts().expect("hosts");
    assert_eq!(json!(hosts[0].facts), json!({"kernel": "6.1"}));
    assert_eq!(
        (hosts[0].first_seen.as_str(), hosts[0].last_seen.as_str()),
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    );
    let log = ledger.log(1, 10).expect("log");
    assert_eq!(log.len(), 1, "the same facts again are no news");
    assert!(!log[0].body.contains("s3cr3t"));
}

fn the_chain_holds(ledger: &mut dyn Ledger) {
    for number in 0..20 {
        let id = format!("r{number}");
        ledger.begin_run(&start(&id, number)).expect("begin");
        let hosts = vec![result("a", Some(u64::from(number) + 1), true)];
        ledger.end_run(&id, &end(number, hosts)).expect("end");
    }
    let log = ledger.log(1, 100).expect("log");
    assert_eq!(log.len(), 40);
    assert!(
        log.windows(2).all(|pair| pair[1].previous == pair[0].hash && pair[1].number == pair[0].number + 1)
    );
    assert_eq!(ledger.log(39, 100).expect("log").len(), 2);
    let verification = ledger.verify().expect("verify");
    assert_eq!((verification.entries, verification.problem), (40, None));
    assert_eq!(verification.head, log[39].hash);
}
