//! `include`, `exclude`, `extra_opts`: which entries, under which names.

use std::path::{Component, Path, PathBuf};

use catalog::Args;

use crate::module::Failure;
use crate::patterns;

pub(super) struct Options {
    include: Vec<String>,
    exclude: Vec<String>,
    strip: usize,
    pub(super) keep_newer: bool,
    /// Give files to the owners that the archive names (as root).
    pub(super) same_owner: bool,
}

impl Options {
    pub(super) fn read(args: &Args) -> Result<Self, Failure> {
        let list = |key: &str| args.strings(key).into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>();
        let mut options = Self {
            include: list("include"),
            exclude: list("exclude"),
            strip: 0,
            keep_newer: args.bool("keep_newer"),
            same_owner: true,
        };
        let mut words = list("extra_opts").into_iter();
        while let Some(word) = words.next() {
            let (name, value) =
                word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
            let mut value = || value.clone().or_else(|| words.next()).unwrap_or_default();
            match name {
                "--strip-components" | "--strip" => {
                    let text = value();
                    options.strip = text
                        .parse()
                        .map_err(|_| format!("extra_opts: `{text}` is no number of components"))?;
                }
                "--exclude" => options.exclude.push(value()),
                "--no-same-owner" | "-o" => options.same_owner = false,
                "--same-owner" => options.same_owner = true,
                "--keep-newer-files" | "-u" => options.keep_newer = true,
                // What is done anyway.
                "--overwrite"
                | "--no-overwrite-dir"
                | "-p"
                | "--preserve-permissions"
                | "--same-permissions"
                | "-q"
                | "-qq"
                | "--wildcards"
                | "--numeric-owner"
                | "--no-anchored"
                | "--delay-directory-restore"
                | "--xattrs" => {}
                other => {
                    return Err(
                        format!("extra_opts: `{other}` is not known to Theseus' own unpacking").into()
                    );
                }
            }
        }
        Ok(options)
    }

    /// The path below the destination; `None`: not wanted.
    pub(super) fn place(&self, name: &Path) -> Result<Option<PathBuf>, Failure> {
        let text = name.to_string_lossy();
        let text = text.trim_start_matches("./").trim_end_matches('/');
        let hits = |glob: &String| {
            let glob = glob.trim_start_matches("./").trim_end_matches('/');
            // A pattern for a directory is one for all that is in it.
            text == glob
                || patterns::matches(glob, text)
                || text
                    .match_indices('/')
                    .any(|(i, _)| &text[..i] == glob || patterns::matches(glob, &text[..i]))
        };
        let tail_hits = |glob: &String| {
            hits(glob) || text.rsplit('/').next().is_some_and(|last| patterns::matches(glob, last))
        };
        if self.exclude.iter().any(tail_hits) || !(self.include.is_empty() || self.include.iter().any(hits)) {
            return Ok(None);
        }
        let mut path = PathBuf::new();
        let mut skip = self.strip;
        for part in name.components() {
            match part {
                Component::Normal(part) if skip == 0 => path.push(part),
                Component::Normal(_) => skip -= 1,
                Component::ParentDir => {
                    return Err(
                        format!("the archive has an entry that leads out of it: {}", name.display()).into()
                    );
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok((!path.as_os_str().is_empty()).then_some(path))
    }
}
