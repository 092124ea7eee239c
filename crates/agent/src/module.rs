//! What a module is: an argument specification and a function from arguments to an outcome.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{Args, Json, Map, ModuleSpec};
use layer::Recorder;

/// One module. Each lives in a file of its own under `modules/`, as a `pub static`.
pub struct Module {
    pub spec: ModuleSpec,
    pub run: fn(&Args, &mut Task<'_>) -> Result<Outcome, Failure>,
}

/// What a module may use while it does one task.
pub struct Task<'a> {
    pub check: bool,
    pub diff: bool,
    pub no_log: bool,
    /// Of the task's `environment`; set on every child process.
    pub environment: &'a BTreeMap<String, String>,
    /// The only way to write to the host.
    pub recorder: &'a mut Recorder,
    /// Contents that the controller has and the host asked for.
    pub blobs: &'a dyn Blobs,
    /// What was learned in this run and stays true until a change says otherwise (package database, users…).
    pub cache: &'a mut crate::cache::Cache,
    pub warnings: Vec<String>,
    pub deprecations: Vec<String>,
    /// Set by Ctrl-C or a timeout; long work looks at it.
    pub cancelled: &'a std::sync::atomic::AtomicBool,
}

/// Where contents come from that a task names only by digest.
pub trait Blobs {
    fn fetch(&self, digest: &str) -> Result<Arc<[u8]>, String>;
}

/// What a module did.
#[derive(Default)]
pub struct Outcome {
    pub changed: bool,
    /// Return values, under Ansible's names. `changed` is added; `warnings`, `diff`, too.
    pub values: Map,
    /// Shown with `--diff`.
    pub diff: Vec<Json>,
}

/// Why a module failed. `values` as in [`Outcome`].
#[derive(Debug, Default)]
pub struct Failure {
    pub message: String,
    pub values: Map,
    pub changed: bool,
}
