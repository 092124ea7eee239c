//! What a module is: an argument specification and a function from arguments to an outcome.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use catalog::{Args, Json, Map, ModuleSpec};

use crate::command::Run;
use crate::serve::Desk;

/// One module. Each lives in a file of its own under `modules/`, as `pub(crate) static MODULE: Module`.
pub struct Module {
    pub spec: ModuleSpec,
    pub run: fn(&Args, &mut Task<'_>) -> Result<Outcome, Failure>,
}

/// What a module may use while it does one task.
pub struct Task<'a> {
    pub check: bool,
    pub diff: bool,
    pub no_log: bool,
    /// Nobody reads more of the result than what the task did: values that cost a process may be left out.
    pub brief: bool,
    /// Of the task's `environment`; set on every child process.
    pub environment: &'a BTreeMap<String, String>,
    /// Whether programs that change the host are watched.
    pub watch: witness::Mode,
    /// The only way to write to the host.
    pub recorder: Desk<'a>,
    /// Contents that the controller has and the host asked for.
    pub blobs: &'a dyn Blobs,
    /// What was learned in this run and stays true until a change says otherwise (package database, users…).
    pub cache: &'a mut crate::cache::Cache,
    pub warnings: Vec<String>,
    pub deprecations: Vec<String>,
    /// Set by Ctrl-C or a lost controller; long work looks at it.
    pub cancelled: &'a AtomicBool,
    /// The task's `timeout`.
    pub deadline: Option<Instant>,
}

impl<'a> Task<'a> {
    /// A child process with the task's environment, deadline and cancellation; run it with [`Run::output`].
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Run<'a> {
        Run::new(program).envs(self.environment).deadline(self.deadline).cancelled(self.cancelled)
    }

    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// For loops: fails when the task was cancelled or its time is over.
    pub fn go_on(&self) -> Result<(), Failure> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Failure::new("the task was interrupted"));
        }
        if self.deadline.is_some_and(|end| Instant::now() >= end) {
            return Err(Failure::new("the task was ended because its timeout is over"));
        }
        Ok(())
    }

    /// A variable as the task sees it: its own environment first, then the agent's.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned().or_else(|| std::env::var(name).ok())
    }
}

/// Where contents come from that a task names only by digest.
pub trait Blobs {
    fn fetch(&self, digest: &str) -> Result<Arc<[u8]>, String>;
}

/// What a module did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub changed: bool,
    /// Return values, under Ansible's names. `changed` is added; `warnings`, `diff`, too.
    pub values: Map,
    /// Shown with `--diff`. One element is given as an object, several as a list.
    pub diff: Vec<Json>,
}

impl Outcome {
    pub fn changed(changed: bool) -> Self {
        Self { changed, ..Self::default() }
    }
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }
    /// `None` leaves the key out.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<impl Into<Json>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
    #[must_use]
    pub fn diff(mut self, diff: Json) -> Self {
        self.diff.push(diff);
        self
    }
    pub fn set(&mut self, key: &str, value: impl Into<Json>) {
        self.values.insert(key.to_owned(), value.into());
    }
}

/// Why a module failed. `values` as in [`Outcome`].
#[derive(Clone, Debug, Default)]
pub struct Failure {
    pub message: String,
    pub values: Map,
    pub changed: bool,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }
    /// The task had changed something before it failed.
    #[must_use]
    pub fn after_change(mut self, changed: bool) -> Self {
        self.changed = changed;
        self
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}
impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}
impl From<layer::Error> for Failure {
    fn from(error: layer::Error) -> Self {
        Self::new(error.to_string())
    }
}
/// Without a path: prefer [`At::at`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(plain(&error))
    }
}

/// `.at("read", path)?`: an I/O error as a failure that names the path.
pub trait At<T> {
    fn at(self, doing: &str, path: impl AsRef<Path>) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &str, path: impl AsRef<Path>) -> Result<T, Failure> {
        self.map_err(|e| {
            Failure::new(format!("could not {doing} {}: {}", path.as_ref().display(), plain(&e.into())))
        })
    }
}

/// The kernel's words without Rust's `(os error 2)`.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
