//! `images:` of `theseus.yml`: what is baked, from what, on what.

use std::collections::BTreeMap;
use std::sync::Arc;

use expressions::Origin;

use super::{entries, known, tasks};
use crate::diagnostic::Result;
use crate::yaml::Node;

/// One image.
#[derive(Clone, Debug)]
pub struct ImageDefinition {
    pub origin: Arc<Origin>,
    /// Playbooks, relative to the project.
    pub playbooks: Vec<String>,
    /// A directory, an archive, `oci:DIR[:TAG]`, `image:NAME`, `debootstrap:SUITE`.
    pub base: String,
    /// Of the inventory, that the image is a host of.
    pub groups: Vec<String>,
    pub vars: Option<Node>,
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    pub network: bool,
    pub labels: BTreeMap<String, String>,
    pub env: BTreeMap<String, String>,
    pub cmd: Vec<String>,
    pub entrypoint: Vec<String>,
    pub ports: Vec<String>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    /// Seconds: no time in the image is later.
    pub epoch: Option<i64>,
    pub keep: Vec<String>,
    pub allow_secrets: Vec<String>,
    /// Tasks in place of the project's own.
    pub health: Option<Node>,
}

impl ImageDefinition {
    /// Of an image that `theseus.yml` says nothing of.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            origin: Arc::new(Origin::new(std::path::PathBuf::from("the command line"), 1, 1)),
            playbooks: Vec::new(),
            base: String::new(),
            groups: Vec::new(),
            vars: None,
            tags: Vec::new(),
            skip_tags: Vec::new(),
            network: true,
            labels: BTreeMap::new(),
            env: BTreeMap::new(),
            cmd: Vec::new(),
            entrypoint: Vec::new(),
            ports: Vec::new(),
            user: None,
            workdir: None,
            epoch: None,
            keep: Vec::new(),
            allow_secrets: Vec::new(),
            health: None,
        }
    }
}

const KEYS: &[&str] = &[
    "playbook",
    "base",
    "groups",
    "vars",
    "tags",
    "skip_tags",
    "network",
    "labels",
    "env",
    "cmd",
    "entrypoint",
    "ports",
    "user",
    "workdir",
    "epoch",
    "keep",
    "allow_secrets",
    "health",
];

pub(super) fn read(node: &Node) -> Result<BTreeMap<String, ImageDefinition>> {
    let mut all = BTreeMap::new();
    for (key, value) in entries(node, "images")? {
        let name = key.as_str().unwrap_or_default();
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 60 || !name.chars().all(fine) || name.starts_with('-') {
            return Err(key
                .error(format!("`{name}` cannot be the name of an image"))
                .hint("it becomes a host name and a tag: small letters, digits and `-`"));
        }
        all.insert(name.to_owned(), image(key, value)?);
    }
    Ok(all)
}

fn image(name: &Node, node: &Node) -> Result<ImageDefinition> {
    let mut image = empty(name);
    for (key, value) in entries(node, "an image")? {
        match known(key, KEYS)? {
            "playbook" => image.playbooks = list(value)?,
            "base" => image.base = text(value)?,
            "groups" => image.groups = list(value)?,
            "vars" => {
                entries(value, "vars")?;
                image.vars = Some(value.clone());
            }
            "tags" => image.tags = list(value)?,
            "skip_tags" => image.skip_tags = list(value)?,
            "network" => {
                image.network = match value.as_str() {
                    Some("host") => true,
                    Some("none") => false,
                    _ => return Err(value.error("network is `host` (the machine's own) or `none`")),
                }
            }
            "labels" => image.labels = map(value)?,
            "env" => image.env = map(value)?,
            "cmd" => image.cmd = list(value)?,
            "entrypoint" => image.entrypoint = list(value)?,
            "ports" => image.ports = list(value)?,
            "user" => image.user = Some(text(value)?),
            "workdir" => image.workdir = Some(text(value)?),
            "epoch" => {
                let wrong = || value.error("epoch is a number of seconds since 1970, as SOURCE_DATE_EPOCH");
                image.epoch = Some(value.as_i64().filter(|epoch| *epoch >= 0).ok_or_else(wrong)?);
            }
            "keep" => image.keep = list(value)?,
            "allow_secrets" => image.allow_secrets = list(value)?,
            _ => image.health = Some(tasks(value)?),
        }
    }
    for (key, missing) in [("playbook", image.playbooks.is_empty()), ("base", image.base.is_empty())] {
        if missing {
            return Err(name.error(format!("the image needs a `{key}`")));
        }
    }
    Ok(image)
}

fn empty(name: &Node) -> ImageDefinition {
    ImageDefinition { origin: name.origin.clone(), ..ImageDefinition::bare() }
}

fn text(node: &Node) -> Result<String> {
    node.scalar_text()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| node.error(format!("a text is needed here, not {}", node.describe())))
}

/// One text is a list of one.
fn list(node: &Node) -> Result<Vec<String>> {
    match node.as_seq() {
        Some(items) => items.iter().map(text).collect(),
        None => Ok(vec![text(node)?]),
    }
}

fn map(node: &Node) -> Result<BTreeMap<String, String>> {
    entries(node, "this")?.iter().map(|(key, value)| Ok((text(key)?, text(value)?))).collect()
}
