//! How modules run the host's own programs: questions, and changes that the layer must know of.

use std::path::Path;

use layer::Adopted;

use crate::command::{Output, Run};
use crate::module::{Failure, Task};
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

/// A program that changes the host: said in the layer before it runs.
pub fn act(task: &mut Task<'_>, argv: &[&str]) -> Result<Output, Failure> {
    let run = in_c_locale(task, argv);
    act_with(task, run)
}

/// Like [`act`], for a process with more to it.
pub fn act_with(task: &mut Task<'_>, run: Run<'_>) -> Result<Output, Failure> {
    let words: Vec<String> = run.argv.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let said = if task.no_log { words.first().cloned().unwrap_or_default() } else { words::join(&words) };
    task.recorder.opaque(format!("ran {said}"))?;
    Ok(run.output()?)
}

/// Like [`act_with`], for a program whose writes are all known: the layer keeps those files exactly, so that
/// nothing remains unwatched.
pub fn act_on(task: &mut Task<'_>, paths: &[&Path], run: Run<'_>) -> Result<Output, Failure> {
    let mut kept: Vec<Adopted> = Vec::new();
    for path in paths {
        kept.push(task.recorder.adopt(path)?);
    }
    let result = run.output();
    for adopted in kept {
        task.recorder.settled(adopted)?;
    }
    Ok(result?)
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
