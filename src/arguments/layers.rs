//! Layers: what Ansible has no words for.

use clap::{Args, ValueEnum};

use super::{Given, Hosts, Reach};

/// What becomes of a host on which the run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFailure {
    /// What was done until then stays, as with Ansible
    Keep,
    /// It goes back to the generation before
    Rollback,
}

/// What becomes of a host whose files of earlier runs somebody has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDrift {
    /// Nothing is done on any host
    Stop,
    /// Those paths stay as they are now; everything else is done
    Keep,
    /// It is said, and the run goes on; what is overwritten is kept in its layer
    Overwrite,
}

/// Flags of `apply` that `ansible-playbook` does not have.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Own {
    /// What becomes of a host on which a task or a health check fails [default: keep, or what theseus.yml says]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) on_failure: Option<OnFailure>,
    /// After a change to network, ssh or firewall the host goes back by itself unless it can be reached anew
    /// within so many seconds; 0: never [default: 60, or what theseus.yml says]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) guard: Option<u64>,
    /// What must be so before and after the change, beside what theseus.yml says: unit:NAME, port:NUMBER, http://…,
    /// command:LINE, log:PATH:PATTERN, file:PATH:SECONDS
    #[arg(long, value_name = "CHECK")]
    pub(crate) health: Vec<String>,
    /// When somebody has changed files of earlier runs by hand [default: overwrite]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) on_drift: Option<OnDrift>,
    /// Do not watch the programs that tasks run: what they change cannot be undone
    #[arg(long)]
    pub(crate) no_witness: bool,
    /// Say at the end which tasks took longest, and the whole run
    #[arg(long)]
    pub(crate) times: bool,
    /// Write a JUnit report into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) junit: Option<std::path::PathBuf>,
}

/// How the hosts of a command about layers are found and reached.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Means {
    #[command(flatten)]
    pub(crate) hosts: Hosts,
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// The history of the user that is connected as, not root's
    #[arg(long, conflicts_with = "become_")]
    pub(crate) own_user: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    pub(crate) host: String,
    /// Which generation [default: the newest]
    pub(crate) generation: Option<u64>,
    /// Only names, no text
    #[arg(long)]
    pub(crate) names: bool,
    #[command(flatten)]
    pub(crate) means: Means,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// HOST (as it is now), HOST@GENERATION, or an image
    pub(crate) before: String,
    /// HOST (as it is now), HOST@GENERATION, or an image
    pub(crate) after: String,
    /// Only names, no text
    #[arg(long)]
    pub(crate) names: bool,
    /// 2 when there is a difference
    #[arg(long)]
    pub(crate) exit_code: bool,
    #[command(flatten)]
    pub(crate) means: Means,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Which hosts (a pattern)
    pub(crate) host: String,
    /// The generation to go back to; 0: before everything [default: the one before the newest]
    #[arg(long, value_name = "GENERATION")]
    pub(crate) to: Option<u64>,
    /// Only these paths and what is below them
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<String>,
    /// Put back also what somebody changed since; that is kept in the store
    #[arg(long)]
    pub(crate) force: bool,
    /// Say what would be put back
    #[arg(short = 'C', long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) means: Means,
}

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// Which hosts (a pattern)
    pub(crate) host: String,
    #[command(flatten)]
    pub(crate) means: Means,
}

#[derive(Debug, Args)]
pub(crate) struct Store {
    /// Which hosts (a pattern)
    pub(crate) host: String,
    /// Read every object and compare it with its digest
    #[arg(long)]
    pub(crate) check: bool,
    /// Remove what the policy does not keep, for instance `20 generations, 30 days, 5 GiB` [default: what theseus.yml says]
    #[arg(long, value_name = "KEEP", num_args = 0..=1, default_missing_value = "")]
    pub(crate) prune: Option<String>,
    /// Never remove this generation, nor what it needs
    #[arg(long, value_name = "GENERATION", conflicts_with = "unpin")]
    pub(crate) pin: Option<u64>,
    /// Let go of it again
    #[arg(long, value_name = "GENERATION")]
    pub(crate) unpin: Option<u64>,
    #[command(flatten)]
    pub(crate) means: Means,
}
