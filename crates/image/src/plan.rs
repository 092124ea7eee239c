//! What a bake shall make: the words of `theseus.yml` with everything looked up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How containers of the image start; the OCI's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `80/tcp`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub name: String,
    /// A directory, an archive, `oci:DIR[:TAG]`, `docker://…`, `debootstrap:SUITE`.
    pub base: String,
    pub labels: BTreeMap<String, String>,
    pub run: Run,
    /// Whether the sandbox uses the machine's network.
    pub network: bool,
    /// No time in the image is later; `None`: the newest time in the base.
    pub epoch: Option<i64>,
    /// Paths that are never cleaned away.
    pub keep: Vec<String>,
    /// Paths (with `*`) in which keys and passwords may be.
    pub allow_secrets: Vec<String>,
    pub from_scratch: bool,
    /// The agent's binary and its digest.
    pub agent: PathBuf,
    pub agent_digest: String,
}
