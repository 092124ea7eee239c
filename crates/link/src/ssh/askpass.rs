//! Passwords and questions of the OpenSSH program: it runs a little script (its askpass), which passes the question
//! to us through one pipe and the answer back through another. Nothing secret is in an argument or a variable.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;

use crate::{Notices, Secret};

/// Reads the answer only after its question was taken; `=` marks an answer, anything else is none.
const SCRIPT: &str = "#!/bin/sh\nd=${0%/*}\nprintf '%s\\n' \"$1\" | tr '\\n' ' ' > \"$d/question\"\necho > \"$d/question\"\nIFS= read -r a < \"$d/answer\" || exit 1\ncase $a in =*) printf '%s\\n' \"${a#=}\";; *) exit 1;; esac\n";

/// The script and its pipes, as long as they are needed.
pub(super) struct Askpass {
    directory: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Askpass {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Askpass {
    pub(super) fn new(password: Option<Secret>, notices: Arc<dyn Notices>) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("theseus-askpass-").tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700))?;
        let script = directory.path().join("askpass");
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(&script)?
            .write_all(SCRIPT.as_bytes())?;
        let [question, answer] = ["question", "answer"].map(|name| directory.path().join(name));
        for path in [&question, &answer] {
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        }
        let (questions, answers) = open(&question, &answer)?;
        let task = tokio::spawn(serve(questions, answers, password, notices));
        Ok(Self { directory, task })
    }

    pub(super) fn script(&self) -> PathBuf {
        self.directory.path().join("askpass")
    }
}

/// Both ends open on our side, so that neither side waits for the other to open.
fn open(question: &Path, answer: &Path) -> io::Result<(pipe::Receiver, pipe::Sender)> {
    let both = |path| {
        let mut options = pipe::OpenOptions::new();
        options.read_write(true);
        (options, path)
    };
    let (options, path) = both(question);
    let questions = options.open_receiver(path)?;
    let (options, path) = both(answer);
    Ok((questions, options.open_sender(path)?))
}

async fn serve(
    questions: pipe::Receiver,
    mut answers: pipe::Sender,
    mut password: Option<Secret>,
    notices: Arc<dyn Notices>,
) {
    let mut questions = BufReader::new(questions);
    let mut question = String::new();
    while let Ok(1..) = questions.read_line(&mut question).await {
        let text = crate::wire::plain(&question);
        question.clear();
        let answer = answer(&text, &mut password, &notices).await;
        let line = answer.map_or_else(|| "-\n".to_owned(), |answer| format!("={}\n", answer.expose()));
        if answers.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn answer(text: &str, password: &mut Option<Secret>, notices: &Arc<dyn Notices>) -> Option<Secret> {
    let lower = text.to_lowercase();
    // Given once: a second question means that it was wrong.
    if !lower.contains("passphrase")
        && !lower.contains("yes/no")
        && let Some(password) = password.take()
    {
        return Some(password);
    }
    let (text, notices) = (text.to_owned(), Arc::clone(notices));
    let asked = tokio::task::spawn_blocking(move || {
        if lower.contains("yes/no") {
            let yes = notices.confirm(&text)?;
            return Some(Secret::new(if yes { "yes" } else { "no" }));
        }
        notices.secret(&text, false)
    });
    asked.await.ok().flatten()
}
