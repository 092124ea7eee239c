//! The file's form: sections, `key = value` or `key: value`, indented lines that go on, comments.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use expressions::Origin;

use crate::diagnostic::{Diagnostic, Result};

#[derive(Clone, Debug, Default)]
pub(super) struct Ini(HashMap<(String, String), (String, Origin)>);

impl Ini {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Diagnostic::new(format!("{} cannot be read: {error}", path.display())))?;
        Self::parse(&text, &Arc::from(path))
    }

    pub(super) fn get(&self, section: &str, key: &str) -> Option<(&str, &Origin)> {
        self.0.get(&(section.to_owned(), key.to_owned())).map(|(text, origin)| (text.as_str(), origin))
    }

    pub(super) fn parse(text: &str, path: &Arc<Path>) -> Result<Self> {
        let mut entries: HashMap<(String, String), (String, Origin)> = HashMap::new();
        let mut section: Option<String> = None;
        let mut last: Option<(String, String)> = None;
        let mut number = 0;
        for line in text.trim_start_matches('\u{feff}').lines() {
            number += 1;
            let content = uncommented(line);
            if content.is_empty() {
                continue;
            }
            let indent = line.chars().take_while(|c| c.is_whitespace()).count();
            if indent > 0
                && let Some((value, _)) = last.as_ref().and_then(|key| entries.get_mut(key))
            {
                value.push('\n');
                value.push_str(content);
                continue;
            }
            let origin = Origin::new(Arc::clone(path), number, u32::try_from(indent + 1).unwrap_or(u32::MAX));
            if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                section = Some(name.0.to_owned());
                last = None;
                continue;
            }
            let Some(section) = &section else {
                return Err(Diagnostic::new("a setting stands before the first section")
                    .at(&origin)
                    .hint("most settings belong below [defaults]"));
            };
            let Some(at) = content.find(['=', ':']) else {
                return Err(Diagnostic::new(format!("'{content}' is not a setting"))
                    .at(&origin)
                    .hint("write key = value; a line that goes on must be indented"));
            };
            let key = (section.clone(), content[..at].trim().to_lowercase());
            entries.insert(key.clone(), (content[at + 1..].trim().to_owned(), origin));
            last = Some(key);
        }
        Ok(Self(entries))
    }
}

/// Lines that begin with `#` or `;` are comments; within a line only ` ;` begins one.
fn uncommented(line: &str) -> &str {
    let content = line.trim();
    if content.starts_with(['#', ';']) {
        return "";
    }
    let mut from = 0;
    while let Some(at) = content[from..].find(';').map(|at| at + from) {
        if content[..at].ends_with([' ', '\t']) {
            return content[..at].trim_end();
        }
        from = at + 1;
    }
    content
}
