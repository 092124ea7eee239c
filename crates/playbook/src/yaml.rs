//! YAML as Ansible reads it (YAML 1.1 with PyYAML's rules), every node with its place.

mod compose;
mod hints;
mod quiet;
mod scalar;
mod timestamp;
mod value;

use std::path::Path;
use std::sync::Arc;

use expressions::Origin;
use num_bigint::BigInt;

use crate::diagnostic::{Diagnostic, Result};
use crate::vault::{Vault, is_encrypted};
pub use value::{VaultText, reveal};

/// A piece of YAML. Cloning is cheap: collections are shared (an alias *is* its anchor).
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    /// Its first character.
    pub origin: Arc<Origin>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    /// Beyond 64 bits.
    Big(Arc<BigInt>),
    Float(f64),
    Str {
        text: Arc<str>,
        /// Written without quotes (and not as a block).
        plain: bool,
    },
    /// A date or a point in time, as Python prints it.
    Date(Arc<str>),
    Seq(Arc<[Node]>),
    /// Merge keys are merged, duplicates are resolved.
    Map(Arc<[(Node, Node)]>),
    /// `!vault`: the encrypted text.
    Vault(Arc<str>),
    /// `!unsafe`: no string inside is a template.
    Unsafe(Box<Node>),
}

/// What a file held.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// `None`: the file is empty, or all comments.
    pub node: Option<Node>,
    pub warnings: Vec<Diagnostic>,
}

/// Reads one document from a file, decrypting the file if it is encrypted.
pub fn load_file(path: &Path, vault: &Vault) -> Result<Loaded> {
    load_str(&read_text(path, vault)?, path)
}

/// Reads one document. `path` is the name that the places carry.
pub fn load_str(text: &str, path: impl Into<Arc<Path>>) -> Result<Loaded> {
    let path = path.into();
    let (mut nodes, warnings) = compose::documents(text, &path)?;
    if let Some(second) = nodes.get(1) {
        return Err(Diagnostic::new("there is more than one YAML document in this file")
            .at(&second.origin)
            .hint("a line with `---` in the middle of a file begins another document; remove it"));
    }
    Ok(Loaded { node: nodes.pop(), warnings })
}

/// Reads all documents of a stream.
pub fn load_all_str(text: &str, path: impl Into<Arc<Path>>) -> Result<(Vec<Node>, Vec<Diagnostic>)> {
    compose::documents(text, &path.into())
}

/// Larger files are a mistake: reading one takes several times its size in memory.
pub const LARGEST: u64 = 128 << 20;

/// The text of a file of the project, decrypted if the whole file is encrypted.
pub fn read_text(path: &Path, vault: &Vault) -> Result<String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_or(0, |about| about.len());
    if size > LARGEST {
        return Err(Diagnostic::new(format!(
            "the file {shown} has {} MB; what is read of a project may have {} MB",
            size >> 20,
            LARGEST >> 20
        ))
        .hint("data of that size belongs into a file that a task copies"));
    }
    let bytes = std::fs::read(path)
        .map_err(|error| Diagnostic::new(format!("the file {shown} cannot be read: {error}")))?;
    let start = Origin::new(path, 1, 1);
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        Diagnostic::new(format!("the file {shown} is not UTF-8 text")).at(&place_after(path, valid))
    })?;
    if is_encrypted(&text) {
        return vault.decrypt_text(&text).map_err(|error| error.at(&start));
    }
    Ok(text)
}

fn place_after(path: &Path, text: &[u8]) -> Origin {
    let text = String::from_utf8_lossy(text);
    let line = text.matches('\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Origin::new(path, u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

impl Node {
    pub fn new(kind: Kind, origin: Arc<Origin>) -> Self {
        Self { kind, origin }
    }
    pub fn str(text: impl Into<Arc<str>>, origin: Arc<Origin>) -> Self {
        Self::new(Kind::Str { text: text.into(), plain: false }, origin)
    }
    pub fn seq(items: Vec<Self>, origin: Arc<Origin>) -> Self {
        Self::new(Kind::Seq(items.into()), origin)
    }
    pub fn map(entries: Vec<(Self, Self)>, origin: Arc<Origin>) -> Self {
        Self::new(Kind::Map(entries.into()), origin)
    }
    /// JSON that has no places of its own (a program's output, `-e '{…}'`).
    pub fn from_json(json: &serde_json::Value, origin: &Arc<Origin>) -> Self {
        use serde_json::Value as Json;
        let kind = match json {
            Json::Null => Kind::Null,
            Json::Bool(value) => Kind::Bool(*value),
            Json::Number(number) => scalar::json_number(number),
            Json::String(text) => Kind::Str { text: text.as_str().into(), plain: false },
            Json::Array(items) => Kind::Seq(items.iter().map(|item| Self::from_json(item, origin)).collect()),
            Json::Object(entries) => {
                let entry = |(key, value): (&String, &Json)| {
                    (Self::str(key.as_str(), Arc::clone(origin)), Self::from_json(value, origin))
                };
                Kind::Map(entries.iter().map(entry).collect())
            }
        };
        Self::new(kind, Arc::clone(origin))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }
    /// The text of a string; `None` for everything else, numbers included.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Str { text, .. } => Some(text),
            Kind::Unsafe(inner) => inner.as_str(),
            _ => None,
        }
    }
    pub fn as_bool(&self) -> Option<bool> {
        match &self.kind {
            Kind::Bool(value) => Some(*value),
            _ => None,
        }
    }
    pub fn as_i64(&self) -> Option<i64> {
        match &self.kind {
            Kind::Int(value) => Some(*value),
            _ => None,
        }
    }
    pub fn as_seq(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            Kind::Unsafe(inner) => inner.as_seq(),
            _ => None,
        }
    }
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Unsafe(inner) => inner.as_map(),
            _ => None,
        }
    }
    /// The value of a text key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }
    /// Scalars as Python's `str()` prints them: what a key or a short argument means as text.
    pub fn scalar_text(&self) -> Option<String> {
        Some(match &self.kind {
            Kind::Bool(true) => "True".into(),
            Kind::Bool(false) => "False".into(),
            Kind::Null => "None".into(),
            Kind::Int(value) => value.to_string(),
            Kind::Big(value) => value.to_string(),
            Kind::Float(value) => scalar::python_float(*value),
            Kind::Str { text, .. } | Kind::Date(text) => text.to_string(),
            Kind::Unsafe(inner) => inner.scalar_text()?,
            Kind::Seq(_) | Kind::Map(_) | Kind::Vault(_) => return None,
        })
    }
    /// What it is, in the words of messages ("a list", "a number").
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) | Kind::Big(_) | Kind::Float(_) => "a number",
            Kind::Str { .. } => "text",
            Kind::Date(_) => "a date",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a mapping",
            Kind::Vault(_) => "an encrypted text",
            Kind::Unsafe(inner) => inner.describe(),
        }
    }
    /// A diagnostic at this node.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(message).at(&self.origin)
    }
}

#[cfg(test)]
mod tests;
