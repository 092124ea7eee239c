//! What the store keeps: its size, whether it is sound, and less of it.

use std::path::Path;

use catalog::Map;

use crate::module::Failure;

pub(crate) struct Policy;

pub(crate) fn policy(_keep: Option<u64>, _days: Option<u64>, _bytes: Option<u64>) -> Policy {
    Policy
}

pub(crate) fn store(_dir: &Path, _check: bool) -> Result<Map, Failure> {
    Err(Failure::new("in the making"))
}

pub(crate) fn prune(_dir: &Path, _policy: &Policy, _check: bool) -> Result<Map, Failure> {
    Err(Failure::new("in the making"))
}

pub(crate) fn pin(_dir: &Path, _generation: u64, _on: bool) -> Result<Map, Failure> {
    Err(Failure::new("in the making"))
}
