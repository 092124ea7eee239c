//! The reader: what is collected on the way, and reading of YAML nodes with complaints at the right place.

use std::path::Path;
use std::sync::Arc;

use expressions::{Origin, Value};

use super::{Loaded, Shared, UnknownModule};
use crate::diagnostic::Diagnostic;
use crate::ir::{Role, Task, Vars};
use crate::yaml::{self, Kind};

pub(super) struct Reader<'a> {
    pub(super) shared: &'a Shared,
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) unknown: Vec<UnknownModule>,
    /// Handlers and roles that static imports of the play brought.
    pub(super) imported: Vec<Brought>,
    /// Keywords are read of a task that may fail: a value that cannot be is told when its turn comes.
    pub(super) may_fail: bool,
}

/// Handlers and roles.
pub(super) type Brought = (Vec<Arc<Task>>, Vec<Arc<Role>>);

/// One `key: value` of a mapping, the key as text.
pub(super) struct Entry<'n> {
    pub(super) name: String,
    pub(super) key: &'n yaml::Node,
    pub(super) value: &'n yaml::Node,
}

impl<'a> Reader<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            errors: Vec::new(),
            warnings: Vec::new(),
            unknown: Vec::new(),
            imported: Vec::new(),
            may_fail: false,
        }
    }

    pub(super) fn finish(self, mut loaded: Loaded) -> Result<Loaded, Vec<Diagnostic>> {
        if let Some(collected) = &self.shared.collected {
            collected.lock().extend(self.errors);
        } else if !self.errors.is_empty() {
            return Err(self.errors);
        }
        loaded.unknown_modules = self.unknown;
        loaded.warnings = self.warnings;
        Ok(loaded)
    }

    pub(super) fn error(&mut self, message: impl Into<String>, origin: &Origin) {
        self.errors.push(Diagnostic::new(message).at(origin));
    }
    pub(super) fn error_hint(
        &mut self,
        message: impl Into<String>,
        origin: &Origin,
        hint: impl Into<String>,
    ) {
        self.errors.push(Diagnostic::new(message).at(origin).hint(hint));
    }
    /// The content of a YAML file; `None` for an empty one and for one that cannot be read (reported).
    pub(super) fn file(&mut self, path: &Path, from: Option<&Origin>) -> Option<Arc<yaml::Node>> {
        if let Some(known) = self.shared.files.lock().get(path) {
            return known.clone();
        }
        let node = match yaml::load_file(path, &self.shared.options.vault) {
            Ok(loaded) => {
                self.warnings.extend(loaded.warnings);
                loaded.node.filter(|node| !node.is_null()).map(Arc::new)
            }
            Err(error) => {
                let error = match from {
                    Some(origin) if error.origin.is_none() => error.at(origin),
                    _ => error,
                };
                self.errors.push(error);
                return None;
            }
        };
        self.shared.files.lock().insert(path.to_owned(), node.clone());
        node
    }

    /// The value, not checked for template syntax.
    pub(super) fn raw_value(&self, node: &yaml::Node) -> Value {
        node.to_value(&self.shared.options.vault)
    }

    /// The value; its templates are checked.
    pub(super) fn value(&mut self, node: &yaml::Node) -> Value {
        let value = self.raw_value(node);
        self.check_templates(&value);
        value
    }

    /// `None` for null.
    pub(super) fn optional(&mut self, node: &yaml::Node) -> Option<Value> {
        Some(self.value(node)).filter(|value| !matches!(value, Value::None))
    }

    /// Entries of a mapping, or a complaint.
    pub(super) fn entries<'n>(&mut self, node: &'n yaml::Node, what: &str) -> Option<Vec<Entry<'n>>> {
        let Kind::Map(map) = &node.kind else {
            self.error(
                format!("{what} must be a mapping (`key: value`), not {}", describe(node)),
                &node.origin,
            );
            return None;
        };
        Some(map.iter().map(|(key, value)| Entry { name: key_text(key), key, value }).collect())
    }

    /// Elements of a list; null is an empty one.
    pub(super) fn elements<'n>(&mut self, node: &'n yaml::Node, what: &str) -> &'n [yaml::Node] {
        match &node.kind {
            Kind::Seq(items) => items,
            Kind::Null => &[],
            _ => {
                self.error(format!("{what} must be a list, not {}", describe(node)), &node.origin);
                &[]
            }
        }
    }

    /// Text; anything else is a complaint.
    pub(super) fn text(&mut self, node: &yaml::Node, what: &str) -> Option<String> {
        match &node.kind {
            Kind::Null => None,
            Kind::Seq(_) | Kind::Map(_) => {
                self.error(format!("{what} must be text, not {}", describe(node)), &node.origin);
                None
            }
            _ => self.raw_value(node).python_str().ok(),
        }
    }

    /// `vars:`, defaults and the like: a mapping (or a list of mappings) with names that can be variables.
    pub(super) fn vars(&mut self, node: &yaml::Node, what: &str) -> Vars {
        let mut vars = Vars::new();
        match &node.kind {
            Kind::Null => {}
            Kind::Seq(items) => items.iter().for_each(|item| vars.extend(self.vars(item, what))),
            _ => {
                for entry in self.entries(node, what).unwrap_or_default() {
                    if !is_name(&entry.name) {
                        self.error_hint(
                            format!("`{}` is not a valid variable name", entry.name),
                            &entry.key.origin,
                            "names are letters, digits and `_`, and do not begin with a digit",
                        );
                        continue;
                    }
                    let value = self.raw_value(entry.value);
                    self.doubt_templates(&value);
                    vars.insert(entry.name.into(), value);
                }
            }
        }
        vars
    }
}

/// The text of a mapping's key.
pub(super) fn key_text(key: &yaml::Node) -> String {
    match &key.kind {
        Kind::Str { text, .. } => text.to_string(),
        Kind::Bool(true) => "True".into(),
        Kind::Bool(false) => "False".into(),
        Kind::Int(number) => number.to_string(),
        Kind::Float(number) => number.to_string(),
        Kind::Null => "None".into(),
        _ => String::new(),
    }
}

/// What a node is, for complaints.
pub(super) fn describe(node: &yaml::Node) -> &'static str {
    match &node.kind {
        Kind::Null => "nothing",
        Kind::Bool(_) => "a boolean",
        Kind::Int(_) | Kind::Big(_) | Kind::Float(_) => "a number",
        Kind::Seq(_) => "a list",
        Kind::Map(_) => "a mapping",
        Kind::Date(_) => "a date",
        _ => "text",
    }
}

/// What Python would take as an identifier (its keywords excepted, which nobody can use in a template).
pub(super) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
        && !matches!(name, "True" | "False" | "None")
}
