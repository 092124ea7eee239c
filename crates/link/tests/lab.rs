//! The lab as a transport, with the agent that this program carries.

use std::sync::Arc;

use link::{CallEnd, Connection, LabTarget, Link, NoBlobs, RunInfo, Silent, Target};
use serde_json::json;

use crate::support::call;

/// A host of the default pool; removed at the end.
struct Removed(&'static str);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = lab::Lab::open().and_then(|lab| lab.down(self.0));
    }
}

#[tokio::test]
async fn a_lab_host_is_made_when_it_is_first_used() {
    let lacks = lab::Lab::missing();
    if lacks.iter().any(|reason| reason.contains("root's capabilities")) {
        println!("SKIPPED a_lab_host_is_made_when_it_is_first_used: needs root");
        return;
    }
    let _removed = Removed("link-test-1");
    let target =
        Target::new("x", Connection::Lab(LabTarget { name: "link_test.1".into(), base: None, pool: None }));
    let run = RunInfo { run: "test".into(), ..RunInfo::default() };
    let connect = || Link::connect(&target, run.clone(), Arc::new(Silent));
    let (one, two) = tokio::join!(connect(), connect());
    drop(two);
    let link = one.unwrap();
    assert_eq!((link.hello().uid, link.hello().host.as_str()), (0, "link-test-1"));
    let answer = link.call(0, 0, call("ping", json!({"data": "there"})), Arc::new(NoBlobs)).await.unwrap();
    let CallEnd::Done { result, .. } = answer else { panic!("refused") };
    assert_eq!(result["ping"], "there", "{result:?}");
    link.bye(false, false).await.unwrap();
}
