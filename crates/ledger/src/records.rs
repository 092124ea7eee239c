//! What is kept: runs, results, generations, hosts, entries of the log. Times are RFC 3339 text.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A run as it begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    pub id: String,
    pub started: String,
    /// Who, on which controller: `ann@laptop`.
    pub person: String,
    /// By [`crate::safe_command`].
    pub command: String,
    /// The project's directory.
    pub project: String,
    /// Of the playbooks' files: [`crate::files_digest`].
    pub playbooks_digest: String,
    pub check: bool,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    pub finished: String,
    pub exit: i32,
    pub hosts: Vec<HostResult>,
    /// What the run made; each for a host of the run.
    pub generations: Vec<(String, u64, GenerationSummary)>,
}

/// A run as it is read back. One without `finished` is running, or its controller was killed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    #[serde(flatten)]
    pub start: RunStart,
    pub finished: Option<String>,
    pub exit: Option<i32>,
}

/// The recap's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub ok: u64,
    pub changed: u64,
    pub unreachable: u64,
    pub failed: u64,
    pub skipped: u64,
    pub rescued: u64,
    pub ignored: u64,
}

/// What a run did to one host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostResult {
    pub host: String,
    #[serde(flatten)]
    pub counts: Counts,
    /// The host's generation after the run, if it has a history.
    pub generation: Option<u64>,
    /// Whether this run made that generation.
    pub made: bool,
    /// Why it failed or was unreachable, in one sentence without secrets.
    pub reason: Option<String>,
}

/// What a generation changed, in short; the host itself keeps the whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GenerationSummary {
    /// How many paths were touched.
    pub paths: u64,
    /// The first of them.
    pub some_paths: Vec<String>,
    /// The tasks that changed something.
    pub tasks: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    pub host: String,
    pub number: u64,
    pub run: String,
    pub at: String,
    pub summary: GenerationSummary,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostRecord {
    pub name: String,
    pub first_seen: String,
    pub last_seen: String,
    /// See [`FACTS`].
    pub facts: Map<String, Value>,
    pub generation: Option<u64>,
}

/// One entry of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub number: u64,
    pub at: String,
    /// `run-begun`, `run-ended`, `facts`.
    pub kind: String,
    /// The run or the host.
    pub subject: String,
    /// JSON: the record itself.
    pub body: String,
    /// Of the entry before; 64 zeros for the first.
    pub previous: String,
    pub hash: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// How many entries were read.
    pub entries: u64,
    /// The last entry's hash. Kept elsewhere, it also proves later that nothing was cut off at the end.
    pub head: String,
    /// The first thing that is wrong, in words.
    pub problem: Option<String>,
}

/// Facts that may be kept: none of them is a secret.
pub const FACTS: &[&str] = &[
    "architecture",
    "default_ipv4",
    "distribution",
    "distribution_major_version",
    "distribution_release",
    "distribution_version",
    "fqdn",
    "hostname",
    "kernel",
    "machine_id",
    "memtotal_mb",
    "os_family",
    "pkg_mgr",
    "processor_vcpus",
    "product_name",
    "service_mgr",
    "virtualization_role",
    "virtualization_type",
];

/// Of a host's facts, with or without the prefix `ansible_`, those that may be kept.
#[must_use]
pub fn facts_summary(facts: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for name in FACTS {
        let value = facts.get(*name).or_else(|| facts.get(&format!("ansible_{name}")));
        let value = match value {
            // Only the address of the interface: its other keys say nothing of the host.
            Some(Value::Object(interface)) if *name == "default_ipv4" => interface.get("address"),
            other => other,
        };
        if let Some(value) = value.filter(|value| !value.is_object() && !value.is_array() && !value.is_null())
        {
            kept.insert((*name).to_owned(), value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::facts_summary;
    use serde_json::json;

    #[test]
    fn only_harmless_facts_are_kept() {
        let facts = json!({
            "ansible_kernel": "6.1", "distribution": "Debian", "default_ipv4": {"address": "10.0.0.1", "gateway": "10.0.0.254"},
            "ansible_env": {"TOKEN": "s3cr3t"}, "my_password": "s3cr3t", "ansible_local": {"k": "s3cr3t"},
        });
        let kept = facts_summary(facts.as_object().unwrap());
        assert_eq!(
            json!(kept),
            json!({"default_ipv4": "10.0.0.1", "distribution": "Debian", "kernel": "6.1"})
        );
    }
}
