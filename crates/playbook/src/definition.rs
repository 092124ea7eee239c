//! `theseus.yml`: what Ansible's files have no words for. Optional; beside the playbook's project.

mod images;

use std::collections::BTreeMap;
use std::path::Path;

use catalog::arguments::nearest;
pub use catalog::protocol::Keep;
pub use images::ImageDefinition;

use crate::diagnostic::Result;
use crate::health::Check;
use crate::vault::Vault;
use crate::yaml::{self, Node};

/// The name of the file.
pub const FILE: &str = "theseus.yml";

/// What the file says; its defaults where there is none.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// `language: "2.18"`: templates and conditions mean what they meant in that version of ansible-core.
    pub older_language: bool,
    /// `apply: {on_failure: rollback}`
    pub undo_on_failure: bool,
    /// `apply: {guard: 60}`, in seconds; 0: none.
    pub guard_seconds: Option<u64>,
    /// `health:` tasks that must succeed on every host after a run.
    pub health: Option<Node>,
    /// Those of `health:` in short words: done before and after every change.
    pub checks: Vec<Check>,
    /// `history: {keep: 20 generations, 30 days, 5 GiB}`
    pub keep: Keep,
    /// `images:` by name.
    pub images: BTreeMap<String, ImageDefinition>,
    /// `fleets:` by name; what is in them is read by the fleets' room.
    pub fleets: Option<Node>,
}

impl Definition {
    /// Reads the file of a project, if there is one.
    pub fn of_project(dir: &Path, vault: &Vault) -> Result<Self> {
        let file = dir.join(FILE);
        if !file.exists() {
            return Ok(Self::default());
        }
        let Some(node) = yaml::load_file(&file, vault)?.node else { return Ok(Self::default()) };
        Self::read(&node)
    }

    fn read(node: &Node) -> Result<Self> {
        let mut definition = Self::default();
        for (key, value) in entries(node, "theseus.yml")? {
            match known(key, &["apply", "fleets", "health", "history", "images", "language"])? {
                "apply" => definition.read_apply(value)?,
                "fleets" => definition.fleets = Some(value.clone()),
                "health" => definition.read_health(value)?,
                "images" => definition.images = images::read(value)?,
                "language" => definition.older_language = older(value)?,
                _ => {
                    for (key, value) in entries(value, "history")? {
                        known(key, &["keep"])?;
                        definition.keep = keep(value)?;
                    }
                }
            }
        }
        Ok(definition)
    }

    fn read_health(&mut self, node: &Node) -> Result<()> {
        let mut rest = Vec::new();
        for entry in tasks(node)?.as_seq().unwrap_or_default() {
            match Check::read(entry) {
                Some(check) => self.checks.push(check?),
                None => rest.push(entry.clone()),
            }
        }
        self.health = (!rest.is_empty())
            .then(|| Node { kind: yaml::Kind::Seq(rest.into()), origin: node.origin.clone() });
        Ok(())
    }

    fn read_apply(&mut self, node: &Node) -> Result<()> {
        for (key, value) in entries(node, "apply")? {
            match known(key, &["on_failure", "guard"])? {
                "on_failure" => {
                    let word = value.as_str().unwrap_or_default();
                    self.undo_on_failure = match word {
                        "rollback" => true,
                        "keep" => false,
                        _ => return Err(value.error("on_failure is `rollback` or `keep`")),
                    };
                }
                _ => {
                    let seconds = value.as_i64().and_then(|n| u64::try_from(n).ok());
                    let wrong = || value.error("guard is a number of seconds (0: no guard)");
                    self.guard_seconds = Some(seconds.ok_or_else(wrong)?);
                }
            }
        }
        Ok(())
    }
}

/// A version of ansible-core whose meaning is asked for: 2.18's holds for those before it, too.
fn older(node: &Node) -> Result<bool> {
    match node.scalar_text().unwrap_or_default().as_str() {
        "2.16" | "2.17" | "2.18" => Ok(true),
        "2.19" => Ok(false),
        _ => Err(node.error("language is a version of ansible-core: `\"2.18\"` or `\"2.19\"`")),
    }
}

/// The entries of a mapping.
pub fn entries<'a>(node: &'a Node, what: &str) -> Result<&'a [(Node, Node)]> {
    node.as_map().ok_or_else(|| node.error(format!("{what} is a mapping, not {}", node.describe())))
}

/// A key that there is.
pub fn known<'a>(key: &'a Node, all: &[&str]) -> Result<&'a str> {
    let name = key.as_str().unwrap_or_default();
    if all.contains(&name) {
        return Ok(name);
    }
    let error = key.error(format!("there is no key `{name}` here"));
    Err(match nearest(name, all.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("there are: {}", all.join(", "))),
    })
}

fn tasks(node: &Node) -> Result<Node> {
    match node.as_seq() {
        Some(_) => Ok(node.clone()),
        None => Err(node
            .error(format!("health is a list of tasks, not {}", node.describe()))
            .hint("write them as in a playbook, for instance `- uri: {url: http://localhost/}`")),
    }
}

fn keep(node: &Node) -> Result<Keep> {
    let text = node.scalar_text().unwrap_or_default();
    keep_of(&text).map_err(|reason| node.error(reason))
}

/// `20 generations, 30 days, 5 GiB`
pub fn keep_of(text: &str) -> std::result::Result<Keep, String> {
    let mut keep = Keep::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (number, unit) = part.split_at(part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len()));
        let (place, factor) = match unit.trim() {
            "generation" | "generations" => (&mut keep.generations, 1),
            "day" | "days" => (&mut keep.days, 1),
            "MiB" => (&mut keep.bytes, 1 << 20),
            "GiB" => (&mut keep.bytes, 1 << 30),
            "TiB" => (&mut keep.bytes, 1 << 40),
            _ => return Err(wrong_keep(part)),
        };
        let number = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
        *place = Some(number.ok_or_else(|| wrong_keep(part))?);
    }
    Ok(keep)
}

fn wrong_keep(part: &str) -> String {
    format!("`{part}` does not say how much to keep; for instance: 20 generations, 30 days, 5 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Definition> {
        Definition::read(&yaml::load_str(text, Path::new("theseus.yml"))?.node.expect("a document"))
    }

    #[test]
    fn everything_is_read() {
        let text = "apply: {on_failure: rollback, guard: 30}\nhealth:\n  - ping:\nhistory:\n  keep: 20 generations, 30 days, 5 GiB\n";
        let definition = read(text).expect("it is right");
        assert!(definition.undo_on_failure && definition.guard_seconds == Some(30));
        assert_eq!(definition.health.and_then(|node| node.as_seq().map(<[Node]>::len)), Some(1));
        let all = Keep { generations: Some(20), days: Some(30), bytes: Some(5 << 30) };
        assert_eq!(definition.keep, all);
        assert!(read("language: 2.18\n").expect("it is right").older_language && !definition.older_language);
    }

    #[test]
    fn mistakes_have_places() {
        for (text, words, line) in [
            ("aply: {}\n", "no key `aply`", 1),
            ("apply:\n  on_failure: perhaps\n", "`rollback` or `keep`", 2),
            ("apply:\n  guard: soon\n", "seconds", 2),
            ("health: yes\n", "list of tasks", 1),
            ("history:\n  keep: forever\n", "how much", 2),
            ("language: 3\n", "a version of ansible-core", 1),
            ("- a\n", "mapping", 1),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.message.contains(words), "{text}: {}", error.message);
            assert_eq!(error.origin.map(|origin| origin.line), Some(line), "{text}");
        }
    }
}
