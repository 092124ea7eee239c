//! Several names of one host: their calls of one step are done at the same time, and are one exact record all the same.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use catalog::protocol::{Beside, Call, FromAgent, ToAgent};
use catalog::{Json, Map};
use serde_json::json;

use crate::host::Host;

fn shell(host: &Host, script: &str, step: u64, lane: u32) -> Call {
    let beside = Some(Beside { step, lane });
    Call { beside, timeout_seconds: 20, ..host.call("shell", json!({"_raw_params": script, "chdir": "W"})) }
}

struct Done {
    id: u64,
    result: Map,
    paths: Vec<String>,
}

fn answers(host: &mut Host, number: usize) -> Vec<Done> {
    let mut all = Vec::new();
    while all.len() < number {
        match host.answer() {
            Some(FromAgent::Done { id, result, paths, .. }) => all.push(Done { id, result, paths }),
            other => panic!("{other:?}"),
        }
    }
    all
}

fn post(host: &mut Host, script: &str, step: u64, lane: u32) -> u64 {
    let call = shell(host, script, step, lane);
    host.post(call, u32::MAX)
}

const UNTIL: &str = "until test -e";

#[test]
fn names_do_not_wait_for_each_other_but_for_the_step_before() {
    let mut host = Host::new();
    // Each of the first two ends only when the other one has begun.
    let first = post(&mut host, &format!("{UNTIL} b; do sleep 0.01; done; touch a"), 1, 1);
    let behind = post(&mut host, "test -e a && test ! -e later && touch behind", 1, 1);
    let second = post(&mut host, &format!("touch b; {UNTIL} behind; do sleep 0.01; done; sleep 0.2"), 1, 2);
    let next = post(&mut host, "test -e behind && touch later", 2, 2);
    let alone = host.call("shell", json!({"_raw_params": "test -e later", "chdir": "W"}));
    let alone = host.post(alone, u32::MAX);
    let all = answers(&mut host, 5);
    assert_eq!(all.iter().map(|done| done.id).collect::<Vec<_>>(), [first, behind, second, next, alone]);
    for Done { id, result, .. } in &all {
        assert_eq!(result["rc"], json!(0), "call {id}: {result:?}");
    }
    host.bye();
}

/// What can be compared of a tree: mode, time and content of each name, and which names are one file.
type Tree = BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>, Vec<PathBuf>)>;

fn tree(host: &Host) -> Tree {
    let mut found = BTreeMap::new();
    let mut open = vec![host.work()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let data = path.symlink_metadata().unwrap();
            if data.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, data);
        }
    }
    let one = |a: &std::fs::Metadata, b: &std::fs::Metadata| a.ino() == b.ino() && a.dev() == b.dev();
    let peers = |data: &std::fs::Metadata| {
        found.iter().filter(|(_, other)| one(data, other)).map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    let of = |(path, data): (&PathBuf, &std::fs::Metadata)| {
        let content = if data.is_file() { std::fs::read(path).unwrap() } else { Vec::new() };
        (path.clone(), (data.mode(), data.mtime(), data.mtime_nsec(), content, peers(data)))
    };
    found.iter().map(of).collect()
}

#[test]
fn what_they_did_at_the_same_time_is_undone_exactly() {
    let mut host = Host::new();
    std::fs::create_dir(host.work().join("d")).unwrap();
    for lane in 0..8 {
        host.put(&format!("d/mine{lane}"), "old");
    }
    host.put("log", "old\n");
    let before = tree(&host);
    let script = "mv d/mineN d/movedN; echo new > mineN; chmod 600 mineN; ln -f log d/logN; rm -f d/mineM 2>/dev/null\n\
                  for i in 1 2 3 4 5; do echo N $i >> log; echo $i > shared; mkdir -p e; mv -f shared e/shared; done 2>/dev/null\n\
                  exec 3>>log; sleep 0.N; echo late N >&3";
    for lane in 0..8 {
        let script = script.replace('N', &lane.to_string()).replace('M', &((lane + 1) % 8).to_string());
        post(&mut host, &script, 1, lane);
    }
    let all = answers(&mut host, 8);
    for Done { id, result, paths } in &all {
        assert_eq!(result["rc"], json!(0), "{result:?}");
        let [own, other] = [id - 1, id % 8].map(|lane| host.work().join(format!("d/moved{lane}")));
        let has = |path: &PathBuf| paths.iter().any(|changed| **changed == *path.to_string_lossy());
        assert!(!has(&other), "call {id}: {paths:?}");
        // Its neighbour may have removed it first.
        assert!(!own.exists() || has(&own), "call {id}: {paths:?}");
    }
    assert_eq!(host.get("log").lines().filter(|line| line.starts_with("late")).count(), 8);
    assert_eq!(host.bye(), (Some(1), true));
    let after = tree(&host);
    let undo = |to| {
        let options = layer::history::Options { to, ..layer::history::Options::default() };
        layer::history::undo(&host.state, &options, layer::Run::default()).unwrap();
    };
    undo(0);
    assert_eq!(tree(&host), before);
    undo(1);
    assert_eq!(tree(&host), after);
    assert!(layer::store::check(&host.state).unwrap().is_good());
}

#[test]
fn one_of_them_is_cancelled() {
    let mut host = Host::new();
    let long = post(&mut host, "sleep 30", 1, 1);
    let other = post(&mut host, "touch begun; until test -e go; do sleep 0.01; done", 1, 2);
    let begun = host.work().join("begun");
    let limit = Instant::now() + Duration::from_secs(60);
    while !begun.exists() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
    host.send(&ToAgent::Cancel { id: long });
    let cancelled = answers(&mut host, 1).remove(0);
    assert_eq!((cancelled.id, &cancelled.result["failed"]), (long, &json!(true)));
    host.put("go", "");
    let done = answers(&mut host, 1).remove(0);
    assert_eq!((done.id, &done.result["rc"]), (other, &json!(0)));
    host.bye();
}

#[test]
fn a_lost_controller_ends_all_of_them() {
    let mut host = Host::new();
    for lane in 0..5 {
        post(&mut host, &format!("echo {lane} > begun{lane}; sleep 60"), 1, lane);
    }
    let limit = Instant::now() + Duration::from_secs(60);
    while (0..5).any(|lane| !host.work().join(format!("begun{lane}")).exists()) && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
    let start = Instant::now();
    host.hang_up();
    assert!(start.elapsed() < Duration::from_secs(30));
    let layer = layer::history::read(&host.state, 1).unwrap();
    assert!(layer.failed);
    let names = |name: &str| layer.steps.iter().any(|step| step.path.ends_with(name));
    assert!((0..5).all(|lane| names(&format!("begun{lane}"))));
}

#[test]
fn a_failure_stops_its_own_name() {
    let mut host = Host::new();
    let fails = |call: Call, epoch| (Call { keep_going: false, ..call }, epoch);
    let (bad, epoch) = fails(shell(&host, "exit 3", 1, 1), 1);
    let bad = host.post(bad, epoch);
    let (next, epoch) = fails(shell(&host, "touch never", 2, 1), 1);
    let next = host.post(next, epoch);
    assert_eq!(answers(&mut host, 1).remove(0).id, bad);
    assert!(matches!(host.answer(), Some(FromAgent::Refused { id }) if id == next));
    let ok = host.run("shell", json!({"_raw_params": "test ! -e never", "chdir": "W"}));
    // Of no epoch that has failed.
    assert_eq!(ok["rc"], Json::from(0), "{ok}");
    host.bye();
}

/// What one task writes is open in what another one starts at the same moment, until that has become its program.
#[test]
fn a_program_that_is_open_for_writing_is_tried_again() {
    let mut host = Host::new();
    host.put("said.sh", "#!/bin/sh\necho said\n");
    let path = host.work().join("said.sh");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let open = std::fs::File::options().append(true).open(&path).unwrap();
    let call = host.call("command", json!({"argv": [path]}));
    host.post(call.clone(), u32::MAX);
    std::thread::sleep(Duration::from_millis(300));
    drop(open);
    assert_eq!(answers(&mut host, 1).remove(0).result["stdout"], json!("said"));
    // Not for ever.
    let _open = std::fs::File::options().append(true).open(&path).unwrap();
    let result = host.run_call(call);
    assert!(result["msg"].as_str().unwrap().contains("Text file busy"), "{result}");
    host.bye();
}
