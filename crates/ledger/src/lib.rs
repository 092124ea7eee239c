//! What is known of all hosts over time: runs, their results, generations, hosts, and a hash-chained log of all of it.
//!
//! [`Ledger`] is what the other rooms see; [`SqliteLedger`] keeps it in a file of the controller. No secret
//! enters: commands are recorded by [`safe_command`], facts only by a list of harmless names.

mod chain;
mod command;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod journal;
mod migrations;
mod place;
mod read;
mod records;
mod sqlite;
mod verify;

pub use chain::files_digest;
pub use command::safe_command;
pub use error::{Error, Result};
pub use journal::{Appended, Journal, JournalEntry, Lease};
pub use place::{default_path, path_in};
pub use records::{
    Counts, Entry, FACTS, Generation, GenerationSummary, HostRecord, HostResult, Run, RunEnd, RunStart,
    Verification, facts_summary,
};
pub use sqlite::SqliteLedger;

/// What is known of all hosts over time. Every change is one transaction and adds to the log's chain.
pub trait Ledger: Send {
    /// A run has begun. Its id must be new.
    fn begin_run(&mut self, run: &RunStart) -> Result<()>;
    /// A run has ended: its results, and the generations it made.
    fn end_run(&mut self, id: &str, end: &RunEnd) -> Result<()>;
    /// What was learnt of a host; only the names in [`FACTS`] are kept.
    fn note_facts(
        &mut self,
        host: &str,
        at: &str,
        facts: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<()>;

    /// The last runs, newest first; with a host, only those that had to do with it.
    fn runs(&self, host: Option<&str>, limit: usize) -> Result<Vec<Run>>;
    fn run(&self, id: &str) -> Result<Option<Run>>;
    /// What a run did to each host, by name.
    fn results(&self, run: &str) -> Result<Vec<HostResult>>;
    /// A host's generations, or all hosts', newest first, by arrival: a host that was made anew counts from 1 again.
    fn generations(&self, host: Option<&str>, limit: usize) -> Result<Vec<Generation>>;
    fn last_generation(&self, host: &str) -> Result<Option<Generation>>;
    /// All hosts that were ever seen, by name.
    fn hosts(&self) -> Result<Vec<HostRecord>>;

    /// The log from entry number `from` on.
    fn log(&self, from: u64, limit: usize) -> Result<Vec<Entry>>;
    /// Whether the log is one unbroken chain and the records are what the log says.
    fn verify(&self) -> Result<Verification>;
}
