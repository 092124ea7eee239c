//! The one type for a mistake in what people wrote: a message, the place, the line itself, and what to do about it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expressions::Origin;
use parking_lot::RwLock;

/// A mistake (or, as a `warning`, something doubtful) in what a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub message: String,
    pub origin: Option<Origin>,
    pub hint: Option<String>,
    /// Other places that matter, each with a few words ("first defined here").
    pub related: Vec<(String, Origin)>,
    pub warning: bool,
    /// The kind of mistake, as programs name it (`argument`, `missing-file`).
    pub rule: Option<&'static str>,
}

pub type Result<T> = std::result::Result<T, Diagnostic>;

impl Diagnostic {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            origin: None,
            hint: None,
            related: Vec::new(),
            warning: false,
            rule: None,
        }
    }
    pub fn warning(message: impl Into<String>) -> Self {
        Self { warning: true, ..Self::new(message) }
    }
    /// Says where, unless a closer place is known already.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }
    #[must_use]
    pub fn rule(mut self, name: &'static str) -> Self {
        self.rule.get_or_insert(name);
        self
    }
    #[must_use]
    pub fn related(mut self, words: impl Into<String>, origin: &Origin) -> Self {
        self.related.push((words.into(), origin.clone()));
        self
    }

    /// The text that people read: plain, complete without colour, ending with a newline.
    pub fn render(&self, sources: &Sources) -> String {
        self.render_as(if self.warning { "warning" } else { "error" }, sources)
    }

    /// With another word than `error` or `warning` in front.
    pub fn render_as(&self, word: &str, sources: &Sources) -> String {
        let mut text = format!("{word}: {}\n", self.message);
        if let Some(origin) = &self.origin {
            render_place(&mut text, origin, sources);
        }
        for (words, origin) in &self.related {
            text.push_str(&format!("note: {words}\n"));
            render_place(&mut text, origin, sources);
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        text
    }
}

/// `--> file:line:column`, and the line with a caret if it can be shown.
fn render_place(text: &mut String, origin: &Origin, sources: &Sources) {
    text.push_str(&format!(" --> {origin}\n"));
    let Some(line) = sources.line(&origin.file, origin.line) else { return };
    let number = origin.line.to_string();
    let gutter = " ".repeat(number.len());
    let (shown, caret) = window(&line, origin.column.max(1) as usize - 1);
    text.push_str(&format!("{gutter} |\n{number} | {}\n{gutter} | {caret}^\n", shown.trim_end()));
}

/// Width of what is shown of one line; minified JSON has lines of megabytes.
const WIDTH: usize = 120;

/// The part of the line around `column` (from 0), and the blanks that put a caret under it. Tabs stay tabs.
fn window(line: &str, column: usize) -> (String, String) {
    let skipped = if column > WIDTH - 20 { column - WIDTH / 2 } else { 0 };
    let mut shown: String = line
        .chars()
        .skip(skipped)
        .take(WIDTH)
        .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
        .collect();
    let mut caret: String =
        shown.chars().take(column - skipped).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    caret.extend(std::iter::repeat_n(' ', (column - skipped).saturating_sub(caret.chars().count())));
    if skipped > 0 {
        shown.insert_str(0, "… ");
        caret.insert_str(0, "  ");
    }
    (shown, caret)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Expression errors carry a place already.
impl From<expressions::Error> for Diagnostic {
    fn from(error: expressions::Error) -> Self {
        Self { origin: error.origin, ..Self::new(error.message) }
    }
}

/// The texts that diagnostics quote. What was not added is read from disk when it is needed.
#[derive(Default)]
pub struct Sources {
    texts: RwLock<HashMap<PathBuf, Option<Arc<str>>>>,
}

impl Sources {
    pub fn new() -> Self {
        Self::default()
    }
    /// Text that is in no file (`--extra-vars`), under the name that its origins carry.
    pub fn add(&self, name: impl Into<PathBuf>, text: impl Into<Arc<str>>) {
        self.texts.write().insert(name.into(), Some(text.into()));
    }
    /// The line (from 1). Encrypted files are never quoted: their origins speak of the decrypted text.
    pub fn line(&self, file: &Path, number: u32) -> Option<String> {
        let known = self.texts.read().get(file).cloned();
        let text = known.unwrap_or_else(|| {
            let text = read_readable(file);
            self.texts.write().insert(file.to_owned(), text.clone());
            text
        })?;
        text.lines().nth((number as usize).checked_sub(1)?).map(str::to_owned)
    }
}

fn read_readable(file: &Path) -> Option<Arc<str>> {
    // Only plain files: reading a pipe or a device to quote a line could wait forever.
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let bytes = std::fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    (!crate::vault::is_encrypted(text)).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_place_caret_hint_and_notes() {
        let sources = Sources::new();
        sources.add("site.yml", "- hosts: all\n  tasks:\n\t- debug:\n");
        let origin = Origin::new(Path::new("site.yml"), 1, 3);
        let tabbed = Origin::new(Path::new("site.yml"), 3, 2);
        let diagnostic = Diagnostic::new("something is wrong")
            .at(&origin)
            .at(&tabbed)
            .related("the tab is here", &tabbed)
            .hint("write it otherwise");
        insta::assert_snapshot!(diagnostic.render(&sources), @r"
        error: something is wrong
         --> site.yml:1:3
          |
        1 | - hosts: all
          |   ^
        note: the tab is here
         --> site.yml:3:2
          |
        3 | 	- debug:
          | 	^
        hint: write it otherwise
        ");
    }

    #[test]
    fn shows_a_window_of_a_long_line_and_survives_odd_places() {
        let sources = Sources::new();
        let line = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        sources.add("long.json", line);
        let shown =
            Diagnostic::warning("here").at(&Origin::new(Path::new("long.json"), 1, 5001)).render(&sources);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("warning: here"));
        let caret = lines[4].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[3].chars().nth(caret), Some('X'));
        assert!(lines[3].chars().count() < 140);
        for (line, column) in [(0, 0), (1, 0), (1, 99_999), (2, 1), (u32::MAX, u32::MAX)] {
            let text =
                Diagnostic::new("x").at(&Origin::new(Path::new("long.json"), line, column)).render(&sources);
            assert!(text.starts_with("error: x\n --> long.json"));
        }
    }

    #[test]
    fn encrypted_files_are_not_quoted() {
        let sources = Sources::new();
        let file = std::env::temp_dir().join(format!("theseus-diagnostic-{}.yml", std::process::id()));
        std::fs::write(&file, "$ANSIBLE_VAULT;1.1;AES256\n3030\n").unwrap();
        assert_eq!(sources.line(&file, 1), None);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(sources.line(Path::new("/nowhere/at/all"), 1), None);
    }
}
