//! Files that describe repositories.

use std::path::{Path, PathBuf};

use layer::Scratch;

use super::Repository;
use crate::files;
use crate::http;
use crate::module::{Failure, Task};

const DIRECTORY: &str = "/etc/zypp/repos.d";

/// A name in brackets, and what stands below it.
struct Section {
    name: String,
    values: Vec<(String, String)>,
}

impl Section {
    fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(is, _)| is == key).map(|(_, value)| value.as_str())
    }
}

/// `None`: that is no such file.
fn sections(text: &str) -> Option<Vec<Section>> {
    let mut all: Vec<Section> = Vec::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            all.push(Section { name: name.to_owned(), values: Vec::new() });
            continue;
        }
        let values = &mut all.last_mut()?.values;
        match line.split_once('=') {
            Some((key, value)) if !line.starts_with([' ', '\t']) => {
                values.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
            // A line that goes on with the one before.
            _ => {
                let (_, value) = values.last_mut().filter(|_| line.starts_with([' ', '\t']))?;
                value.push('\n');
                value.push_str(bare);
            }
        }
    }
    Some(all)
}

/// The text of the file that a task names, here or at an address.
pub(super) fn read(task: &Task<'_>, place: &str) -> Result<String, Failure> {
    if place.contains("://") {
        let scratch = Scratch::new()?;
        let path = http::download(task, place, (&scratch, "repo"), true).map_err(|failure| Failure {
            message: format!("Error downloading .repo file from provided URL: {}", failure.message),
            ..failure
        })?;
        return Ok(files::escape(&files::read(&path)?));
    }
    match std::fs::read(place) {
        Ok(bytes) => Ok(files::escape(&bytes)),
        Err(e) => Err(Failure::new(format!("Error opening .repo file from provided path {place}: {e}"))),
    }
}

/// What the file says goes before what the task says.
pub(super) fn apply(text: &str, wanted: &mut Repository) -> Result<(), Failure> {
    let all = sections(text).filter(|all| !all.is_empty());
    let all = all.ok_or("Invalid format, .repo file could not be parsed")?;
    let [section] = all.as_slice() else {
        let count = all.len();
        return Err(Failure::new(format!(
            "Invalid format, .repo file contains {count} repositories, expected 1"
        )));
    };
    let url = section.get("baseurl").ok_or("No baseurl found in .repo file")?;
    if url.contains('\n') {
        return Err("the .repo file has more than one baseurl: zypper adds a repository at one".into());
    }
    let flag = |key: &str, otherwise: bool| {
        let is = |value: &str| matches!(value.to_ascii_lowercase().as_str(), "1" | "yes" | "true" | "on");
        section.get(key).map_or(otherwise, is)
    };
    wanted.enabled = flag("enabled", wanted.enabled);
    wanted.autorefresh = flag("autorefresh", wanted.autorefresh);
    wanted.gpgcheck = flag("gpgcheck", wanted.gpgcheck);
    if let Some(name) = section.get("name") {
        wanted.name = Some(name.to_owned());
    }
    wanted.alias = Some(section.name.clone());
    wanted.url = url.to_owned();
    Ok(())
}

/// Of every repository that is set up: alias and address, as they are written.
pub(super) fn installed() -> Vec<(String, String)> {
    let files = std::fs::read_dir(Path::new(DIRECTORY)).into_iter().flatten().filter_map(Result::ok);
    let repo = |path: &PathBuf| path.extension().is_some_and(|end| end == "repo");
    files
        .map(|entry| entry.path())
        .filter(repo)
        .filter_map(|path| sections(&std::fs::read_to_string(path).ok()?))
        .flatten()
        .filter_map(|section| Some((section.name.clone(), section.get("baseurl")?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Repository, String> {
        let mut wanted = Repository { enabled: true, gpgcheck: true, ..Repository::default() };
        apply(text, &mut wanted).map_err(|failure| failure.message)?;
        Ok(wanted)
    }

    #[test]
    fn a_file_says_what_a_repository_is() {
        let is = of("# c\n[a]\nName = A\nenabled=no\nautorefresh=1\nbaseurl=http://h/a=b\n").unwrap();
        assert_eq!((is.alias.as_deref(), is.name.as_deref(), is.url.as_str()), (Some("a"), Some("A"), "http://h/a=b"));
        assert!(!is.enabled && is.autorefresh && is.gpgcheck);
    }

    #[test]
    fn other_files_are_refused() {
        for (text, said) in [
            ("nonsense", "could not be parsed"),
            ("", "could not be parsed"),
            ("[a]\nnonsense", "could not be parsed"),
            ("[a]\n[b]\n", "contains 2 repositories"),
            ("[a]\nmirrorlist=x\n", "No baseurl"),
            ("[a]\nbaseurl=x\n y\n", "more than one baseurl"),
        ] {
            let message = of(text).unwrap_err();
            assert!(message.contains(said), "{text:?}: {message}");
        }
    }
}
