//! What is to be packed: patterns become paths, paths become entries with names below their common directory.

use std::path::{Path, PathBuf};

use catalog::Args;

use crate::module::{At, Failure, Outcome};
use crate::patterns;

/// One name in the archive and the path behind it.
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) name: String,
}

pub(super) struct Sources {
    /// As asked for, patterns filled in.
    pub(super) asked: Vec<PathBuf>,
    excluded: Vec<PathBuf>,
    pub(super) found: Vec<PathBuf>,
    pub(super) missing: Vec<PathBuf>,
    /// A directory, a pattern or several paths: this is an archive, not one compressed file.
    pub(super) are_many: bool,
    root: String,
}

impl Sources {
    pub(super) fn find(args: &Args) -> Result<Self, Failure> {
        let given = args.strings("path");
        let pattern = |path: &String| path.contains(['*', '?', '[']);
        let expand = |paths: &[String]| -> Vec<PathBuf> {
            let one = |path: &String| match pattern(path) {
                true => patterns::expand(path),
                false => vec![PathBuf::from(path)],
            };
            paths.iter().filter(|path| !path.is_empty()).flat_map(one).collect()
        };
        let asked = expand(&given);
        if asked.is_empty() {
            let (path, failure) = (given.join(", "), Failure::new("Error, no source paths were found"));
            return Err(failure.with("path", path).with("expanded_paths", "").with("expanded_exclude_paths", ""));
        }
        let excluded = expand(&args.strings("exclude_path"));
        let wanted = asked.iter().filter(|path| !excluded.contains(path)).cloned();
        let (found, missing): (Vec<_>, Vec<_>) = wanted.partition(|path| path.symlink_metadata().is_ok());
        let is_tree = |path: &PathBuf| path.is_dir() && !path.is_symlink();
        let are_many = given.iter().any(pattern) || asked.len() > 1 || found.iter().any(is_tree);
        let root = root(&asked);
        Ok(Self { asked, excluded, found, missing, are_many, root })
    }

    pub(super) fn told(&self, outcome: Outcome) -> Outcome {
        let names = |paths: &[PathBuf]| paths.iter().map(|p| super::text(p)).collect::<Vec<_>>();
        outcome
            .with("arcroot", self.root.clone())
            .with("expanded_paths", names(&self.asked))
            .with("expanded_exclude_paths", names(&self.excluded))
            .with("missing", names(&self.missing))
    }

    /// Everything below the paths, sorted, without the archive itself. A directory that was asked for is named by what
    /// is in it only.
    pub(super) fn entries(&self, dest: &Path, unwanted: &[String]) -> Result<Vec<Entry>, Failure> {
        let mut all = Vec::new();
        for path in &self.found {
            if path.is_dir() && !path.is_symlink() {
                self.below(path, &mut all)?;
            } else {
                all.push(path.clone());
            }
        }
        let entries = all.into_iter().filter(|path| path != dest).map(|path| {
            let name = path.to_string_lossy();
            let name = name.strip_prefix(&self.root).unwrap_or(&name).to_owned();
            Entry { path, name }
        });
        let fits = |name: &str| unwanted.iter().any(|pattern| patterns::matches(pattern, name));
        Ok(entries.filter(|entry| !fits(&entry.name)).collect())
    }

    fn below(&self, dir: &Path, all: &mut Vec<PathBuf>) -> Result<(), Failure> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(dir).at("list", dir)? {
            paths.push(entry.at("list", dir)?.path());
        }
        paths.sort();
        for path in paths {
            let is_tree = path.is_dir() && !path.is_symlink();
            all.push(path.clone());
            if is_tree {
                self.below(&path, all)?;
            }
        }
        Ok(())
    }
}

/// The directory that all paths are in, with a slash at its end.
fn root(paths: &[PathBuf]) -> String {
    let mut parents = paths.iter().map(|path| path.parent().unwrap_or(Path::new("/")));
    let first = parents.next().unwrap_or(Path::new("/")).to_owned();
    let common = parents.fold(first, |common, parent| {
        let same = common.components().zip(parent.components()).take_while(|(a, b)| a == b);
        same.map(|(part, _)| part).collect()
    });
    let text = common.to_string_lossy();
    if text.ends_with('/') || text.is_empty() { text.into_owned() } else { format!("{text}/") }
}

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn names_begin_below_the_common_directory() {
        let of = |paths: &[&str]| root(&paths.iter().map(Into::into).collect::<Vec<_>>());
        assert_eq!(of(&["/srv/a"]), "/srv/");
        assert_eq!(of(&["/srv/a/x", "/srv/ab/y"]), "/srv/");
        assert_eq!(of(&["/etc/x", "/srv/y"]), "/");
    }
}
