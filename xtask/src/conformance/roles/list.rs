//! `tests/roles.toml`: which public roles, at which commit, with which variables, and how their service answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::shell;

const FILE: &str = "tests/roles.toml";

/// One entry of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    /// What the playbook calls it.
    pub(crate) name: String,
    /// OWNER/NAME at GitHub, and the folder of the role below where it is not the whole repository.
    pub(crate) from: String,
    /// Taken from the file's table of commits.
    #[serde(skip)]
    pub(crate) commit: String,
    /// Other roles of the list that lie beside it: what it depends on.
    #[serde(default)]
    pub(crate) brings: Vec<String>,
    /// Variables that a Debian host needs, as YAML.
    #[serde(default)]
    vars: String,
    /// Tasks that come first, as YAML.
    #[serde(default)]
    before: String,
    /// Commands of a shell that succeed on a host where the role did its work.
    #[serde(default)]
    pub(crate) checks: Vec<String>,
    /// Paths whose content is another each time, beside those that all hosts have; why, in the file's comments.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
    /// Only brought by others, not run by itself.
    #[serde(default)]
    library: bool,
    /// Why it is left out for now.
    #[serde(default)]
    pub(crate) skip: Option<String>,
    /// A known difference, with its reason: shown in the table, not counted as the same.
    #[serde(default)]
    pub(crate) known: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// By OWNER/NAME.
    commits: BTreeMap<String, String>,
    role: Vec<Role>,
}

fn all() -> Result<Vec<Role>> {
    let text = fs::read_to_string(shell::root().join(FILE)).context(FILE)?;
    let mut list: List = toml::from_str(&text).context(FILE)?;
    let mut names = BTreeSet::new();
    if let Some(twice) = list.role.iter().find(|role| !names.insert(&role.name)) {
        bail!("{FILE} has two roles with the name {}", twice.name);
    }
    for role in &mut list.role {
        let repository = role.repository();
        role.commit = list.commits.get(&repository).cloned().with_context(|| {
            format!("{FILE} names no commit of {repository}, which {} is from", role.name)
        })?;
    }
    Ok(list.role)
}

/// All roles in the file's order, or those named.
pub(super) fn find(names: &[String]) -> Result<Vec<Role>> {
    let all = all()?;
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|role| role.name == **name)) {
        bail!("{FILE} has no role {unknown}");
    }
    let wanted = |role: &Role| !role.library && (names.is_empty() || names.contains(&role.name));
    Ok(all.into_iter().filter(wanted).collect())
}

pub(super) fn one(name: &str) -> Result<Role> {
    let all = all()?;
    all.into_iter().find(|role| role.name == name).with_context(|| format!("{FILE} has no role {name}"))
}

impl Role {
    /// OWNER/NAME.
    pub(super) fn repository(&self) -> String {
        self.from.splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
    }

    /// Where it is inside the repository.
    pub(super) fn folder(&self) -> &str {
        self.from.splitn(3, '/').nth(2).unwrap_or_default()
    }

    /// A play that applies the role to the one host.
    pub(super) fn playbook(&self) -> String {
        let mut text =
            format!("# {} as published\n- name: {}\n  hosts: all\n  become: true\n", self.from, self.name);
        for (key, block) in [("vars", &self.vars), ("pre_tasks", &self.before)] {
            if !block.trim().is_empty() {
                text.push_str(&format!("  {key}:\n"));
                text.extend(block.trim_matches('\n').lines().map(|line| format!("    {line}\n")));
            }
        }
        text.push_str(&format!("  roles:\n    - {}\n", self.name));
        text
    }
}
