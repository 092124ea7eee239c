//! Asking the person at the terminal, and showing mistakes to them.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use link::{Notices, Secret};
use playbook::{Diagnostic, Sources};
use rustix::termios;

use crate::setup::Problem;

/// A line that is not shown while it is typed. `None`: nobody is there.
pub(crate) fn secret(prompt: &str) -> Option<String> {
    ask(prompt, false)
}

/// A line from the terminal itself, whatever standard input is; from standard input where there is no terminal
/// but somebody has put an answer there.
pub(crate) fn ask(prompt: &str, echo: bool) -> Option<String> {
    let Ok(mut terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        return from_input();
    };
    let before = termios::tcgetattr(&terminal).ok()?;
    let _ = write!(terminal, "{prompt}");
    let _ = terminal.flush();
    if !echo {
        let mut quiet = before.clone();
        quiet.local_modes &= !termios::LocalModes::ECHO;
        let _ = termios::tcsetattr(&terminal, termios::OptionalActions::Flush, &quiet);
    }
    let mut line = String::new();
    let read = terminal.try_clone().map(|t| BufReader::new(t).read_line(&mut line));
    let _ = termios::tcsetattr(&terminal, termios::OptionalActions::Flush, &before);
    if !echo {
        let _ = writeln!(terminal);
    }
    matches!(read, Ok(Ok(n)) if n > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

fn from_input() -> Option<String> {
    if std::io::stdin().is_terminal() {
        return None;
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The person, as connections see them.
pub(crate) struct Person {
    pub say: Box<dyn Fn(&str) + Send + Sync>,
}

impl Notices for Person {
    fn notice(&self, text: &str) {
        (self.say)(text);
    }
    fn secret(&self, prompt: &str, echo: bool) -> Option<Secret> {
        std::io::stdin().is_terminal().then(|| ask(prompt, echo)).flatten().map(Secret::new)
    }
    fn confirm(&self, question: &str) -> Option<bool> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        Some(matches!(ask(&format!("{question} "), true)?.trim(), "yes" | "y"))
    }
}

/// For questions of a run.
pub(crate) fn asker() -> run::Asker {
    Arc::new(|question, echo| {
        Box::pin(
            async move { tokio::task::spawn_blocking(move || ask(&question, echo)).await.ok().flatten() },
        )
    })
}

/// Whether we run under one of Ansible's names: scripts look for its words.
static AS_ANSIBLE: AtomicBool = AtomicBool::new(false);

pub(crate) fn speak_as_ansible() {
    AS_ANSIBLE.store(true, Ordering::Relaxed);
}

/// Whether standard output is for programs.
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

pub(crate) fn speak_to_programs() {
    FOR_PROGRAMS.store(true, Ordering::Relaxed);
}

/// A host that could not do, or say, what it was asked for.
pub(crate) fn host_failed(host: &str, what: &str, reason: &str) {
    eprintln!("{host}: {what}: {reason}");
    if FOR_PROGRAMS.load(Ordering::Relaxed) {
        crate::report::json_line(serde_json::json!({
            "event": "error", "host": host, "message": format!("{what}: {reason}"),
        }));
    }
}

fn rendered(mistake: &Diagnostic, sources: &Sources) -> String {
    match (AS_ANSIBLE.load(Ordering::Relaxed), mistake.warning) {
        (true, false) => mistake.render_as("[ERROR]", sources),
        (true, true) => mistake.render_as("[WARNING]", sources),
        (false, _) => mistake.render(sources),
    }
}

/// Print what is wrong; the exit code.
pub(crate) fn show(problem: &Problem, sources: &Sources, json: bool) -> u8 {
    match problem {
        Problem::Mistakes(mistakes) => {
            for mistake in mistakes {
                show_one(mistake, sources, json);
            }
            1
        }
        Problem::Options(text) => {
            show_one(&Diagnostic::new(text.clone()), sources, json);
            5
        }
        Problem::Other(text) => {
            show_one(&Diagnostic::new(text.clone()), sources, json);
            1
        }
    }
}

pub(crate) fn show_one(mistake: &Diagnostic, sources: &Sources, json: bool) {
    eprint!("{}", rendered(mistake, sources));
    if json && !mistake.warning {
        let origin = mistake.origin.as_ref();
        crate::report::json_line(serde_json::json!({
            "event": "error",
            "message": mistake.message,
            "hint": mistake.hint,
            "file": origin.map(|o| o.file.display().to_string()),
            "line": origin.map(|o| o.line),
            "column": origin.map(|o| o.column),
        }));
    }
}
