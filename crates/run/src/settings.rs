//! What the person asked for, for the whole run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use link::{Place, Secret, SshMode};
use playbook::tags::Tags;

#[derive(Clone, Debug)]
pub struct Settings {
    pub check: bool,
    pub diff: bool,
    pub tags: Tags,
    /// How many hosts are at work at once.
    pub forks: usize,
    pub start_at: Option<String>,
    /// Ask before each task.
    pub step: bool,
    pub verbosity: u8,
    /// Nothing of what tasks return is shown, unless a task says otherwise.
    pub no_log: bool,
    pub force_handlers: bool,
    pub any_errors_fatal: bool,
    /// Play's default for `gather_facts`: `implicit`, `explicit`, `smart`.
    pub gathering: String,
    /// Which modules gather them.
    pub facts_modules: Vec<String>,
    pub gather_subset: Vec<String>,
    pub gather_timeout: Option<i64>,
    pub fact_path: Option<String>,
    pub reach: Reach,
    /// A host on which the run fails goes back to the generation before.
    pub undo_on_failure: bool,
    /// For the host's own history.
    pub person: String,
    pub command: String,
}

/// Command line and configuration on reaching hosts and becoming others there: the weakest voice, variables and
/// keywords override it.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    pub connection: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub private_key: Option<PathBuf>,
    pub password: Option<Secret>,
    pub host_key_checking: Option<bool>,
    /// `ssh_args`, `ssh_common_args`, `ssh_extra_args`.
    pub ssh_args: [Option<String>; 3],
    pub ssh: SshMode,
    pub timeout: Duration,
    pub retries: u32,
    pub become_: bool,
    pub become_method: String,
    pub become_user: String,
    pub become_exe: Option<String>,
    pub become_flags: Option<String>,
    pub become_password: Option<Secret>,
    /// Hosts that are not reached as variables say, but here: images that are being baked.
    pub places: Vec<(String, Arc<dyn Place>)>,
}
