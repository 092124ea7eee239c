//! From the parser's events to nodes: aliases, merge keys, duplicate keys, tags; bounded in depth and size.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use expressions::Origin;
use libyaml_safer::{Event, EventData, Mark, Parser, ScalarStyle};

use super::quiet::Quiet;
use super::{Kind, Node, hints, scalar, timestamp};
use crate::diagnostic::{Diagnostic, Result};

/// Deeper nesting than people write; protects the stack.
const MAX_DEPTH: usize = 200;
/// Nodes of one file with every alias written out; protects memory and time ("billion laughs").
const MAX_NODES: usize = 10_000_000;
const STANDARD: &str = "tag:yaml.org,2002:";

/// All documents of a text, and what is doubtful in them.
pub(super) fn documents(text: &str, path: &Arc<Path>) -> Result<(Vec<Node>, Vec<Diagnostic>)> {
    // A block scalar at the end of a file without a final newline makes the parser panic.
    let text = format!("{text}\n");
    match compose(&text, path) {
        Ok(done) => Ok(done),
        // JSON knows escapes that YAML 1.1 does not (`\/` and surrogate pairs).
        Err(error) => match text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(&text)) {
            Some(Ok(json)) => {
                Ok((vec![Node::from_json(&json, &Arc::new(Origin::new(Arc::clone(path), 1, 1)))], Vec::new()))
            }
            _ => Err(error),
        },
    }
}

fn compose(text: &str, path: &Arc<Path>) -> Result<(Vec<Node>, Vec<Diagnostic>)> {
    let mut bytes = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    let mut composer = Composer {
        parser,
        text,
        path,
        reached: (1, 1),
        anchors: HashMap::new(),
        count: 0,
        depth: 0,
        warnings: Vec::new(),
    };
    let mut nodes = Vec::new();
    loop {
        let event = composer.next()?;
        match event.data {
            EventData::StreamEnd => return Ok((nodes, composer.warnings)),
            EventData::StreamStart { .. } | EventData::DocumentEnd { .. } => {}
            EventData::DocumentStart { .. } => composer.anchors.clear(),
            _ => {
                let node = composer.node(event)?;
                nodes.push(node);
            }
        }
    }
}

struct Composer<'a> {
    parser: Parser<&'a mut &'a [u8]>,
    text: &'a str,
    path: &'a Arc<Path>,
    /// Line and column behind the last event.
    reached: (u32, u32),
    /// Each anchor's node and how many nodes that is; `None` while it is being read.
    anchors: HashMap<String, Option<(Node, usize)>>,
    count: usize,
    depth: usize,
    warnings: Vec<Diagnostic>,
}

impl Composer<'_> {
    /// The parser panics on a few wrong texts; for us they are mistakes like all others.
    fn next(&mut self) -> Result<Event> {
        let parsed = {
            let _quiet = Quiet::begin();
            catch_unwind(AssertUnwindSafe(|| self.parser.parse()))
        };
        let Ok(event) = parsed else { return Err(hints::given_up(self.text, self.path, self.reached)) };
        let event = event.map_err(|error| hints::explain(&error, self.text, self.path))?;
        self.reached = place(event.end_mark);
        Ok(event)
    }

    fn origin(&self, mark: Mark) -> Arc<Origin> {
        let (line, column) = place(mark);
        Arc::new(Origin::new(Arc::clone(self.path), line, column))
    }

    fn node(&mut self, event: Event) -> Result<Node> {
        let origin = self.origin(event.start_mark);
        let start = self.count;
        self.spend(1, &origin)?;
        let (anchor, node) = match event.data {
            EventData::Alias { anchor } => return self.alias(&anchor, &origin),
            EventData::Scalar { anchor, tag, value, plain_implicit, style, .. } => {
                let plain = style == ScalarStyle::Plain;
                (anchor, scalar_node(&value, plain, plain && plain_implicit, tag.as_deref(), origin)?)
            }
            EventData::SequenceStart { anchor, tag, .. } => {
                self.open(anchor.as_ref(), &origin)?;
                let node = self.sequence(&origin)?;
                (anchor, tag_collection(node, tag.as_deref())?)
            }
            EventData::MappingStart { anchor, tag, .. } => {
                self.open(anchor.as_ref(), &origin)?;
                let node = self.mapping(&origin)?;
                (anchor, tag_collection(node, tag.as_deref())?)
            }
            _ => return Err(Diagnostic::new("the YAML ends in the middle of something").at(&origin)),
        };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, Some((node.clone(), self.count - start)));
        }
        Ok(node)
    }

    fn spend(&mut self, nodes: usize, origin: &Origin) -> Result<()> {
        self.count = self.count.saturating_add(nodes);
        if self.count > MAX_NODES {
            return Err(Diagnostic::new(format!("this YAML is too large: more than {MAX_NODES} values"))
                .at(origin)
                .hint("aliases (*name) count with everything that they stand for"));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: &str, origin: &Arc<Origin>) -> Result<Node> {
        let (node, size) = match self.anchors.get(anchor) {
            Some(Some(known)) => known.clone(),
            Some(None) => {
                return Err(Diagnostic::new(format!("the alias *{anchor} stands inside what it refers to"))
                    .at(origin));
            }
            None => {
                return Err(Diagnostic::new(format!(
                    "the alias *{anchor} has no anchor &{anchor} before it"
                ))
                .at(origin)
                .hint("text that begins with `*` must be quoted"));
            }
        };
        self.spend(size, origin)?;
        Ok(node)
    }

    fn open(&mut self, anchor: Option<&String>, origin: &Origin) -> Result<()> {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor.clone(), None);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(
                Diagnostic::new(format!("this YAML is nested deeper than {MAX_DEPTH} levels")).at(origin)
            );
        }
        Ok(())
    }

    fn sequence(&mut self, origin: &Arc<Origin>) -> Result<Node> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::SequenceEnd) {
                self.depth -= 1;
                return Ok(Node::seq(items, Arc::clone(origin)));
            }
            items.push(self.node(event)?);
        }
    }

    fn mapping(&mut self, origin: &Arc<Origin>) -> Result<Node> {
        let mut own = Vec::new();
        let mut merged = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::MappingEnd) {
                self.depth -= 1;
                let entries = self.unique(merged, own).map_err(|error| self.brace_mistake(origin, error))?;
                return Ok(Node::map(entries, Arc::clone(origin)));
            }
            let merge = is_merge(&event);
            let key = self.node(event)?;
            let event = self.next()?;
            let value = self.node(event)?;
            if merge {
                collect_merge(&value, &mut merged)?;
            } else {
                own.push((key, value));
            }
        }
    }

    /// Merged entries first, own ones over them; the last of two equal keys wins, in the place of the first.
    fn unique(&mut self, merged: Vec<(Node, Node)>, own: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>> {
        let own_start = merged.len();
        let mut entries: Vec<(Node, Node)> = Vec::with_capacity(own_start + own.len());
        let mut seen: HashMap<String, (usize, bool)> = HashMap::with_capacity(own_start + own.len());
        for (index, (key, value)) in merged.into_iter().chain(own).enumerate() {
            let is_own = index >= own_start;
            match seen.get_mut(&key_identity(&key)?) {
                Some((position, was_own)) => {
                    if is_own && *was_own {
                        self.warn_duplicate(&entries[*position].0, &key);
                    }
                    let name = if *was_own { entries[*position].0.clone() } else { key };
                    *was_own |= is_own;
                    entries[*position] = (name, value);
                }
                None => {
                    seen.insert(key_identity(&key)?, (entries.len(), is_own));
                    entries.push((key, value));
                }
            }
        }
        Ok(entries)
    }

    /// `{{ name }}` without quotes is a mapping whose key is a mapping.
    fn brace_mistake(&self, origin: &Arc<Origin>, error: Diagnostic) -> Diagnostic {
        let line = self.text.lines().nth(origin.line as usize - 1).unwrap_or_default();
        let rest: String = line.chars().skip(origin.column as usize - 1).collect();
        if !rest.starts_with("{{") {
            return error;
        }
        Diagnostic::new("a value that begins with `{{` must be quoted, or it is read as a mapping")
            .at(origin)
            .hint(format!("write it so: \"{}\"", rest.trim_end().replace('"', "'")))
    }

    fn warn_duplicate(&mut self, first: &Node, again: &Node) {
        let name = again.scalar_text().unwrap_or_default();
        self.warnings.push(
            Diagnostic::warning(format!("the key '{name}' is given twice; the last one counts"))
                .rule("duplicate-key")
                .at(&again.origin)
                .related("given here before", &first.origin),
        );
    }
}

fn is_merge(event: &Event) -> bool {
    matches!(&event.data, EventData::Scalar { value, style: ScalarStyle::Plain, tag: None, .. } if value == "<<")
}

/// What `<<` brings: a mapping, or a list of mappings of which the earlier win.
fn collect_merge(value: &Node, merged: &mut Vec<(Node, Node)>) -> Result<()> {
    let wrong = |node: &Node| {
        node.error(format!("`<<` merges mappings, and this is {}", node.describe()))
            .hint("give a mapping (usually `<<: *anchor`) or a list of mappings")
    };
    match &value.kind {
        Kind::Map(entries) => merged.extend(entries.iter().cloned()),
        Kind::Seq(items) => {
            for item in items.iter().rev() {
                let Kind::Map(entries) = &item.kind else { return Err(wrong(item)) };
                merged.extend(entries.iter().cloned());
            }
        }
        _ => return Err(wrong(value)),
    }
    Ok(())
}

/// Equal for keys that are equal in Python (`1` and `1.0` and `true`).
fn key_identity(key: &Node) -> Result<String> {
    Ok(match &key.kind {
        Kind::Str { text, .. } => format!("s{text}"),
        Kind::Int(value) => format!("n{value}"),
        Kind::Big(value) => format!("n{value}"),
        Kind::Bool(value) => format!("n{}", i32::from(*value)),
        Kind::Float(value) => format!("n{value}"),
        Kind::Null => "null".into(),
        Kind::Date(text) => format!("d{text}"),
        Kind::Vault(text) => format!("v{text}"),
        Kind::Unsafe(inner) => key_identity(inner)?,
        Kind::Seq(_) | Kind::Map(_) => {
            return Err(key
                .error(format!("{} cannot be a key", key.describe()))
                .hint("keys are text or numbers"));
        }
    })
}

fn scalar_node(
    value: &str,
    plain: bool,
    implicit: bool,
    tag: Option<&str>,
    origin: Arc<Origin>,
) -> Result<Node> {
    let resolve = |text: &str| scalar::resolve(text).map_err(|message| Diagnostic::new(message).at(&origin));
    let string = || Kind::Str { text: value.into(), plain };
    let kind = match tag {
        None if implicit => resolve(value)?,
        None | Some("!") => string(),
        Some("!unsafe") => {
            let inner = if plain { resolve(value)? } else { string() };
            Kind::Unsafe(Box::new(Node::new(inner, Arc::clone(&origin))))
        }
        Some("!vault" | "!vault-encrypted") => vault_kind(value, plain, &origin)?,
        Some(tag) => standard_scalar(value, tag, &origin)?.unwrap_or_else(string),
    };
    Ok(Node::new(kind, origin))
}

fn vault_kind(value: &str, plain: bool, origin: &Origin) -> Result<Kind> {
    if crate::vault::is_encrypted(value.trim_start()) && !plain {
        return Ok(Kind::Vault(value.into()));
    }
    Err(Diagnostic::new("what follows `!vault` is not an encrypted text").at(origin).hint(
        "`ansible-vault encrypt_string` prints what belongs here: `!vault |`, then the lines, indented",
    ))
}

/// `None`: it is a string.
fn standard_scalar(value: &str, tag: &str, origin: &Origin) -> Result<Option<Kind>> {
    let Some(name) = tag.strip_prefix(STANDARD) else { return Err(unknown_tag(tag, origin)) };
    match name {
        "str" => Ok(None),
        "binary" => {
            let text = hints::base64_text(value);
            text.map(|text| Some(Kind::Str { text: text.into(), plain: false })).ok_or_else(|| {
                Diagnostic::new("what follows `!!binary` is not base64 of UTF-8 text").at(origin)
            })
        }
        "int" | "float" | "bool" | "null" => match scalar::tagged(name, value) {
            Some(kind) => Ok(Some(kind)),
            None => Err(Diagnostic::new(format!("`{value}` is not what its tag !!{name} says")).at(origin)),
        },
        "timestamp" => match timestamp::parse(value) {
            Ok(Some(text)) => Ok(Some(Kind::Date(text.into()))),
            Ok(None) => {
                Err(Diagnostic::new(format!("`{value}` is not what its tag !!timestamp says")).at(origin))
            }
            Err(message) => Err(Diagnostic::new(message).at(origin)),
        },
        _ => Err(unknown_tag(tag, origin)),
    }
}

fn tag_collection(node: Node, tag: Option<&str>) -> Result<Node> {
    let Some(tag) = tag.filter(|tag| *tag != "!") else { return Ok(node) };
    let origin = Arc::clone(&node.origin);
    match (tag.strip_prefix(STANDARD).unwrap_or(tag), &node.kind) {
        ("!unsafe", _) => Ok(Node::new(Kind::Unsafe(Box::new(node)), origin)),
        ("seq", Kind::Seq(_)) | ("map", Kind::Map(_)) => Ok(node),
        // Variables hold no sets: they become the list of their members.
        ("set", Kind::Map(entries)) => {
            Ok(Node::seq(entries.iter().map(|(key, _)| key.clone()).collect(), origin))
        }
        ("!vault" | "!vault-encrypted", _) => {
            Err(vault_kind("", false, &origin).err().unwrap_or_else(|| unknown_tag(tag, &origin)))
        }
        _ => Err(unknown_tag(tag, &origin)),
    }
}

fn unknown_tag(tag: &str, origin: &Origin) -> Diagnostic {
    let shown = tag.strip_prefix(STANDARD).map_or_else(|| tag.to_owned(), |name| format!("!!{name}"));
    Diagnostic::new(format!("the tag {shown} is not known here"))
        .at(origin)
        .hint("known are !vault, !unsafe and the plain types (!!str, !!int, …); text that begins with `!` must be quoted")
}

/// Counted from 1, as people do.
fn place(mark: Mark) -> (u32, u32) {
    let number = |at: u64| u32::try_from(at + 1).unwrap_or(u32::MAX);
    (number(mark.line), number(mark.column))
}
