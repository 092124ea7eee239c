//! The serving loop: order, failures, contents, cancellation, panics of the stream, layers.

use std::time::{Duration, Instant};

use catalog::protocol::{Call, FromAgent, RunInfo, ToAgent, VERSION, write_frame};
use serde_json::json;

use crate::host::{Host, connect};

#[test]
fn a_run_without_changes_leaves_nothing() {
    let mut host = Host::new();
    host.put("a", "x");
    host.expect("file", json!({"path": "W/a", "state": "file"}), json!({"changed": false}));
    host.expect(
        "lineinfile",
        json!({"path": "W/a", "line": "x", "backrefs": true, "regexp": "nothing"}),
        json!({"changed": false}),
    );
    assert_eq!(host.bye(), (None, false));
    assert!(!host.state.exists());
}

#[test]
fn changes_become_a_layer() {
    let mut host = Host::new();
    host.put("a", "old\n");
    host.run("lineinfile", json!({"path": "W/a", "line": "new"}));
    host.run("file", json!({"path": "W/d", "state": "directory"}));
    assert_eq!(host.bye(), (Some(1), true));
    let layer = layer::history::read(&host.state, 1).unwrap();
    assert_eq!(layer.run.run, "r1");
    let step = layer.steps.iter().find(|s| s.path.ends_with("a")).unwrap();
    assert_eq!(layer.causes[step.cause].task, "try lineinfile");
    let store = layer::store::Store::new(&host.state);
    let mut kept = String::new();
    let digest = step.before.as_ref().unwrap().digest().unwrap();
    std::io::Read::read_to_string(&mut store.get(digest).unwrap(), &mut kept).unwrap();
    assert_eq!(kept, "old\n");
    assert_eq!(layer.steps.len(), 2);
    assert_eq!(layer::history::generations(&host.state).unwrap(), [1]);
}

#[test]
fn a_failure_stops_what_follows_until_resumed() {
    let mut host = Host::new();
    let mut bad = host.call("file", json!({"path": "W/nothing", "state": "file"}));
    bad.keep_going = false;
    bad.group = 7;
    let same_group = Call { group: 7, ..host.call("ping", json!({})) };
    let good = host.call("ping", json!({}));
    let ids = [
        host.post(bad, 3),
        host.post(same_group, 3),
        host.post(good.clone(), 3),
        host.post(good.clone(), u32::MAX),
    ];
    host.send(&ToAgent::Resume { epoch: 4 });
    let last = host.post(good, 4);
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(match host.answer() {
            Some(FromAgent::Done { id, result, .. }) => (id, Some(!result.contains_key("failed"))),
            Some(FromAgent::Refused { id }) => (id, None),
            other => panic!("{other:?}"),
        });
    }
    let wanted = [
        (ids[0], Some(false)),
        (ids[1], Some(true)),
        (ids[2], None),
        (ids[3], Some(true)),
        (last, Some(true)),
    ];
    assert_eq!(answers, wanted);
    host.bye();
}

/// Of several names of this host each has an epoch of its own.
#[test]
fn a_failure_of_one_name_does_not_make_that_of_another_forgotten() {
    let mut host = Host::new();
    let bad =
        || Call { keep_going: false, ..host.call("file", json!({"path": "W/nothing", "state": "file"})) };
    let (one, other, good) = (bad(), bad(), host.call("ping", json!({})));
    let ids = [
        host.post(one, 1),
        host.post(other, 2),
        host.post(good.clone(), 1),
        host.post(good.clone(), 2),
        host.post(good.clone(), 3),
    ];
    host.send(&ToAgent::Resume { epoch: 4 });
    let still = host.post(good.clone(), 2);
    let last = host.post(good, 4);
    let mut done = Vec::new();
    for _ in 0..7 {
        match host.answer() {
            Some(FromAgent::Done { id, result, .. }) if !result.contains_key("failed") => done.push(id),
            Some(FromAgent::Done { id, .. }) => assert!(ids[..2].contains(&id)),
            Some(FromAgent::Refused { id }) => assert!([ids[2], ids[3], still].contains(&id)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(done, [ids[4], last]);
    host.bye();
}

#[test]
fn contents_are_asked_for_early_and_once() {
    let mut host = Host::new();
    let bytes = b"content from the controller".to_vec();
    let digest = layer::Digest::of(&bytes).to_string();
    let args = json!({"dest": "W/f", "_content": digest, "_size": bytes.len(), "mode": "0640"});
    let first = host.call("copy", args.clone());
    let slow = host.call("shell", json!({"_raw_params": "sleep 0.3"}));
    host.post(slow, 0);
    host.post(first, 0);
    // The request comes while the first task still runs.
    assert!(matches!(host.receive(), Some(FromAgent::Need { .. })));
    write_frame_with(&mut host, &digest, &bytes);
    for _ in 0..2 {
        let Some(FromAgent::Done { result, .. }) = host.answer() else { panic!() };
        assert!(result.get("failed").is_none(), "{result:?}");
    }
    assert_eq!(host.get("f"), "content from the controller");
    host.expect("copy", args, json!({"changed": false}));
    assert!(host.asked.is_empty());
    let missing = layer::Digest::of(b"unknown").to_string();
    host.expect(
        "copy",
        json!({"dest": "W/g", "_content": missing}),
        json!({"failed": true, "msg": "not here"}),
    );
    host.bye();
}

fn write_frame_with(host: &mut Host, digest: &str, bytes: &[u8]) {
    host.send_with(&ToAgent::Blob { agent: 0, digest: digest.to_owned() }, bytes);
}

#[test]
fn ping_is_answered_while_a_task_runs_and_cancel_ends_it() {
    let mut host = Host::new();
    let call = host.call("shell", json!({"_raw_params": "sleep 30"}));
    let start = Instant::now();
    let id = host.post(call, 0);
    host.send(&ToAgent::Ping);
    assert!(matches!(host.receive(), Some(FromAgent::Alive)));
    std::thread::sleep(Duration::from_millis(200));
    host.send(&ToAgent::Cancel { id });
    let Some(FromAgent::Done { result, .. }) = host.answer() else { panic!() };
    assert_eq!(result["failed"], json!(true));
    assert!(start.elapsed() < Duration::from_secs(20));
    host.bye();
}

#[test]
fn a_timeout_ends_the_whole_group() {
    let mut host = Host::new();
    let mut call = host.call("shell", json!({"_raw_params": "(sleep 2; touch W/too-late) & sleep 30"}));
    call.timeout_seconds = 1;
    let result = host.run_call(call);
    assert_eq!(result["failed"], json!(true), "{result}");
    std::thread::sleep(Duration::from_millis(2200));
    assert!(!host.work().join("too-late").exists());
    host.bye();
}

#[test]
fn a_lost_controller_ends_the_agent_and_seals_the_layer() {
    let mut host = Host::new();
    host.run("file", json!({"path": "W/d", "state": "directory"}));
    let call = host.call("shell", json!({"_raw_params": "sleep 60"}));
    host.post(call, 0);
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    host.hang_up();
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(layer::history::read(&host.state, 1).unwrap().failed);
}

#[test]
fn only_one_run_changes_the_host() {
    let mut host = Host::new();
    host.run("file", json!({"path": "W/d", "state": "directory"}));
    let (mut to, mut from, agent) = connect(&host.state, Duration::from_millis(200));
    write_frame(&mut to, &ToAgent::Hello { version: VERSION, run: RunInfo::default() }, &[]).unwrap();
    let call = Box::new(host.call("file", json!({"path": "W/e", "state": "directory"})));
    write_frame(&mut to, &ToAgent::Call { id: 1, agent: 0, epoch: 0, call }, &[]).unwrap();
    let mut fatal = None;
    while let Ok(Some((message, _))) = catalog::protocol::read_frame(&mut from) {
        if let FromAgent::Fatal { reason } = message {
            fatal = Some(reason);
        }
    }
    assert!(fatal.unwrap().contains("run r1"));
    agent.join().unwrap().unwrap();
    assert!(!host.work().join("e").exists());
    host.bye();
}

#[test]
fn mistakes_are_told() {
    let mut host = Host::new();
    let result = host.run("no_such_module", json!({}));
    assert!(result["msg"].as_str().unwrap().contains("no_such_module"), "{result}");
    let result = host.run("file", json!({"path": "W/a", "sate": "touch"}));
    assert!(result["msg"].as_str().unwrap().contains("did you mean `state`"), "{result}");
    host.bye();
}

#[test]
fn another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut to, mut from, agent) = connect(dir.path(), Duration::from_secs(1));
    write_frame(&mut to, &ToAgent::Hello { version: VERSION + 1, run: RunInfo::default() }, &[]).unwrap();
    let (message, _) = catalog::protocol::read_frame::<FromAgent>(&mut from).unwrap().unwrap();
    assert!(matches!(message, FromAgent::Fatal { .. }));
    agent.join().unwrap().unwrap();
}
