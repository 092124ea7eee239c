//! A case: a folder of tests/conformance with a playbook of one subject, and what may be said of it in case.toml.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::roles::Role;
use crate::shell;

/// The contents of case.toml; a case without one takes the defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct About {
    /// What the real ansible-core exits with.
    pub(crate) exit: i32,
    /// What Theseus exits with, where its documented codes are others.
    pub(crate) theseus_exit: Option<i32>,
    /// Arguments beside the inventory and the playbook.
    pub(crate) args: Vec<String>,
    /// An inventory of the case's own, read after that of the harness (which knows how to reach h1, h2 and h3).
    pub(crate) inventory: Option<String>,
    /// Run and compare a second time on the same hosts.
    pub(crate) second: bool,
    /// `systemd`: a real systemd on the hosts; `apt`: the local repository; any other: a program hosts need.
    pub(crate) needs: Vec<String>,
    /// A folder of the repository that is copied beside the playbook, for a case about a project that lives elsewhere.
    pub(crate) project: Option<String>,
    /// Theseus reaches its hosts by the lab's own connection, not by ssh.
    pub(crate) lab: bool,
    /// Theseus finds the installed ansible-core, whose `module_utils` foreign modules need.
    pub(crate) core: bool,
    /// Paths on hosts that are left out of the comparison, with everything below them.
    pub(crate) ignore: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) about: About,
    /// The public role that the case was made for.
    pub(crate) role: Option<Role>,
}

pub(crate) fn folder() -> PathBuf {
    shell::root().join("tests/conformance")
}

/// All cases by name, or those named.
pub(crate) fn find(names: &[String]) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder()).context("tests/conformance")? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && (names.is_empty() || names.contains(&name)) {
            cases.push(read(&entry.path(), name)?);
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(unknown) = names.iter().find(|name| !cases.iter().any(|case| case.name == **name)) {
        bail!("no case {unknown} in tests/conformance");
    }
    Ok(cases)
}

/// Reads one case and checks that it is well-formed.
fn read(folder: &Path, name: String) -> Result<Case> {
    let file = folder.join("case.toml");
    let about = if file.exists() {
        let text = fs::read_to_string(&file)?;
        toml::from_str(&text).with_context(|| format!("{name}/case.toml"))?
    } else {
        About::default()
    };
    let playbook = fs::read_to_string(folder.join("site.yml")).with_context(|| format!("{name}/site.yml"))?;
    if !playbook.starts_with("# ") {
        bail!("{name}/site.yml must begin with a comment that says its one subject");
    }
    Ok(Case { name, folder: folder.to_path_buf(), about, role: None })
}

impl Case {
    pub(crate) fn needs(&self, what: &str) -> bool {
        self.about.needs.iter().any(|need| need == what)
    }

    /// Why the case cannot be run on this machine.
    pub(crate) fn missing(&self) -> Option<String> {
        let missing = self.about.needs.iter().find(|need| match need.as_str() {
            "systemd" => !Path::new("/lib/systemd/systemd").exists(),
            "apt" => !shell::has_program("apt-get") || !shell::has_program("dpkg-deb"),
            program => !shell::has_program(program),
        })?;
        Some(format!("needs {missing}, which this machine lacks"))
    }
}

/// Every file of a folder, sorted; links are not followed.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
