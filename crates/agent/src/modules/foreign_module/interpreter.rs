//! Which program runs a module on this host.

use std::path::{Path, PathBuf};

use catalog::Args;

use crate::command::{find_program, is_executable};
use crate::module::{Failure, Task};
use crate::words;

/// The programs that may run it, in order.
pub(super) struct Interpreters {
    pub(super) all: Vec<Vec<String>>,
    /// Nobody said which: the first that works is taken.
    pub(super) searched: bool,
    looked_for: String,
}

impl Interpreters {
    pub(super) fn of(args: &Args, task: &Task<'_>) -> Result<Self, Failure> {
        if let Some(given) = args.str("interpreter") {
            let line = words::split(given).map_err(|e| Failure::new(format!("the interpreter `{given}`: {e}")))?;
            return Ok(Self { all: vec![line], searched: false, looked_for: given.to_owned() });
        }
        let candidates = args.strings("candidates");
        if candidates.is_empty() {
            // A program of its own.
            return Ok(Self { all: vec![Vec::new()], searched: false, looked_for: String::new() });
        }
        let found = candidates.iter().filter_map(|name| place(name, task));
        Ok(Self {
            all: found.map(|path| vec![path.display().to_string()]).collect(),
            searched: true,
            looked_for: candidates.join(", "),
        })
    }

    /// The Python that was found, for the facts.
    pub(super) fn discovered(&self) -> Option<&str> {
        self.all.first().filter(|_| self.searched).and_then(|line| line.first()).map(String::as_str)
    }

    pub(super) fn missing(&self, name: &str) -> Failure {
        if self.looked_for.is_empty() {
            return Failure::new(format!("the module {name} could not be run on this host: it is no program for it"));
        }
        Failure::new(format!(
            "the module {name} is not one that Theseus has, and this host has nothing to run it with (looked for {}): \
             install that there (`ansible.builtin.package`, or `ansible_python_interpreter` says where it is), or use a \
             module that Theseus has",
            self.looked_for
        ))
    }
}

fn place(name: &str, task: &Task<'_>) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_executable(path));
    }
    match task.environment.get("PATH") {
        Some(path) => path.split(':').map(|dir| Path::new(dir).join(name)).find(|path| is_executable(path)),
        None => find_program(name),
    }
}
