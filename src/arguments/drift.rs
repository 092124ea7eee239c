//! Drift, the odd host, and the generation that broke something.

use clap::Args;

use super::Means;

#[derive(Debug, Args)]
pub(crate) struct Drift {
    /// Which hosts (a pattern)
    #[arg(default_value = "all")]
    pub(crate) pattern: String,
    /// Read every content, and compare every package's files with its record
    #[arg(long)]
    pub(crate) full: bool,
    /// Put back what has drifted; with --path and --object only that
    #[arg(long, conflicts_with = "accept")]
    pub(crate) fix: bool,
    /// It shall be as it is now; needs --reason
    #[arg(long, requires = "reason")]
    pub(crate) accept: bool,
    /// Why it is accepted
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Put back or accept only these paths and what is below them; without --fix and --accept: look only there
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<String>,
    /// Put back or accept only these objects, `service:ship.service` for instance
    #[arg(long, value_name = "OBJECT")]
    pub(crate) object: Vec<String>,
    /// Show also what is explained, with its explanation
    #[arg(long)]
    pub(crate) all: bool,
    /// Say what would be put back or accepted
    #[arg(short = 'C', long)]
    pub(crate) check: bool,
    /// Read at most so many MiB a second
    #[arg(long = "read-limit", value_name = "MIB")]
    pub(crate) read_limit: Option<u64>,
    /// Use at most so much of one processor
    #[arg(long = "cpu-limit", value_name = "PERCENT")]
    pub(crate) cpu_limit: Option<u64>,
    /// Look for evidence in people's shell histories, too
    #[arg(long)]
    pub(crate) shell_history: bool,
    /// 2 when something has drifted that nobody explains
    #[arg(long)]
    pub(crate) exit_code: bool,
    #[command(flatten)]
    pub(crate) means: Means,
}

#[derive(Debug, Args)]
pub(crate) struct Bisect {
    /// Which host
    pub(crate) host: String,
    /// A line for the shell that succeeds where all is well
    #[arg(long, value_name = "COMMAND")]
    pub(crate) check: String,
    /// A generation that was well [default: the oldest that can be reached]
    #[arg(long, value_name = "GENERATION")]
    pub(crate) good: Option<u64>,
    #[command(flatten)]
    pub(crate) means: Means,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Which hosts (a pattern)
    #[arg(default_value = "all")]
    pub(crate) pattern: String,
    /// Only these paths and what is below them, and no objects
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<String>,
    /// 2 when the hosts are not all alike
    #[arg(long)]
    pub(crate) exit_code: bool,
    #[command(flatten)]
    pub(crate) means: Means,
}
