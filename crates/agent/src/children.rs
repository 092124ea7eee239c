//! How modules run the host's own programs: questions, and changes that the layer must know of.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

use layer::Adopted;
use witness::{Gate, Listener, Refused, Seen};

use crate::command::{Busy, Output, Run, RunError, Watched};
use crate::module::{Failure, Task, plain};
use crate::spawn::{Start, prepare};
use crate::words;

/// A program that only answers; in the C locale, so that its words can be read.
pub fn ask(task: &Task<'_>, argv: &[&str]) -> Result<Output, Failure> {
    Ok(in_c_locale(task, argv).output()?)
}

/// Like [`ask`]; `None` when there is no such program.
pub fn ask_if_there(task: &Task<'_>, argv: &[&str]) -> Result<Option<Output>, Failure> {
    match in_c_locale(task, argv).output() {
        Ok(output) => Ok(Some(output)),
        Err(crate::command::RunError::NotStarted { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub fn in_c_locale<'a>(task: &Task<'a>, argv: &[&str]) -> Run<'a> {
    let program = argv.first().copied().unwrap_or_default();
    task.command(program).args(argv.iter().skip(1)).env("LC_ALL", "C.UTF-8").env("LANG", "C.UTF-8")
}

/// A program that changes the host: watched, so that the layer has every path that it touched.
pub fn act(task: &mut Task<'_>, argv: &[&str]) -> Result<Output, Failure> {
    let run = in_c_locale(task, argv);
    act_with(task, run)
}

/// Like [`act`], for a process with more to it.
pub fn act_with(task: &mut Task<'_>, run: Run<'_>) -> Result<Output, Failure> {
    act_on(task, &[], run)
}

/// Like [`act_with`], for a program whose writes are all known: where it cannot be watched, the layer keeps those
/// files at least.
pub fn act_on(task: &mut Task<'_>, paths: &[&Path], run: Run<'_>) -> Result<Output, Failure> {
    let said = said(task, &run);
    Ok(watch(task, &said, paths, run)??)
}

/// A program that has a daemon change the host: what the daemon does cannot be watched. Said before it runs.
pub fn order(task: &mut Task<'_>, run: Run<'_>) -> Result<Output, Failure> {
    let said = said(task, &run);
    task.recorder.opaque(said)?;
    Ok(task.recorder.leave_while(|_| run.output())?)
}

fn said(task: &Task<'_>, run: &Run<'_>) -> String {
    let words: Vec<String> = run.argv.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let said = if task.no_log { words.first().cloned().unwrap_or_default() } else { words::join(&words) };
    format!("ran {said}")
}

/// Run a program under watch. `said`: what the layer says of it where that cannot be. The outer error is one of the
/// record.
pub(crate) fn watch(
    task: &mut Task<'_>,
    said: &str,
    known: &[&Path],
    run: Run<'_>,
) -> Result<Result<Output, RunError>, Failure> {
    if task.recorder.is_witnessed() {
        return Ok(task.recorder.leave_while(|_| run.output()));
    }
    let mut busy = Busy::default();
    let Watched { result, seen } = loop {
        let gate = match Gate::new(task.watch) {
            Ok(gate) => gate,
            Err(refused) => return unwatched(task, said, known, run, &refused),
        };
        let watched = task.recorder.leave_while(|keeper| run.watched(keeper, gate));
        if !watched.result.as_ref().is_err_and(|error| busy.try_again(error)) {
            break watched;
        }
    };
    task.recorder.settle_watched()?;
    match seen {
        // It was not even started.
        None => {}
        Some(Err(refused)) => task.recorder.opaque(format!("{said} (not watched: {refused})"))?,
        Some(Ok((seen, listener))) => settle(task, said, seen, &listener)?,
    }
    Ok(result)
}

fn settle(task: &mut Task<'_>, said: &str, seen: Seen, listener: &Listener) -> Result<(), Failure> {
    if seen.alive {
        let names: Vec<String> = seen.strays.iter().map(|(pid, name)| format!("{name} ({pid})")).collect();
        let who = if names.is_empty() { "a process".to_owned() } else { names.join(", ") };
        task.recorder.opaque(format!("{who} lives on and is not watched any more ({said})"))?;
        leave(listener)
            .map_err(|e| Failure::new(format!("{who} cannot live on without a supervisor: {}", plain(&e))))?;
    }
    match seen.error {
        None => Ok(()),
        Some(error) => Err(Failure::new(format!(
            "what the program was about to change could not be kept, so it was not let through: {error}"
        ))),
    }
}

/// A process of our own that stays with those that live on: without it their system calls would fail.
pub(crate) fn leave(listener: &Listener) -> io::Result<()> {
    // Not by chance the very number that it gets.
    let fd = rustix::io::fcntl_dupfd_cloexec(listener.descriptor(), witness::LISTENER + 1)?;
    let mut command = Command::new("/proc/self/exe");
    command.args(crate::escalate::own_args("stray"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let give = vec![(fd.as_raw_fd(), witness::LISTENER)];
    prepare(&mut command, Start { session: true, give, ..Start::default() });
    // Nobody waits for it: it ends with the last of them, most often long after this agent.
    command.spawn().map(drop)
}

/// The old way: what is known to change is kept, the rest is said.
fn unwatched(
    task: &mut Task<'_>,
    said: &str,
    known: &[&Path],
    run: Run<'_>,
    why: &Refused,
) -> Result<Result<Output, RunError>, Failure> {
    if known.is_empty() {
        task.recorder.opaque(format!("{said} (not watched: {why})"))?;
    }
    let mut kept: Vec<Adopted> = Vec::new();
    for path in known {
        kept.push(task.recorder.adopt(path)?);
    }
    let result = task.recorder.leave_while(|_| run.output());
    for adopted in kept {
        task.recorder.settled(adopted)?;
    }
    Ok(result)
}

/// What failed, in the form that Ansible gives: `rc`, `stdout`, `stderr` and the last words as the message.
pub fn failed(output: &Output, message: impl Into<String>) -> Failure {
    Failure::new(message)
        .with("rc", output.rc)
        .with("stdout", output.stdout_text())
        .with("stderr", output.stderr_text())
}

/// Fails with the program's own words unless it ended well.
pub fn expect(output: Output) -> Result<Output, Failure> {
    if output.ok() {
        return Ok(output);
    }
    let (err, out) = (output.stderr_text(), output.stdout_text());
    let words = if err.trim().is_empty() { out } else { err };
    Err(failed(&output, words.trim_end()))
}
