//! RPM's database: read once, by one question, and again when its files changed.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::children;
use crate::module::{Failure, Task};

/// Where it may be: new systems, old ones. A change of any of them is a change of the database.
const FILES: &[&str] = &[
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite-wal",
    "/var/lib/rpm/Packages",
    "/var/lib/rpm/Packages.db",
];

const FORMAT: &str = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\n";

/// One installed package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub epoch: String,
    pub version: String,
    pub release: String,
    pub arch: String,
}

impl Package {
    /// `name-version-release.arch`
    pub fn nevra(&self) -> String {
        format!("{}-{}-{}.{}", self.name, self.version, self.release, self.arch)
    }

    /// Every form in which a playbook may name it.
    fn forms(&self) -> [String; 7] {
        let Self { name, epoch, version, release, arch } = self;
        [
            name.clone(),
            format!("{name}.{arch}"),
            format!("{name}-{version}"),
            format!("{name}-{version}-{release}"),
            self.nevra(),
            format!("{name}-{epoch}:{version}-{release}.{arch}"),
            format!("{epoch}:{name}-{version}-{release}.{arch}"),
        ]
    }
}

/// What is installed.
#[derive(Default)]
pub struct Rpm {
    stamps: Vec<(i64, i64, u64)>,
    pub packages: BTreeSet<Package>,
}

impl Rpm {
    pub fn now<'a>(task: &'a mut Task<'_>) -> Result<&'a Self, Failure> {
        let stamps: Vec<_> = FILES.iter().filter_map(|file| stamp(Path::new(file))).collect();
        let known = task.cache.get(Self::default);
        if stamps.is_empty() || known.stamps != stamps {
            let packages = Self::ask(task)?;
            *task.cache.get(Self::default) = Self { stamps, packages };
        }
        Ok(task.cache.get(Self::default))
    }

    fn ask(task: &Task<'_>) -> Result<BTreeSet<Package>, Failure> {
        let Some(output) = children::ask_if_there(task, &["rpm", "-qa", "--qf", FORMAT])? else {
            return Err("the program `rpm` is needed on the host".into());
        };
        Ok(parse(&children::expect(output)?.stdout_text()))
    }

    /// Whether a package of this name, or name and version, or shell pattern, is installed.
    pub fn has(&self, spec: &str) -> bool {
        if spec.contains(['*', '?', '[']) {
            return self.packages.iter().any(|p| p.forms().iter().any(|f| crate::patterns::matches(spec, f)));
        }
        self.packages.iter().any(|p| spec.contains(&p.name) && p.forms().iter().any(|form| form == spec))
    }
}

fn parse(text: &str) -> BTreeSet<Package> {
    let package = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut next = || fields.next();
        Some(Package { name: next()?, epoch: next()?, version: next()?, release: next()?, arch: next()? })
    };
    text.lines().filter_map(package).collect()
}

fn stamp(path: &Path) -> Option<(i64, i64, u64)> {
    let m = path.metadata().ok()?;
    Some((m.mtime(), m.mtime_nsec(), m.size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_every_form_of_its_name() {
        let text = "bash\t0\t5.1.8\t9.el9\tx86_64\ngpg-pubkey\t0\t1\t2\t(none)\n";
        let rpm = Rpm { packages: parse(text), ..Rpm::default() };
        for known in [
            "bash",
            "bash.x86_64",
            "bash-5.1.8",
            "bash-5.1.8-9.el9.x86_64",
            "bash-0:5.1.8-9.el9.x86_64",
            "ba*",
        ] {
            assert!(rpm.has(known), "{known}");
        }
        for unknown in ["bas", "bash-5.1", "bash.i686", "zsh*"] {
            assert!(!rpm.has(unknown), "{unknown}");
        }
    }
}
