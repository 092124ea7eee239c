//! Programs under watch: what they touch is in the layer and in the result, exactly; nothing else is.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use catalog::Json;
use catalog::protocol::{Call, FromAgent, MAGIC, RunInfo, Sealed, ToAgent, VERSION, read_frame, write_frame};
use serde_json::json;

/// An agent as a process of its own: it re-executes itself for what it leaves behind.
struct Agent {
    process: Child,
    to: ChildStdin,
    from: ChildStdout,
    dir: PathBuf,
    state: PathBuf,
    _held: tempfile::TempDir,
}

impl Agent {
    fn start(run: RunInfo) -> Self {
        let held = tempfile::tempdir().unwrap();
        let base = held.path().canonicalize().unwrap();
        let (dir, state) = (base.join("w"), base.join("state"));
        std::fs::create_dir(&dir).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_theseus-agent"));
        command.arg("serve").arg("--state-dir").arg(&state).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (to, mut from) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).unwrap();
        let mut agent = Self { process, to, from, dir, state, _held: held };
        agent.send(&ToAgent::Hello { version: VERSION, run });
        assert!(matches!(agent.receive(), FromAgent::Hello(_)));
        agent
    }

    fn send(&mut self, message: &ToAgent) {
        write_frame(&mut self.to, message, &[]).unwrap();
    }

    fn receive(&mut self) -> FromAgent {
        read_frame(&mut self.from).unwrap().unwrap().0
    }

    /// Result and touched paths.
    fn call(&mut self, call: Call) -> (Json, Vec<String>) {
        self.send(&ToAgent::Call { id: 1, agent: 0, epoch: 0, call: Box::new(call) });
        match self.receive() {
            FromAgent::Done { result, paths, .. } => (Json::Object(result), paths),
            other => panic!("{other:?}"),
        }
    }

    fn shell(&mut self, line: &str) -> (Json, Vec<String>) {
        let args = json!({"_raw_params": line, "chdir": self.dir}).as_object().unwrap().clone();
        self.call(Call { module: "shell".into(), args, keep_going: true, ..Call::default() })
    }

    fn bye(&mut self) -> Sealed {
        self.send(&ToAgent::Bye { failed: false, undo: false });
        let FromAgent::Sealed(sealed) = self.receive() else { panic!("it was not sealed") };
        assert!(self.process.wait().unwrap().success());
        sealed
    }

    fn layer(&self) -> layer::Layer {
        layer::history::read(&self.state, layer::history::head(&self.state).unwrap()).unwrap()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Said once for all tests here.
fn possible(test: &str) -> bool {
    let ready = witness::ready(witness::Mode::Watch);
    if let Err(refused) = &ready {
        println!("SKIPPED {test}: processes cannot be watched here: {refused}");
    }
    ready.is_ok()
}

fn appears(path: &Path) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while !path.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    path.exists()
}

#[test]
fn a_command_without_changes_makes_no_layer() {
    if !possible("a_command_without_changes_makes_no_layer") {
        return;
    }
    let mut agent = Agent::start(RunInfo::default());
    let (result, paths) = agent.shell("true; cat /etc/passwd > /dev/null; echo said");
    assert_eq!(result["stdout"], "said");
    assert_eq!(paths, Vec::<String>::new());
    assert!(!agent.bye().made);
    assert!(!agent.state.join("layers").exists());
}

#[test]
fn what_a_command_changes_is_in_the_layer() {
    if !possible("what_a_command_changes_is_in_the_layer") {
        return;
    }
    let mut agent = Agent::start(RunInfo::default());
    std::fs::write(agent.at("a"), "old").unwrap();
    let (result, mut paths) = agent.shell("echo new > a; mkdir d; ln -s ../a d/l; exit 3");
    assert_eq!((&result["rc"], &result["changed"]), (&json!(3), &json!(true)));
    paths.retain(|path| Path::new(path) != agent.dir);
    paths.sort();
    let wanted = ["a", "d", "d/l"].map(|name| agent.at(name).to_string_lossy().into_owned());
    assert_eq!(paths, wanted);
    assert!(agent.bye().made);
    let layer = agent.layer();
    assert_eq!(layer.opaque, []);
    let step = layer.steps.iter().find(|step| step.path == agent.at("a")).unwrap();
    assert_eq!(step.before.as_ref().and_then(layer::PathState::digest), Some(layer::Digest::of(b"old")));
    assert_eq!(step.after.as_ref().and_then(layer::PathState::digest), Some(layer::Digest::of(b"new\n")));
}

#[test]
fn told_not_to_watch() {
    let mut agent = Agent::start(RunInfo { unwatched: true, ..RunInfo::default() });
    agent.shell("echo new > a");
    assert!(agent.bye().made);
    let layer = agent.layer();
    assert_eq!(layer.steps, []);
    assert_eq!(layer.opaque.len(), 1);
    assert_eq!(layer.opaque[0].what, "ran echo new > a (not watched: the run was told not to watch)");
}

#[test]
fn what_lives_on_can_go_on_and_is_said() {
    if !possible("what_lives_on_can_go_on_and_is_said") {
        return;
    }
    let mut agent = Agent::start(RunInfo::default());
    let line = "setsid sh -c ': > begun; while [ ! -e go ]; do sleep 0.1; done; echo x > late' > /dev/null 2>&1 < /dev/null &";
    let (result, _) = agent.shell(line);
    assert_eq!(result["rc"], 0, "{result}");
    agent.bye();
    let layer = agent.layer();
    let said: Vec<_> = layer.opaque.iter().map(|opaque| opaque.what.as_str()).collect();
    assert!(said.len() == 1 && said[0].contains("lives on and is not watched any more"), "{said:?}");
    std::fs::write(agent.at("go"), "").unwrap();
    assert!(appears(&agent.at("late")), "its system calls failed");
    assert!(!layer.steps.iter().any(|step| step.path == agent.at("late")));
}

#[test]
fn a_job_in_the_background_is_watched() {
    if !possible("a_job_in_the_background_is_watched") {
        return;
    }
    let mut agent = Agent::start(RunInfo::default());
    let args = json!({"_raw_params": "echo new > job", "chdir": agent.dir}).as_object().unwrap().clone();
    let id = format!("j{}.watched", std::process::id());
    let (result, _) =
        agent.call(Call { module: "shell".into(), args, async_seconds: 20, async_id: id, ..Call::default() });
    assert_eq!(result["started"], true, "{result}");
    assert!(!agent.bye().made);
    assert!(appears(&agent.state.join("head")), "the job made no layer");
    let layer = agent.layer();
    assert_eq!(layer.opaque, []);
    assert!(layer.steps.iter().any(|step| step.path == agent.at("job")));
}

#[test]
fn a_time_limit_ends_what_is_watched() {
    if !possible("a_time_limit_ends_what_is_watched") {
        return;
    }
    let mut agent = Agent::start(RunInfo::default());
    let args = json!({"_raw_params": "echo x > begun; while :; do echo x >> more; done", "chdir": agent.dir});
    let call = Call {
        module: "shell".into(),
        args: args.as_object().unwrap().clone(),
        timeout_seconds: 1,
        keep_going: true,
        ..Call::default()
    };
    let (result, paths) = agent.call(call);
    assert_eq!(result["failed"], true, "{result}");
    assert!(paths.iter().any(|path| path.ends_with("begun")), "{paths:?}");
    agent.bye();
    assert_eq!(agent.layer().opaque, []);
}
