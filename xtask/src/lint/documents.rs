//! Paths that documents name must exist.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::conformance::case;
use crate::shell;

/// A word in backticks that begins so is a path of this tree.
const TOPS: &[&str] =
    &["crates/", "docs/", "src/", "tests/", "xtask/", "bench/", "examples/", ".ci/", ".cargo/"];

pub(super) fn check() -> Result<Vec<String>> {
    let root = shell::root();
    let mut documents: Vec<PathBuf> = Vec::new();
    if root.join("docs").is_dir() {
        documents = case::files(&root.join("docs"))?;
    }
    documents.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    documents.retain(|file| file.is_file() && file.extension().is_some_and(|ending| ending == "md"));
    let mut complaints = Vec::new();
    for document in documents {
        for path in paths(&fs::read_to_string(&document)?) {
            if !exists(&root, path) {
                complaints.push(format!("{} names {path}, which is not there", super::shown(&document)));
            }
        }
    }
    Ok(complaints)
}

/// The paths of the tree that a text names.
fn paths(text: &str) -> Vec<&str> {
    let words = text.split('`').skip(1).step_by(2);
    words
        .filter(|word| !word.contains(char::is_whitespace) && TOPS.iter().any(|top| word.starts_with(top)))
        .collect()
}

/// Wildcards and words in capitals stand for any name: what comes before them must exist.
fn exists(root: &Path, path: &str) -> bool {
    let path = path.split([':', '#']).next().unwrap_or(path);
    let known = path.split('/').take_while(|part| {
        let any = part.contains(['*', '<', '{', '…'])
            || part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase());
        !any
    });
    root.join(known.collect::<PathBuf>()).exists()
}

#[cfg(test)]
mod tests {
    use super::{exists, paths};
    use crate::shell;

    #[test]
    fn finds_paths_and_knows_whether_they_are_there() {
        let found =
            paths("See `xtask/src/main.rs:3` and `cargo xtask` or `tests/conformance/NAME/site.yml`.");
        assert_eq!(found, ["xtask/src/main.rs:3", "tests/conformance/NAME/site.yml"]);
        let root = shell::root();
        assert!(found.iter().all(|path| exists(&root, path)));
        assert!(!exists(&root, "xtask/src/nowhere.rs"));
    }
}
