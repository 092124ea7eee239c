//! The INI form: sections of hosts, of variables and of children; values are Python literals.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use expressions::{Origin, Str, Value};

use super::{Inventory, UNGROUPED, address, range};
use crate::diagnostic::{Diagnostic, Result};
use crate::keyvalue::shell_split;

/// Adds what the text says to the inventory.
pub(super) fn read(text: &str, path: &Arc<Path>, inventory: &mut Inventory) -> Result<()> {
    let mut reader =
        Reader { path, inventory, section: Section::Hosts(UNGROUPED.into()), pending: IndexMap::new() };
    let mut number = 0;
    for line in text.lines() {
        number += 1;
        reader.line(line, number)?;
    }
    reader.finish()
}

enum Section {
    Hosts(String),
    Vars(String),
    Children(String),
}

struct Reader<'a> {
    path: &'a Arc<Path>,
    inventory: &'a mut Inventory,
    section: Section,
    /// Groups that were mentioned but not (yet) declared: by whom, and where.
    pending: IndexMap<String, Pending>,
}

struct Pending {
    mentioned: Arc<Origin>,
    vars_only: bool,
    parents: Vec<(String, Arc<Origin>)>,
}

impl Reader<'_> {
    fn origin(&self, line: u32, column: usize) -> Arc<Origin> {
        Arc::new(Origin::new(Arc::clone(self.path), line, u32::try_from(column).unwrap_or(u32::MAX)))
    }

    fn line(&mut self, line: &str, number: u32) -> Result<()> {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let origin = self.origin(number, indent + 1);
        if content.starts_with('[')
            && let Some(section) = section_name(content)
        {
            return self.begin(section, &origin);
        }
        // `[2001:db8::1]:22` is a host; anything else in brackets was meant as a section.
        if content.starts_with('[') && without_comment(content).ends_with(']') {
            return Err(Diagnostic::new(format!("'{content}' is not a section"))
                .at(&origin)
                .hint("a section is [name], [name:vars] or [name:children]; names have no blanks and no other colons"));
        }
        match &self.section {
            Section::Hosts(group) => {
                let group = group.clone();
                self.host_line(content, &group, &origin)
            }
            Section::Vars(group) => {
                let group = group.clone();
                self.vars_line(line, content, &group, &origin)
            }
            Section::Children(group) => {
                let group = group.clone();
                self.child_line(content, &group, &origin)
            }
        }
    }

    fn begin(&mut self, (name, kind): (&str, Option<&str>), origin: &Arc<Origin>) -> Result<()> {
        let group = name.to_owned();
        match kind {
            None | Some("hosts") => {
                self.declare(name, origin)?;
                self.section = Section::Hosts(group);
            }
            Some("children") => {
                self.declare(name, origin)?;
                self.section = Section::Children(group);
            }
            Some("vars") => {
                if !self.inventory.groups.contains_key(name) && !self.pending.contains_key(name) {
                    let pending =
                        Pending { mentioned: Arc::clone(origin), vars_only: true, parents: Vec::new() };
                    self.pending.insert(group.clone(), pending);
                }
                self.section = Section::Vars(group);
            }
            Some(other) => {
                return Err(Diagnostic::new(format!(
                    "the section [{name}:{other}] has an unknown type: {other}"
                ))
                .at(origin)
                .hint("it is [name], [name:vars] or [name:children]"));
            }
        }
        Ok(())
    }

    fn declare(&mut self, name: &str, _origin: &Arc<Origin>) -> Result<()> {
        self.inventory.add_group(name);
        let Some(pending) = self.pending.shift_remove(name) else { return Ok(()) };
        for (parent, origin) in pending.parents {
            self.inventory.add_child(&parent, name).map_err(|error| error.at(&origin))?;
        }
        Ok(())
    }

    fn host_line(&mut self, content: &str, group: &str, origin: &Arc<Origin>) -> Result<()> {
        let words = shell_split(content, true).map_err(|message| {
            Diagnostic::new(format!("this host line cannot be split into words: {message}")).at(origin)
        })?;
        let Some((pattern, settings)) = words.split_first() else { return Ok(()) };
        let mut vars = Vec::with_capacity(settings.len());
        for setting in settings {
            let Some((name, value)) = setting.split_once('=') else {
                return Err(Diagnostic::new(format!(
                    "a variable key=value is expected here, this is '{setting}'"
                ))
                .at(origin)
                .hint(
                    "one host a line, then its variables; a value with blanks needs quotes: name=\"a b\"",
                ));
            };
            vars.push((name.to_owned(), value_of(value, origin)));
        }
        let (name, port) = address::split(pattern);
        let hosts = match name.parse::<std::net::Ipv6Addr>() {
            Ok(_) => vec![name.to_owned()],
            Err(_) => range::expand(name).map_err(|wrong| Diagnostic::new(wrong.message()).at(origin))?,
        };
        for host in hosts {
            self.inventory.ensure_host(&host);
            self.inventory.join(&host, group);
            let Some(host) = self.inventory.hosts.get_mut(&host) else { continue };
            if let Some(port) = port {
                host.vars.insert("ansible_port".into(), Value::Int(i64::from(port)));
            }
            host.vars.extend(vars.iter().cloned());
        }
        Ok(())
    }

    fn vars_line(&mut self, line: &str, content: &str, group: &str, origin: &Arc<Origin>) -> Result<()> {
        let Some((name, value)) = content.split_once('=') else {
            return Err(Diagnostic::new(format!(
                "a variable key=value is expected here, this is '{content}'"
            ))
            .at(origin)
            .hint(format!("this is the section [{group}:vars]; hosts belong into [{group}]")));
        };
        let column = line.chars().position(|c| c == '=').map_or(1, |at| at + 2);
        let place = self.origin(origin.line, column + value.len() - value.trim_start().len());
        // Kept even if the group is only declared further down.
        self.inventory.add_group(group);
        self.inventory.set_group_var(group, name.trim(), value_of(value.trim(), &place));
        Ok(())
    }

    fn child_line(&mut self, content: &str, group: &str, origin: &Arc<Origin>) -> Result<()> {
        let child = without_comment(content);
        if child.is_empty() || child.contains([':', ']', ' ', '\t']) {
            return Err(Diagnostic::new(format!("'{content}' is not the name of a group"))
                .at(origin)
                .hint(format!("in [{group}:children] each line is the name of one group")));
        }
        if self.inventory.groups.contains_key(child) && !self.pending.contains_key(child) {
            self.inventory.add_child(group, child).map_err(|error| error.at(origin))?;
            return Ok(());
        }
        let pending = self.pending.entry(child.to_owned()).or_insert_with(|| Pending {
            mentioned: Arc::clone(origin),
            vars_only: false,
            parents: Vec::new(),
        });
        pending.parents.push((group.to_owned(), Arc::clone(origin)));
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let Some((name, pending)) = self.pending.first() else { return Ok(()) };
        let message = match pending.parents.first() {
            Some((parent, _)) if !pending.vars_only => {
                format!("the section [{parent}:children] names the group '{name}', which is not defined")
            }
            _ => format!("the section [{name}:vars] is for the group '{name}', which is not defined"),
        };
        Err(Diagnostic::new(message)
            .at(&pending.mentioned)
            .hint(format!("add a section [{name}], even an empty one")))
    }
}

/// `[name]` and `[name:kind]`, perhaps with a comment after it.
fn section_name(content: &str) -> Option<(&str, Option<&str>)> {
    let inner = without_comment(content).strip_prefix('[')?.strip_suffix(']')?;
    let (name, kind) = match inner.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (inner, None),
    };
    let word = |kind: &str| !kind.is_empty() && kind.chars().all(|c| c.is_alphanumeric() || c == '_');
    let fine = !name.is_empty() && !name.contains([']', ' ', '\t']) && kind.is_none_or(word);
    // `[1:3]` begins a host line such as `[1:3].example.com`, never a section of that type.
    fine.then_some((name, kind))
}

fn without_comment(content: &str) -> &str {
    content.split('#').next().unwrap_or_default().trim_end()
}

/// A Python literal, or else the text itself, which may be a template.
fn value_of(text: &str, origin: &Arc<Origin>) -> Value {
    expressions::literal::parse(text, origin)
        .unwrap_or_else(|| Value::Str(Str::trusted(text, Arc::clone(origin))))
}
