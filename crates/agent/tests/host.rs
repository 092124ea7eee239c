//! A host to try modules on: an agent of its own, its own record, a directory to work in.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use catalog::protocol::{Call, Cause, FromAgent, MAGIC, RunInfo, ToAgent, VERSION, read_frame, write_frame};
use catalog::{Json, Map};
use serde_json::json;

pub(crate) struct Host {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) state: PathBuf,
    to: Option<File>,
    from: File,
    agent: Option<JoinHandle<std::io::Result<()>>>,
    next: u64,
    /// What the controller could send.
    pub(crate) contents: HashMap<String, Vec<u8>>,
    pub(crate) asked: Vec<String>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("w")).unwrap();
        let state = dir.path().join("state");
        Self::with_state(dir, state)
    }

    pub(crate) fn with_state(dir: tempfile::TempDir, state: PathBuf) -> Self {
        let (to, from, agent) = connect(&state, Duration::from_secs(60));
        let mut host = Self {
            dir,
            state,
            to: Some(to),
            from,
            agent: Some(agent),
            next: 1,
            contents: HashMap::new(),
            asked: Vec::new(),
        };
        host.send(&ToAgent::Hello {
            version: VERSION,
            run: RunInfo { run: "r1".into(), ..RunInfo::default() },
        });
        assert!(matches!(host.receive(), Some(FromAgent::Hello(_))));
        host
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("w")
    }
    pub(crate) fn path(&self, name: &str) -> String {
        self.work().join(name).to_string_lossy().into_owned()
    }
    pub(crate) fn put(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }
    pub(crate) fn get(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub(crate) fn send(&mut self, message: &ToAgent) {
        write_frame(self.to.as_mut().unwrap(), message, &[]).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Option<FromAgent> {
        read_frame(&mut self.from).unwrap().map(|(message, _)| message)
    }

    /// The next message that is no request for a content (those are answered).
    pub(crate) fn answer(&mut self) -> Option<FromAgent> {
        loop {
            match self.receive() {
                Some(FromAgent::Need { agent, digest }) => {
                    self.asked.push(digest.clone());
                    match self.contents.get(&digest).cloned() {
                        Some(body) => {
                            write_frame(self.to.as_mut().unwrap(), &ToAgent::Blob { agent, digest }, &body)
                                .unwrap()
                        }
                        None => self.send(&ToAgent::NoBlob { agent, digest, reason: "not here".into() }),
                    }
                }
                other => return other,
            }
        }
    }

    /// `W` in the arguments is the working directory.
    pub(crate) fn call(&self, module: &str, args: Json) -> Call {
        let text = args.to_string().replace("W/", &format!("{}/", self.work().display()));
        let text = text.replace("\"W\"", &format!("\"{}\"", self.work().display()));
        let args: Map = serde_json::from_str(&text).unwrap();
        let cause = Cause { task: format!("try {module}"), ..Cause::default() };
        Call { module: module.into(), args, diff: true, keep_going: true, cause, ..Call::default() }
    }

    pub(crate) fn post(&mut self, call: Call, epoch: u32) -> u64 {
        let id = self.next;
        self.next += 1;
        self.send(&ToAgent::Call { id, agent: 0, epoch, call: Box::new(call) });
        id
    }

    pub(crate) fn run_call(&mut self, call: Call) -> Json {
        let id = self.post(call, 0);
        match self.answer() {
            Some(FromAgent::Done { id: done, result, .. }) if done == id => Json::Object(result),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn run(&mut self, module: &str, args: Json) -> Json {
        let call = self.call(module, args);
        self.run_call(call)
    }

    pub(crate) fn check(&mut self, module: &str, args: Json) -> Json {
        let mut call = self.call(module, args);
        call.check = true;
        self.run_call(call)
    }

    /// Run and compare the named fields.
    #[track_caller]
    pub(crate) fn expect(&mut self, module: &str, args: Json, wanted: Json) -> Json {
        let result = self.run(module, args.clone());
        self.compare(&result, &wanted, module, &args);
        result
    }

    #[track_caller]
    pub(crate) fn compare(&self, result: &Json, wanted: &Json, module: &str, args: &Json) {
        let text = wanted.to_string().replace("W/", &format!("{}/", self.work().display()));
        let wanted: Map = serde_json::from_str(&text).unwrap();
        for (key, value) in wanted {
            let is = result.get(&key).cloned().unwrap_or(json!("(absent)"));
            assert_eq!(is, value, "`{key}` of {module} {args}: {result:#}");
        }
    }

    pub(crate) fn bye(&mut self) -> (Option<u64>, bool) {
        self.send(&ToAgent::Bye { failed: false, undo: false });
        let sealed = match self.answer() {
            Some(FromAgent::Sealed(sealed)) => (sealed.generation, sealed.made),
            other => panic!("{other:?}"),
        };
        self.agent.take().unwrap().join().unwrap().unwrap();
        sealed
    }

    /// The controller vanishes.
    pub(crate) fn hang_up(&mut self) {
        self.to = None;
        self.agent.take().unwrap().join().unwrap().unwrap();
    }
}

/// An agent in a thread; after its magic text.
pub(crate) fn connect(state: &Path, lock_wait: Duration) -> (File, File, JoinHandle<std::io::Result<()>>) {
    let (input, to) = std::io::pipe().unwrap();
    let (from, output) = std::io::pipe().unwrap();
    let options = agent::serve::Options { state_dir: state.to_owned(), lock_wait, may_exit: false };
    let agent = std::thread::spawn(move || agent::serve::serve(input, output, options));
    let mut from = File::from(OwnedFd::from(from));
    let mut magic = [0; MAGIC.len()];
    std::io::Read::read_exact(&mut from, &mut magic).unwrap();
    assert_eq!(&magic, MAGIC);
    (File::from(OwnedFd::from(to)), from, agent)
}

impl Host {
    pub(crate) fn send_with(&mut self, message: &ToAgent, body: &[u8]) {
        write_frame(self.to.as_mut().unwrap(), message, body).unwrap();
    }
}
