//! What a build may see: a directory, without what its `.dockerignore` names, packed.

use std::path::{Path, PathBuf};

use layer::Scratch;
use tar::Builder;

use crate::files;
use crate::module::{At, Failure};
use crate::patterns;

/// The name in the archive of a Dockerfile that is not in the directory.
const FOREIGN: &str = ".dockerfile.theseus";

/// Packs the directory. Returns the archive and the Dockerfile's name in it.
pub(super) fn pack(
    scratch: &Scratch,
    root: &Path,
    dockerfile: Option<&str>,
) -> Result<(PathBuf, Option<String>), Failure> {
    let ignored = Ignored::read(root)?;
    let (file, path) = scratch.create("context.tar")?;
    let mut tar = Builder::new(file);
    tar.follow_symlinks(false);
    let outside = dockerfile.map(|name| root.join(name)).filter(|file| !is_inside(file, root));
    let name = match &outside {
        Some(_) => Some(FOREIGN.to_owned()),
        None => dockerfile.map(|name| {
            Path::new(name).strip_prefix(root).map_or(name.to_owned(), |inner| inner.display().to_string())
        }),
    };
    let kept = [".dockerignore".to_owned(), name.clone().unwrap_or_else(|| "Dockerfile".to_owned())];
    add(&mut tar, root, Path::new(""), &ignored, &kept)?;
    if let Some(file) = outside.filter(|file| file.is_file()) {
        tar.append_path_with_name(&file, FOREIGN).at("read", &file)?;
    }
    tar.finish().at("write", &path)?;
    Ok((path, name))
}

fn is_inside(file: &Path, root: &Path) -> bool {
    let (file, root) = (files::real_path(file), files::real_path(root));
    file.starts_with(root)
}

fn add(
    tar: &mut Builder<std::fs::File>,
    root: &Path,
    inner: &Path,
    ignored: &Ignored,
    kept: &[String],
) -> Result<(), Failure> {
    let dir = root.join(inner);
    let mut names: Vec<_> = std::fs::read_dir(&dir).at("read", &dir)?.flatten().map(|e| e.file_name()).collect();
    names.sort();
    for name in names {
        let inner = inner.join(name);
        let place = root.join(&inner);
        let kind = std::fs::symlink_metadata(&place).at("look at", &place)?.file_type();
        let text = inner.to_string_lossy();
        let left_out = ignored.covers(&text) && !kept.iter().any(|kept| *kept == text);
        if kind.is_dir() {
            // What is in it may be wanted again.
            if !left_out {
                tar.append_dir(&inner, &place).at("read", &place)?;
            }
            if !left_out || ignored.has_exceptions {
                add(tar, root, &inner, ignored, kept)?;
            }
        } else if !left_out && (kind.is_file() || kind.is_symlink()) {
            tar.append_path_with_name(&place, &inner).at("read", &place)?;
        }
    }
    Ok(())
}

/// Patterns of a `.dockerignore`; the last one that fits counts.
#[derive(Default)]
struct Ignored {
    /// Parts of each, and whether it leaves out.
    patterns: Vec<(Vec<String>, bool)>,
    has_exceptions: bool,
}

impl Ignored {
    fn read(root: &Path) -> Result<Self, Failure> {
        let path = root.join(".dockerignore");
        if !path.is_file() {
            return Ok(Self::default());
        }
        Ok(Self::parse(&String::from_utf8_lossy(&files::read(&path)?)))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let patterns: Vec<_> = lines
            .map(|line| {
                let (out, pattern) = line.strip_prefix('!').map_or((true, line), |rest| (false, rest.trim()));
                let mut parts: Vec<String> = Vec::new();
                for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
                    if part == ".." {
                        parts.pop();
                    } else {
                        parts.push(part.to_owned());
                    }
                }
                (parts, out)
            })
            .collect();
        let has_exceptions = patterns.iter().any(|(_, out)| !out);
        Self { patterns, has_exceptions }
    }

    fn covers(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        let fits = |(parts, _): &&(Vec<String>, bool)| !parts.is_empty() && fits(parts, &path);
        self.patterns.iter().rev().find(fits).is_some_and(|(_, out)| *out)
    }
}

/// Whether a path, or a directory above it, fits.
fn fits(pattern: &[String], path: &[&str]) -> bool {
    let Some((part, rest)) = pattern.split_first() else { return true };
    let Some((name, below)) = path.split_first() else { return false };
    if part == "**" {
        return (!rest.is_empty() && fits(rest, path)) || rest.is_empty() || fits(pattern, below);
    }
    patterns::matches(part, name) && fits(rest, below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stays_away() {
        let ignored = Ignored::parse("# no\n*.log\n!keep.log\n/a/b\n**/tmp\nx/*/y\n");
        for out in ["a.log", "a/b", "a/b/c", "tmp", "q/r/tmp/s", "x/1/y"] {
            assert!(ignored.covers(out), "{out}");
        }
        for kept in ["keep.log", "q/a.log", "a/c", "x/y", "# no", "b"] {
            assert!(!ignored.covers(kept), "{kept}");
        }
        assert!(ignored.has_exceptions && !Ignored::parse("**").has_exceptions && Ignored::parse("**").covers("a/b"));
    }
}
