//! Plugins in Python: filters, tests, lookups and actions of the project and of collections. They are run by the Python
//! that an ansible-core is installed for on this machine, in processes of their own that live as long as the run does;
//! nothing of it is needed by who has no such plugins.

mod answer;
mod values;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use catalog::{Json, Map};
use parking_lot::Mutex;
use serde_json::json;

use crate::foreign::Foreign;

pub(crate) use answer::{Called, variables};
pub(crate) use values::{packed, unpacked};

const HELPER: &str = include_str!("helper.py");

/// Processes that wait for something to do. One is taken for each request: what a plugin asks for may need another.
#[derive(Default)]
pub(crate) struct Helpers {
    idle: Mutex<Vec<Helper>>,
}

struct Helper {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// What a plugin came to.
pub(crate) enum Answer {
    Done(Json),
    /// Python has no such plugin either.
    Unknown,
    /// Something that it asked for is on its way.
    Later,
    Failed(Failure),
}

/// An exception.
pub(crate) struct Failure {
    pub(crate) text: String,
    /// Its class.
    pub(crate) kind: String,
    pub(crate) trace: String,
    pub(crate) result: Map,
    pub(crate) undefined: bool,
}

impl Failure {
    pub(crate) fn new(text: String) -> Self {
        Self { text, kind: String::new(), trace: String::new(), result: Map::new(), undefined: false }
    }

    fn read(answer: &Json) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Self {
            text: text("failed"),
            kind: text("kind"),
            trace: text("trace"),
            result: answer["result"].as_object().cloned().unwrap_or_default(),
            undefined: answer["undefined"] == true,
        }
    }
}

impl Foreign {
    /// Has a plugin do something; `reply` answers its questions.
    pub(crate) fn ask(&self, mut request: Map, reply: &mut dyn FnMut(&Json) -> Json) -> Answer {
        let Some(python) = self.core().and_then(|core| core.python.clone()) else {
            return Answer::Failed(Failure::new(NO_PYTHON.to_owned()));
        };
        request.insert("folders".to_owned(), json!(self.plugin_folders()));
        request.insert("roots".to_owned(), json!(self.collection_roots()));
        let talk = || -> std::io::Result<Answer> {
            let idle = self.helpers.idle.lock().pop();
            let mut helper = match idle {
                Some(helper) => helper,
                None => Helper::start(&python)?,
            };
            let answer = helper.talk(&Json::Object(request), reply)?;
            self.helpers.idle.lock().push(helper);
            Ok(answer)
        };
        talk().unwrap_or_else(|error| {
            Answer::Failed(Failure::new(format!(
                "the Python that runs plugins ({}) ended before its answer: {error}",
                python.display()
            )))
        })
    }
}

/// What is missing where a project has plugins.
pub(crate) const NO_PYTHON: &str = "plugins in Python are run by the Python that ansible-core is installed for, and none was \
                                    found on this machine: install one where `python3` or `ansible` of PATH finds it";

impl Helper {
    fn start(python: &PathBuf) -> std::io::Result<Self> {
        let mut child =
            Command::new(python).args(["-c", HELPER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let missing = || std::io::Error::other("it has no pipes");
        let to = child.stdin.take().ok_or_else(missing)?;
        let from = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Self { child, to, from })
    }

    fn talk(&mut self, request: &Json, reply: &mut dyn FnMut(&Json) -> Json) -> std::io::Result<Answer> {
        self.say(request)?;
        loop {
            let mut line = String::new();
            if self.from.read_line(&mut line)? == 0 {
                return Err(std::io::Error::other("nothing more came from it"));
            }
            let mut said: Json = serde_json::from_str(&line)?;
            if said.get("ask").is_some() {
                let answer = reply(&said);
                self.say(&answer)?;
            } else if let Some(done) = said.get_mut("done") {
                return Ok(Answer::Done(done.take()));
            } else if said.get("unknown").is_some() {
                return Ok(Answer::Unknown);
            } else if said.get("later").is_some() {
                return Ok(Answer::Later);
            } else {
                return Ok(Answer::Failed(Failure::read(&said)));
            }
        }
    }

    fn say(&mut self, what: &Json) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.to.write_all(&line)?;
        self.to.flush()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
