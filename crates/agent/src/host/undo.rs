//! Putting a host back to a generation: its files by the layer room, then its services.

use std::path::Path;

use catalog::Map;
use catalog::protocol::Undone;

use crate::module::{Failure, Task};

pub(crate) struct Wish<'a> {
    pub(crate) to: Option<u64>,
    pub(crate) force: bool,
    pub(crate) paths: &'a [String],
}

pub(crate) fn by_task(_task: &mut Task<'_>, _dir: &Path, _wish: &Wish<'_>) -> Result<(Map, bool), Failure> {
    Err(Failure::new("in the making"))
}

pub(crate) fn back_to(_dir: &Path, _to: u64, _run: layer::Run) -> Result<Undone, String> {
    Err("in the making".to_owned())
}

pub(crate) fn recover(_dir: &Path) -> Result<(), String> {
    Ok(())
}

pub(crate) fn recover_if_free(_dir: &Path) -> Vec<String> {
    Vec::new()
}

pub(crate) fn rfc3339() -> String {
    jiff::Timestamp::now().to_string()
}
