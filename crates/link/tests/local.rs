//! The conversation itself, over the simplest transport.

use std::sync::Arc;
use std::time::{Duration, Instant};

use link::{Blobs, CallEnd, Connection, Escalate, LinkError, NoBlobs};
use serde_json::json;

use crate::support::{call, connect, target};

#[tokio::test]
async fn calls_are_pipelined_and_matched() {
    let link = connect(&target(Connection::Local)).await.unwrap();
    let handles: Vec<_> =
        (0..40).map(|n| link.call(0, 0, call("echo", json!({"n": n})), Arc::new(NoBlobs))).collect();
    for (n, handle) in handles.into_iter().enumerate() {
        let CallEnd::Done { result, .. } = handle.await.unwrap() else { panic!("refused") };
        assert_eq!(result["n"], n);
    }
    assert_eq!(link.round_trips(), if link.pushed() { 4 } else { 2 }, "greeting and one batch");
    let sealed = link.bye(false, false).await.unwrap();
    assert_eq!((sealed.generation, sealed.made), (Some(7), true));
}

struct One(Vec<u8>);

impl Blobs for One {
    fn get(&self, digest: &str) -> Option<Arc<[u8]>> {
        (digest == "wanted").then(|| self.0.clone().into())
    }
}

#[tokio::test]
async fn contents_are_given_when_asked_for() {
    let link = connect(&target(Connection::Local)).await.unwrap();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let wanted = blake3::hash(&bytes).to_hex();
    let have = link.call(0, 0, call("need", json!({"digest": "wanted"})), Arc::new(One(bytes)));
    let lack = link.call(0, 0, call("need", json!({"digest": "other"})), Arc::new(NoBlobs));
    let CallEnd::Done { result, .. } = have.await.unwrap() else { panic!("refused") };
    assert_eq!(result["blake3"], wanted.as_str());
    let CallEnd::Done { result, .. } = lack.await.unwrap() else { panic!("refused") };
    assert_eq!(result["missing"], true);
}

#[tokio::test]
async fn after_a_failure_calls_are_refused_until_resumed() {
    let link = connect(&target(Connection::Local)).await.unwrap();
    let send = |epoch, module: &str| link.call(0, epoch, call(module, json!({})), Arc::new(NoBlobs));
    let (failed, after) = (send(0, "fail"), send(0, "echo"));
    assert!(matches!(failed.await, Ok(CallEnd::Done { .. })));
    assert_eq!(after.await, Ok(CallEnd::Refused));
    link.resume(1);
    assert!(matches!(send(1, "echo").await, Ok(CallEnd::Done { .. })));
}

#[tokio::test]
async fn an_agent_that_dies_fails_what_waits_with_the_reason() {
    let link = connect(&target(Connection::Local)).await.unwrap();
    let dies = link.call(0, 0, call("die", json!({})), Arc::new(NoBlobs));
    let waits = link.call(0, 0, call("echo", json!({})), Arc::new(NoBlobs));
    let error = dies.await.unwrap_err();
    assert_eq!(
        error,
        LinkError::Lost { reason: "the connection was closed by the host (exit status: 9)".into() }
    );
    assert_eq!(waits.await.unwrap_err(), error);
    let late = link.call(0, 0, call("echo", json!({})), Arc::new(NoBlobs));
    assert_eq!(late.await.unwrap_err(), error);
    assert_eq!(link.bye(false, false).await.unwrap_err(), error);
}

#[tokio::test]
async fn a_silent_host_is_lost_in_time() {
    let mut target = target(Connection::Local);
    target.keep_alive = Duration::from_millis(300);
    target.patience = Duration::from_secs(4);
    let link = connect(&target).await.unwrap();
    let slow = link.call(0, 0, call("sleep", json!({"millis": 4500})), Arc::new(NoBlobs));
    assert!(slow.await.is_ok(), "a slow task is not a silent host");
    let start = Instant::now();
    let hangs = link.call(0, 0, call("hang", json!({})), Arc::new(NoBlobs));
    let error = hangs.await.unwrap_err();
    assert_eq!(error.to_string(), "the host has not answered for 4 s");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn other_users_agents_are_opened_once() {
    let link = connect(&target(Connection::Local)).await.unwrap();
    let escalate =
        Escalate { method: "sudo".into(), user: "root".into(), timeout_seconds: 10, ..Escalate::default() };
    let (one, two) = tokio::join!(link.agent(&escalate), link.agent(&escalate));
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(link.agent_hello(&escalate).await.unwrap().user, "root");
    let wrong = Escalate { user: "other".into(), password: Some("wrong".into()), ..escalate };
    let error = link.agent(&wrong).await.unwrap_err();
    assert_eq!(error, LinkError::Escalate { reason: "the password was refused".into(), password: true });
}
