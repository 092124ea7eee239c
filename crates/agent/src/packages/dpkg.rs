//! dpkg's database, read directly: what is installed, in which version.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::cache::Cache;

pub const STATUS: &str = "/var/lib/dpkg/status";

/// One package of one architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub architecture: String,
    /// What is wanted: `install`, `hold`, `deinstall`, `purge`, `unknown`.
    pub selection: String,
    /// What is: `installed`, `config-files`, `half-configured`, ….
    pub state: String,
    pub section: String,
    pub essential: bool,
}

impl Package {
    pub fn installed(&self) -> bool {
        self.state == "installed" || self.state.starts_with("triggers-")
    }
    /// Removed, but something of it is left.
    pub fn has_remains(&self) -> bool {
        !matches!(self.state.as_str(), "not-installed" | "")
    }
}

/// `(modified, nanoseconds, size, inode)`: another one means another content.
type Stamp = (i64, i64, u64, u64);

/// The whole database.
#[derive(Default)]
pub struct Dpkg {
    stamp: Option<Stamp>,
    packages: HashMap<String, Vec<Package>>,
    native: String,
}

impl Dpkg {
    /// As it is now; read again only if the file changed since.
    pub fn now(cache: &mut Cache) -> &Self {
        let known = cache.get(Self::default);
        let stamp = stamp(Path::new(STATUS));
        if stamp.is_none() || stamp != known.stamp {
            let text = std::fs::read(STATUS).unwrap_or_default();
            *known = Self::parse(&String::from_utf8_lossy(&text));
            known.stamp = stamp;
        }
        known
    }

    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for paragraph in text.split("\n\n") {
            let package = paragraph_of(paragraph);
            if package.name.is_empty() {
                continue;
            }
            if package.name == "dpkg" {
                found.native.clone_from(&package.architecture);
            }
            found.packages.entry(package.name.clone()).or_default().push(package);
        }
        found
    }

    /// The package `name` or `name:arch`; without an architecture the host's own first.
    pub fn package(&self, name: &str) -> Option<&Package> {
        let (name, arch) = name.split_once(':').map_or((name, None), |(name, arch)| (name, Some(arch)));
        let all = self.packages.get(name)?;
        match arch {
            Some("native") => all.iter().find(|p| p.architecture == self.native || p.architecture == "all"),
            Some(arch) => all.iter().find(|p| p.architecture == arch || p.architecture == "all"),
            None => {
                let own = |p: &&Package| p.architecture == self.native || p.architecture == "all";
                all.iter().filter(own).chain(all.iter()).find(|p| p.has_remains()).or(all.first())
            }
        }
    }

    pub fn installed(&self, name: &str) -> Option<&Package> {
        self.package(name).filter(|p| p.installed())
    }

    pub fn all(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().flatten()
    }
}

fn paragraph_of(text: &str) -> Package {
    let mut package = Package::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(": ") else { continue };
        let value = value.trim();
        match key {
            "Package" => package.name = value.to_owned(),
            "Version" => package.version = value.to_owned(),
            "Architecture" => package.architecture = value.to_owned(),
            "Section" => package.section = value.to_owned(),
            "Essential" => package.essential = value == "yes",
            "Status" => {
                let mut words = value.split(' ');
                package.selection = words.next().unwrap_or_default().to_owned();
                package.state = words.nth(1).unwrap_or_default().to_owned();
            }
            _ => {}
        }
    }
    package
}

fn stamp(path: &Path) -> Option<Stamp> {
    let m = path.metadata().ok()?;
    Some((m.mtime(), m.mtime_nsec(), m.size(), m.ino()))
}
