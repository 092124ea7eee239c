//! Gets a public role: from its address, or from where clones of it already are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Role;
use crate::shell;

const HUB: &str = "https://github.com";

/// Names another place: a directory that has OWNER/NAME in it, or an address to take instead of GitHub's.
const ELSEWHERE: &str = "THESEUS_ROLES";

/// Puts the role, without its history, into a folder of roles under its name.
pub(super) fn put(role: &Role, roles: &Path) -> Result<()> {
    let source = repository(role)?.join(role.folder());
    if !source.join("tasks").is_dir() {
        bail!("{} has no tasks folder, so it is no role", source.display());
    }
    let place = roles.join(&role.name);
    shell::run(Command::new("cp").arg("-a").arg(&source).arg(&place))?;
    let history = place.join(".git");
    if history.is_dir() {
        fs::remove_dir_all(history)?;
    }
    Ok(())
}

/// The files of the repository at the commit that the list names.
fn repository(role: &Role) -> Result<PathBuf> {
    let from = role.repository();
    let elsewhere = std::env::var(ELSEWHERE).unwrap_or_default();
    if !elsewhere.is_empty() && !elsewhere.contains("://") {
        let place = Path::new(&elsewhere).join(&from);
        if !place.is_dir() {
            bail!("{ELSEWHERE}={elsewhere} has no {from}");
        }
        return Ok(place);
    }
    let place = shell::target()?.join("roles").join(&from);
    let prefix = if elsewhere.is_empty() { HUB } else { elsewhere.trim_end_matches('/') };
    if !place.join(".git").is_dir() {
        fs::create_dir_all(place.parent().context("a clone lies in a folder")?)?;
        let address = format!("{prefix}/{from}");
        shell::output(Command::new("git").args(["clone", "--quiet", &address]).arg(&place))?;
    }
    let git = |arguments: &[&str]| {
        shell::output(Command::new("git").arg("-C").arg(&place).args(arguments)).map(|_| ())
    };
    if git(&["checkout", "--quiet", "--detach", &role.commit]).is_err() {
        git(&["fetch", "--quiet", "origin"])?;
        git(&["checkout", "--quiet", "--detach", &role.commit])?;
    }
    Ok(place)
}
