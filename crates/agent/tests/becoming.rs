//! Other users' agents: started by the real sudo and su where we are root, and by a stand-in that asks for a password.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use catalog::protocol::{
    Call, Escalate, FromAgent, MAGIC, RunInfo, ToAgent, VERSION, read_frame, write_frame,
};
use serde_json::json;

struct Agent {
    process: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Agent {
    fn start() -> Self {
        Self::run(&["serve"])
    }
    fn start_in(state: &std::path::Path) -> Self {
        Self::run(&["serve", "--state-dir", &state.to_string_lossy()])
    }
    fn run(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_theseus-agent"));
        let mut process = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, mut from) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).unwrap();
        let mut agent = Self { process, to, from };
        agent.send(&ToAgent::Hello { version: VERSION, run: RunInfo::default() });
        assert!(matches!(agent.receive(), FromAgent::Hello(_)));
        agent
    }
    fn send(&mut self, message: &ToAgent) {
        write_frame(&mut self.to, message, &[]).unwrap();
    }
    fn receive(&mut self) -> FromAgent {
        read_frame(&mut self.from).unwrap().unwrap().0
    }
    fn open(&mut self, method: &str, exe: Option<String>, password: Option<&str>) -> FromAgent {
        let escalate = Escalate {
            method: method.into(),
            user: "nobody".into(),
            password: password.map(str::to_owned),
            exe,
            timeout_seconds: 20,
            ..Escalate::default()
        };
        self.send(&ToAgent::Open { agent: 5, escalate });
        self.receive()
    }
    fn who(&mut self) -> String {
        let args = json!({"_raw_params": "id -un"}).as_object().unwrap().clone();
        let call = Box::new(Call { module: "command".into(), args, ..Call::default() });
        self.send(&ToAgent::Call { id: 9, agent: 5, epoch: 0, call });
        match self.receive() {
            FromAgent::Done { id: 9, result, .. } => result["stdout"].as_str().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        }
    }
    fn bye(mut self) {
        self.send(&ToAgent::Bye { failed: false, undo: false });
        assert!(matches!(self.receive(), FromAgent::Sealed(_)));
        assert!(self.process.wait().unwrap().success());
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|l| l.starts_with("Uid:\t0\t"))
}

#[test]
fn by_sudo_and_su() {
    for method in ["sudo", "su"] {
        if !is_root() || Command::new(method).arg("--version").output().is_err() {
            println!("SKIPPED by_sudo_and_su: needs root and {method}");
            continue;
        }
        let mut agent = Agent::start();
        match agent.open(method, None, None) {
            FromAgent::Opened { agent: 5, hello } => assert_eq!(hello.user, "nobody"),
            other => panic!("{method}: {other:?}"),
        }
        assert_eq!(agent.who(), "nobody");
        agent.bye();
    }
    // `nobody` has no home: what the agent left is in the places for that.
    for place in ["/var/tmp/theseus-65534", "/dev/shm/theseus-65534"] {
        _ = std::fs::remove_dir_all(place);
    }
}

#[test]
fn passwords_are_given_on_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("sudo");
    let text = r#"#!/bin/sh
while [ "$1" != -u ]; do [ "$1" = -n ] && { echo "sudo: a password is required" > /dev/tty; exit 1; }; [ "$1" = -p ] && { p=$2; shift; }; shift; done
shift 2
for n in 1 2 3; do
  printf '%s' "$p" > /dev/tty
  IFS= read -r w < /dev/tty
  [ "$w" = "right one" ] && exec "$@"
  echo "Sorry, try again." > /dev/tty
done
exit 1
"#;
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let exe = Some(script.to_string_lossy().into_owned());
    for (password, wanted) in [(None, Some(true)), (Some("wrong"), Some(true)), (Some("right one"), None)] {
        let mut agent = Agent::start();
        match (agent.open("sudo", exe.clone(), password), wanted) {
            (FromAgent::Opened { .. }, None) => {}
            (FromAgent::OpenFailed { password, reason, .. }, Some(is)) => {
                assert_eq!(password, is, "{reason}")
            }
            (other, _) => panic!("{password:?}: {other:?}"),
        }
        agent.bye();
    }
}

#[test]
fn an_unknown_user_is_told() {
    if !is_root() || Command::new("sudo").arg("--version").output().is_err() {
        println!("SKIPPED an_unknown_user_is_told: needs root and sudo");
        return;
    }
    let mut agent = Agent::start();
    let escalate = Escalate {
        method: "sudo".into(),
        user: "no-such-user".into(),
        timeout_seconds: 20,
        ..Escalate::default()
    };
    agent.send(&ToAgent::Open { agent: 1, escalate });
    let FromAgent::OpenFailed { reason, password: false, .. } = agent.receive() else { panic!() };
    assert_eq!(reason, "there is no user no-such-user on this host");
    agent.bye();
}

#[test]
fn background_jobs_outlive_the_agent() {
    let state = tempfile::tempdir().unwrap();
    let mut agent = Agent::start_in(state.path());
    let id = format!("j{}.test", std::process::id());
    let args = json!({"_raw_params": "sleep 0.5; echo done"}).as_object().unwrap().clone();
    let call =
        Call { module: "shell".into(), args, async_seconds: 20, async_id: id.clone(), ..Call::default() };
    agent.send(&ToAgent::Call { id: 1, agent: 0, epoch: 0, call: Box::new(call) });
    let FromAgent::Done { result, .. } = agent.receive() else { panic!() };
    assert_eq!(result["finished"], json!(false), "{result:?}");
    agent.bye();
    let mut later = Agent::start_in(state.path());
    let mut last = later.status(&id, "status");
    for _ in 0..100 {
        if last["finished"] == json!(true) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        last = later.status(&id, "status");
    }
    assert_eq!(
        (&last["stdout"], &last["rc"], &last["changed"]),
        (&json!("done"), &json!(0), &json!(true)),
        "{last}"
    );
    assert_eq!(later.status(&id, "cleanup")["failed"], json!(null));
    assert_eq!(later.status(&id, "status")["msg"], json!("could not find job"));
    later.bye();
}

impl Agent {
    fn status(&mut self, id: &str, mode: &str) -> serde_json::Value {
        let args = json!({"jid": id, "mode": mode}).as_object().unwrap().clone();
        let call = Box::new(Call { module: "async_status".into(), args, ..Call::default() });
        self.send(&ToAgent::Call { id: 1, agent: 0, epoch: u32::MAX, call });
        match self.receive() {
            FromAgent::Done { result, .. } => serde_json::Value::Object(result),
            other => panic!("{other:?}"),
        }
    }
}
