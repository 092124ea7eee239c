//! Where the ledger of this user is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// `$THESEUS_STATE/ledger.db`; else root's in `/var/lib/theseus`, others' in `$XDG_STATE_HOME/theseus` or
/// `~/.local/state/theseus`.
pub fn default_path(root: bool) -> Result<PathBuf> {
    path_in(root, |name| std::env::var_os(name))
}

/// The same in a given environment.
pub fn path_in(root: bool, environment: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if let Some(state) = set("THESEUS_STATE") {
        state
    } else if root {
        PathBuf::from("/var/lib/theseus")
    } else if let Some(state) = set("XDG_STATE_HOME").filter(|state| state.is_absolute()) {
        state.join("theseus")
    } else {
        set("HOME").ok_or(Error::NoPlace)?.join(Path::new(".local/state/theseus"))
    };
    Ok(folder.join("ledger.db"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(root: bool, set: &[(&str, &str)]) -> Result<PathBuf> {
        path_in(root, |name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_place_follows_user_and_environment() {
        let home = ("HOME", "/home/a");
        assert_eq!(at(false, &[home]).unwrap(), Path::new("/home/a/.local/state/theseus/ledger.db"));
        assert_eq!(at(false, &[home, ("XDG_STATE_HOME", "/s")]).unwrap(), Path::new("/s/theseus/ledger.db"));
        assert_eq!(at(true, &[home]).unwrap(), Path::new("/var/lib/theseus/ledger.db"));
        assert_eq!(at(true, &[("THESEUS_STATE", "/t")]).unwrap(), Path::new("/t/ledger.db"));
        assert!(matches!(at(false, &[]), Err(Error::NoPlace)));
    }
}
