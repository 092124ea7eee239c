//! The targets that are run: their names and needs, as listed in targets.toml.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

const LIST: &str = include_str!("targets.toml");
const LIMIT: u64 = 300;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct About {
    /// Touches more than a reimplementation without Python promises; counted all the same.
    pub(crate) partial: bool,
    pub(crate) systemd: bool,
    limit: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) about: About,
}

impl Target {
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.about.limit.unwrap_or(LIMIT))
    }
}

/// All targets by name, or those named.
pub(crate) fn find(names: &[String]) -> Result<Vec<Target>> {
    let all: toml::Table = toml::from_str(LIST).context("xtask/src/upstream/targets.toml")?;
    let mut found = Vec::new();
    for (name, about) in all {
        let about = About::deserialize(about).with_context(|| format!("target {name}"))?;
        if names.is_empty() || names.contains(&name) {
            found.push(Target { name, about });
        }
    }
    if let Some(unknown) = names.iter().find(|name| !found.iter().any(|target| target.name == **name)) {
        bail!("no target {unknown} in xtask/src/upstream/targets.toml");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        let all = find(&[]).unwrap();
        assert_eq!(all.iter().filter(|target| !target.about.partial).count(), 116);
        assert_eq!(all.len(), 146);
        assert!(find(&["nothing-like-it".to_owned()]).is_err());
    }
}
