//! Names as a task gives them: with a version, with a sign before them, or the place of a file.

use std::fmt;

/// A name; nothing, or how its version is compared and with which.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.version)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) install: Vec<Package>,
    pub(super) remove: Vec<Package>,
    /// Files and addresses of packages.
    pub(super) files: Vec<String>,
    /// Whether somebody asked for one to be installed, in so many words.
    pub(super) plus: bool,
}

impl Names {
    pub(super) fn read(names: &[String]) -> Self {
        let mut read = Self::default();
        for name in names {
            if name.contains("://") || name.ends_with(".rpm") {
                read.files.push(name.clone());
            } else if let Some(name) = name.strip_prefix(['-', '~']) {
                read.remove.push(package(name));
            } else {
                let bare = name.strip_prefix('+');
                read.plus |= bare.is_some();
                read.install.push(package(bare.unwrap_or(name)));
            }
        }
        read
    }
}

fn package(text: &str) -> Package {
    let at = text.find(['=', '<', '>']).filter(|_| !text.contains(char::is_whitespace));
    let (name, version) = text.split_at(at.unwrap_or(text.len()));
    Package { name: name.to_owned(), version: version.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_shall_become_of_them() {
        let given = ["a", "+b>=1.0", "-c", "~d=2", "/x/e.rpm", "ftp://f", "g >= 1"].map(str::to_owned);
        let read = Names::read(&given);
        let all = |list: &[Package]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(all(&read.install), ["a", "b>=1.0", "g >= 1"]);
        assert_eq!((read.install[1].name.as_str(), read.install[1].version.as_str()), ("b", ">=1.0"));
        assert_eq!(read.install[2].version, "");
        assert_eq!(all(&read.remove), ["c", "d=2"]);
        assert_eq!(read.files, ["/x/e.rpm", "ftp://f"]);
        assert!(read.plus);
    }
}
