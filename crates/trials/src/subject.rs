//! The program under trial: this very program again, as agent (fed by a stream of calls), as recovery or as undo.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use catalog::protocol::{self, Beside, Call, Cause, FromAgent, MAGIC, RunInfo, ToAgent, VERSION};
use nix::unistd::Pid;
use serde_json::Value;

use crate::tracer::{self, Watcher};

/// What is started.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Calls of one run, then its end.
    Run(Vec<(&'static str, Value)>),
    /// The same; then, as after a failure, all is taken back by the agent itself.
    Undone(Vec<(&'static str, Value)>),
    Undo(u64),
    Recover,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The watcher ended it.
    pub(crate) killed: bool,
    /// It ended by itself and said that all is well.
    pub(crate) success: bool,
    /// What it said when not all is well.
    pub(crate) said: String,
}

/// Where a trial is made.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) place: PathBuf,
    /// The record is on a file system of its own.
    pub(crate) apart: bool,
}

impl Ground {
    pub(crate) fn tree(&self) -> PathBuf {
        self.place.join("tree")
    }
    pub(crate) fn state(&self) -> PathBuf {
        self.place.join(if self.apart { "apart/state" } else { "state" })
    }

    pub(crate) fn plain(&self, work: &Work) -> Result<Report> {
        let mut running = self.start(work)?;
        running.feed(work)?;
        let status = running.child.wait()?;
        running.conclude(false, status.success())
    }

    pub(crate) fn watched(&self, work: &Work, watcher: &mut dyn Watcher) -> Result<Report> {
        let mut running = self.start(work)?;
        let pid = Pid::from_raw(running.child.id().cast_signed());
        tracer::seize(pid)?;
        running.feed(work)?;
        let ended = tracer::follow(pid, &self.place, watcher)?;
        running.conclude(ended.killed, ended.code == Some(0))
    }

    fn start(&self, work: &Work) -> Result<Running> {
        let state = self.state();
        let mut command = Command::new(std::env::current_exe()?);
        match work {
            Work::Run(_) | Work::Undone(_) => command.args(["serve", "--state-dir"]).arg(&state),
            Work::Undo(to) => command.arg("subject-undo").arg(&state).arg(to.to_string()),
            Work::Recover => command.arg("subject-recover").arg(&state),
        };
        let home = self.place.with_file_name("home");
        std::fs::create_dir_all(&home)?;
        let mut child = command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("HOME", home)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("the subject cannot be started")?;
        let mut stdout = child.stdout.take().context("no output")?;
        let mut stderr = child.stderr.take().context("no output")?;
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            _ = stderr.read_to_string(&mut text);
            text
        });
        let agent = matches!(work, Work::Run(_) | Work::Undone(_));
        let answers =
            std::thread::spawn(move || if agent { listen(&mut stdout) } else { plain(&mut stdout) });
        let input = child.stdin.take();
        Ok(Running { child, input, answers, errors, agent })
    }
}

impl Ground {
    /// Another controller's run that goes on until it is killed.
    pub(crate) fn holder(&self) -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("subject-hold").arg(self.state()).arg(self.tree());
        command.stdin(Stdio::null()).spawn().context("the holder cannot be started")
    }
}

struct Running {
    child: Child,
    input: Option<ChildStdin>,
    answers: JoinHandle<Answers>,
    errors: JoinHandle<String>,
    agent: bool,
}

#[derive(Default)]
struct Answers {
    failures: Vec<String>,
    sealed: bool,
}

impl Running {
    /// Everything that it will be told: less than a pipe holds. The pipe stays open until the end.
    fn feed(&mut self, work: &Work) -> Result<()> {
        let mut bytes = vec![b'\n'];
        if let Work::Run(calls) | Work::Undone(calls) = work {
            bytes.clear();
            let run = RunInfo {
                run: "trial".to_owned(),
                person: "nobody".to_owned(),
                command: "trial".to_owned(),
                started: "2026-01-01T00:00:00Z".to_owned(),
                ..RunInfo::default()
            };
            bytes.extend(protocol::encode(&ToAgent::Hello { version: VERSION, run }, &[])?);
            for (index, (module, args)) in calls.iter().enumerate() {
                let cause = Cause { task: format!("{index} {module}"), ..Cause::default() };
                let mut args = args.as_object().cloned().unwrap_or_default();
                // Of one of several names of the host, at the same time.
                let lane =
                    args.remove("_lane").and_then(|lane| lane.as_u64()).and_then(|l| l.try_into().ok());
                let beside = lane.map(|lane| Beside { step: 1, lane });
                let module = (*module).to_owned();
                let call = Box::new(Call { module, args, beside, cause, ..Call::default() });
                let id = index as u64 + 1;
                bytes.extend(protocol::encode(&ToAgent::Call { id, agent: 0, epoch: 0, call }, &[])?);
            }
            let undo = matches!(work, Work::Undone(_));
            bytes.extend(protocol::encode(&ToAgent::Bye { failed: undo, undo }, &[])?);
        }
        if let Some(input) = &mut self.input {
            // One that was killed at its first step reads nothing.
            _ = rustix::pipe::fcntl_setpipe_size(&*input, 1 << 20);
            _ = input.write_all(&bytes);
        }
        Ok(())
    }

    fn conclude(mut self, killed: bool, ended_well: bool) -> Result<Report> {
        drop(self.input.take());
        let answers = self.answers.join().unwrap_or_default();
        let errors = self.errors.join().unwrap_or_default();
        let success = !killed && ended_well && answers.failures.is_empty() && (answers.sealed || !self.agent);
        let mut said = answers.failures.join("; ");
        if !errors.trim().is_empty() {
            said = format!("{said}; {}", errors.trim());
        }
        Ok(Report { killed, success, said })
    }
}

/// The agent's frames until its end.
fn listen(from: &mut impl Read) -> Answers {
    let mut answers = Answers::default();
    let mut magic = [0; MAGIC.len()];
    if from.read_exact(&mut magic).is_err() {
        return answers;
    }
    // A stream that breaks off is what a kill looks like.
    while let Ok(Some((message, _))) = protocol::read_frame::<FromAgent>(from) {
        match message {
            FromAgent::Done { result, .. } if result.get("failed").is_some_and(|f| f == true) => {
                let message = result.get("msg").and_then(Value::as_str).unwrap_or_default();
                let stderr = result.get("stderr").and_then(Value::as_str).unwrap_or_default();
                answers.failures.push(format!("{message} {stderr}").trim().to_owned());
            }
            FromAgent::Refused { id } => answers.failures.push(format!("call {id} refused")),
            FromAgent::Fatal { reason } => answers.failures.push(reason),
            FromAgent::Sealed(_) => answers.sealed = true,
            _ => {}
        }
    }
    answers
}

fn plain(from: &mut impl Read) -> Answers {
    let mut text = String::new();
    _ = from.read_to_string(&mut text);
    Answers::default()
}

/// What this program is when a trial starts it.
pub(crate) fn main(arguments: &[String]) -> Option<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["subject-recover", state] => {
            wait();
            layer::history::recover(Path::new(state)).map(drop).map_err(|e| e.to_string())
        }
        ["subject-hold", state, tree] => crate::soak::hold(Path::new(state), Path::new(tree)),
        ["subject-undo", state, to] => {
            wait();
            undo(Path::new(state), to.parse().unwrap_or_default())
        }
        ["serve" | "async-run" | "async-work" | "version", ..] => {
            return Some(agent::main_args(arguments.iter().map(Into::into)));
        }
        _ => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    })
}

/// Until the tracer has taken hold.
fn wait() {
    _ = std::io::stdin().read(&mut [0]);
}

fn undo(state: &Path, to: u64) -> Result<(), String> {
    let run = layer::Run { run: "undo".to_owned(), command: "undo".to_owned(), ..layer::Run::default() };
    let options = layer::history::Options { to, ..layer::history::Options::default() };
    let report = layer::history::undo(state, &options, run).map_err(|e| e.to_string())?;
    if report.conflicts.is_empty() { Ok(()) } else { Err(format!("conflicts: {:?}", report.conflicts)) }
}
