//! Remembered results of the real ansible-core, by everything that they depend on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::case::{self, Case};
use super::outcome::Outcome;
use super::tree;
use crate::{base, setup, shell};

#[derive(Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) seconds: f64,
}

/// Where the result of this case on this machine is, if there is one.
pub(crate) fn place(case: &Case) -> Result<PathBuf> {
    let mut digests = vec![surroundings()?.to_owned()];
    for (folder, file) in ingredients(case)? {
        let meta = file.symlink_metadata()?;
        let content =
            if meta.is_symlink() { tree::bytes(&fs::read_link(&file)?).to_vec() } else { fs::read(&file)? };
        let name = file.strip_prefix(&folder).unwrap_or(&file);
        let mode = meta.permissions().mode().to_le_bytes();
        digests.push(tree::digest(&[tree::bytes(name), &mode, &content]));
    }
    let name = tree::digest(&digests.iter().map(String::as_bytes).collect::<Vec<_>>());
    Ok(shell::target()?.join("oracle-cache").join(format!("{}-{}.json", case.name, &name[..24])))
}

/// Every file that a case is made of, with the folder that it is in.
fn ingredients(case: &Case) -> Result<Vec<(PathBuf, PathBuf)>> {
    let project = case.about.project.as_ref().map(|project| shell::root().join(project));
    let mut all = Vec::new();
    for folder in [Some(case.folder.clone()), project].into_iter().flatten() {
        all.extend(case::files(&folder)?.into_iter().map(|file| (folder.clone(), file)));
    }
    Ok(all)
}

pub(crate) fn recall(case: &Case) -> Result<Option<Remembered>> {
    let Ok(text) = fs::read(place(case)?) else { return Ok(None) };
    Ok(serde_json::from_slice(&text).ok())
}

pub(crate) fn remember(case: &Case, result: &Remembered) -> Result<()> {
    let place = place(case)?;
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = place.with_extension("new");
    fs::write(&unfinished, serde_json::to_vec(result)?)?;
    Ok(fs::rename(unfinished, place)?)
}

/// The reference's version, the root that hosts are clones of, and this harness itself.
fn surroundings() -> Result<&'static str> {
    static DIGEST: OnceLock<String> = OnceLock::new();
    if let Some(known) = DIGEST.get() {
        return Ok(known);
    }
    let version = shell::output(Command::new(setup::oracle()?.join("ansible-playbook")).arg("--version"))?;
    let kernel = shell::output(Command::new("uname").arg("-rm"))?;
    let base = base::directory()?;
    let packages = fs::read(base.join("var/lib/dpkg/status")).unwrap_or_default();
    let accounts = fs::read(base.join("etc/passwd")).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().next().unwrap_or_default().to_owned();
    let harness: [&[u8]; 5] = [
        include_bytes!("recorder.py"),
        include_bytes!("hosts.rs"),
        include_bytes!("turn.rs"),
        include_bytes!("tree.rs"),
        include_bytes!("packages.rs"),
    ];
    let mut parts: Vec<&[u8]> =
        vec![&version.stdout, &kernel.stdout, &packages, &accounts, memory.as_bytes()];
    parts.extend(harness);
    let digest = tree::digest(&parts);
    Ok(DIGEST.get_or_init(|| digest))
}
