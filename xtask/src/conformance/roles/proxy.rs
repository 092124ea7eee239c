//! Debian's packages for the hosts of a role: through the lab's own proxy, fetched by curl.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use lab::Archives;

use crate::{base, shell};

/// Listens on an address of this machine that only the lab sees; what the base names can be reached.
pub(crate) fn start(address: IpAddr) -> Result<Archives> {
    let base = base::with_package_lists()?;
    let allowed = lab::addresses(&fs::read_to_string(base.join("etc/apt/sources.list"))?);
    let folder = base.with_extension("packages");
    Archives::serve(address, folder, allowed, Box::new(fetch)).context("a proxy for the lab")
}

fn fetch(address: &str, to: &Path) -> io::Result<Option<String>> {
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", "--dump-header", "-", "--output"]);
    let heads = shell::output(curl.arg(to).arg(address)).map_err(io::Error::other)?;
    let text = String::from_utf8_lossy(&heads.stdout).into_owned();
    let modified = text.lines().rev().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("last-modified").then(|| value.trim().to_owned())
    });
    Ok(modified)
}
