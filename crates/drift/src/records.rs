//! What the packages' own records say: which package lists a path, what its content should be, and since when.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use layer::Time;

/// Top-level directories that may be links into `/usr`.
const MERGED: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// One path of a package.
pub struct Owned {
    pub package: u32,
    pub md5: Option<[u8; 16]>,
    pub conffile: bool,
    seen: AtomicBool,
}

/// dpkg's database, as far as drift needs it. Paths are kept as hashes: there are a hundred thousand.
#[derive(Default)]
pub struct Records {
    info: PathBuf,
    packages: Vec<Package>,
    owned: HashMap<u64, Owned>,
    hashing: RandomState,
    merged: Vec<&'static str>,
    diverted: HashMap<Vec<u8>, (Vec<u8>, String)>,
    excluded: Vec<(bool, String)>,
    /// Package (with its architecture where dpkg says it) and version.
    pub versions: HashMap<String, String>,
}

struct Package {
    name: String,
    /// When its files were unpacked at the latest.
    unpacked: Time,
}

impl Records {
    /// Of a root; empty where there is no dpkg.
    pub fn load(root: &Path) -> Self {
        let base = root.join("var/lib/dpkg");
        let mut records = Self { info: base.join("info"), ..Self::default() };
        let merged = |dir: &&&str| root.join(&dir[1..]).is_symlink();
        records.merged = MERGED.iter().filter(merged).copied().collect();
        records.read_diversions(&base.join("diversions"));
        records.read_excludes(root);
        for (package, list) in records.lists() {
            records.add_package(package, &list);
        }
        records.read_status(&base.join("status"));
        records
    }

    fn lists(&self) -> Vec<(String, PathBuf)> {
        let entries = std::fs::read_dir(&self.info).into_iter().flatten().flatten();
        let lists = entries.filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(".list")?.to_owned();
            Some((name, entry.path()))
        });
        lists.collect()
    }

    fn add_package(&mut self, name: String, list: &Path) {
        let Ok(metadata) = list.metadata() else { return };
        let newest = metadata.ctime().max(metadata.mtime());
        let number = self.packages.len() as u32;
        self.packages.push(Package { name: name.clone(), unpacked: Time(newest, 0) });
        for line in std::fs::read(list).unwrap_or_default().split(|b| *b == b'\n') {
            if line.len() > 1 && line != b"/." {
                let key = self.key(&self.placed(line, &name));
                let owned =
                    Owned { package: number, md5: None, conffile: false, seen: AtomicBool::new(false) };
                self.owned.entry(key).or_insert(owned);
            }
        }
        let sums = std::fs::read(list.with_file_name(format!("{name}.md5sums"))).unwrap_or_default();
        for line in sums.split(|b| *b == b'\n').filter(|line| line.len() > 34) {
            let path = [b"/", &line[34..]].concat();
            self.note_sum(&path, &line[..32], &name, false);
        }
    }

    fn note_sum(&mut self, path: &[u8], sum: &[u8], package: &str, conffile: bool) {
        let key = self.key(&self.placed(path, package));
        let (Some(owned), Some(sum)) = (self.owned.get_mut(&key), unhex(sum)) else { return };
        let own = self.packages.get(owned.package as usize).is_some_and(|p| p.name == package || conffile);
        if own && (owned.md5.is_none() || conffile) {
            owned.md5 = Some(sum);
            owned.conffile = conffile;
        }
    }

    /// Versions, and the sums of the files that administrators may change.
    fn read_status(&mut self, status: &Path) {
        let text = std::fs::read(status).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        for paragraph in text.split("\n\n") {
            let field = |key: &str| {
                paragraph
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
                    .unwrap_or_default()
            };
            let name = field("Package");
            if name.is_empty() || !field("Status").ends_with(" installed") {
                continue;
            }
            self.versions.insert(name.to_owned(), field("Version").to_owned());
            let conffiles = paragraph.lines().skip_while(|line| *line != "Conffiles:").skip(1);
            for line in conffiles.take_while(|line| line.starts_with(" /")) {
                let mut words = line[1..].rsplitn(2, ' ');
                // `PATH SUM obsolete`
                let (mut sum, mut path) =
                    (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                if sum == "obsolete" || sum == "remove-on-upgrade" {
                    (path, sum) = path.rsplit_once(' ').unwrap_or((path, ""));
                }
                self.note_sum(path.as_bytes(), sum.as_bytes(), name, true);
            }
        }
    }

    fn read_diversions(&mut self, path: &Path) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for three in lines.chunks_exact(3) {
            let (from, to) = (self.merged(three[0].as_bytes()), self.merged(three[1].as_bytes()));
            self.diverted.insert(from, (to, three[2].to_owned()));
        }
    }

    fn read_excludes(&mut self, root: &Path) {
        let mut files = vec![root.join("etc/dpkg/dpkg.cfg")];
        let parts = std::fs::read_dir(root.join("etc/dpkg/dpkg.cfg.d")).into_iter().flatten().flatten();
        files.extend(parts.map(|entry| entry.path()));
        for line in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).flat_map(lines) {
            for (word, exclude) in [("path-exclude", true), ("path-include", false)] {
                if let Some(pattern) = line.trim().strip_prefix(word) {
                    self.excluded.push((exclude, pattern.trim_start_matches([' ', '=']).to_owned()));
                }
            }
        }
    }

    /// Where a package's file really is.
    fn placed(&self, path: &[u8], package: &str) -> Vec<u8> {
        let path = self.merged(path);
        match self.diverted.get(&path) {
            Some((to, by)) if by != package.split(':').next().unwrap_or(package) => to.clone(),
            _ => path,
        }
    }

    fn merged(&self, path: &[u8]) -> Vec<u8> {
        let below =
            |dir: &&&str| path.strip_prefix(dir.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"));
        match self.merged.iter().find(below) {
            Some(_) => [b"/usr", path].concat(),
            None => path.to_vec(),
        }
    }

    fn key(&self, path: &[u8]) -> u64 {
        self.hashing.hash_one(path)
    }

    pub fn owner(&self, path: &[u8]) -> Option<&Owned> {
        self.owned.get(&self.key(path))
    }

    /// As [`Records::owner`], and the path was seen on the host.
    pub fn seen(&self, path: &[u8]) -> Option<&Owned> {
        let owned = self.owner(path)?;
        owned.seen.store(true, Ordering::Relaxed);
        Some(owned)
    }

    pub fn package_of(&self, path: &[u8]) -> Option<&str> {
        self.owner(path).map(|owned| self.name(owned))
    }

    pub fn name(&self, owned: &Owned) -> &str {
        self.packages.get(owned.package as usize).map_or("", |package| &package.name)
    }

    /// Not touched since its package was unpacked.
    pub fn is_older_than_unpacking(&self, owned: &Owned, changed: Time) -> bool {
        /// Lists are written a moment after the files.
        const SLACK: i64 = 10;
        self.packages.get(owned.package as usize).is_some_and(|p| changed.0 <= p.unpacked.0 + SLACK)
    }

    /// Paths that packages list and that the scan did not see.
    pub fn unseen(&self) -> Vec<(Vec<u8>, String)> {
        let mut all = Vec::new();
        if self.owned.values().all(|owned| owned.seen.load(Ordering::Relaxed)) {
            return all;
        }
        for (package, list) in self.lists() {
            for line in std::fs::read(list).unwrap_or_default().split(|b| *b == b'\n') {
                let path = self.placed(line, &package);
                let lost = self.owner(&path).is_some_and(|owned| !owned.seen.load(Ordering::Relaxed));
                if lost && std::fs::symlink_metadata(std::ffi::OsStr::from_bytes(&path)).is_err() {
                    all.push((path, package.clone()));
                }
            }
        }
        all
    }

    /// This machine's dpkg does not unpack it.
    pub fn is_excluded(&self, path: &[u8]) -> bool {
        let path = String::from_utf8_lossy(path);
        let mut hits = self.excluded.iter().filter(|(_, pattern)| matches(pattern, &path));
        hits.next_back().is_some_and(|(exclude, _)| *exclude)
    }
}

fn lines(text: String) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// A shell pattern where `*` goes over slashes, as dpkg's do.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn unhex(text: &[u8]) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 32 && text.is_ascii())?;
    let mut sum = [0; 16];
    for (i, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_understood() {
        let root = tempfile::tempdir().unwrap();
        let info = root.path().join("var/lib/dpkg/info");
        std::fs::create_dir_all(&info).unwrap();
        std::fs::create_dir_all(root.path().join("etc/dpkg/dpkg.cfg.d")).unwrap();
        std::os::unix::fs::symlink("usr/bin", root.path().join("bin")).unwrap();
        let sum = "900150983cd24fb0d6963f7d28e17f72";
        std::fs::write(info.join("tool.list"), "/.\n/bin\n/bin/tool\n/etc/tool.conf\n/usr/share/doc/tool\n")
            .unwrap();
        std::fs::write(info.join("tool.md5sums"), format!("{sum}  bin/tool\n")).unwrap();
        std::fs::write(info.join("better.list"), "/usr/bin/tool\n").unwrap();
        std::fs::write(info.join("../diversions"), "/bin/tool\n/bin/tool.old\nbetter\n").unwrap();
        std::fs::write(
            info.join("../status"),
            format!("Package: tool\nStatus: install ok installed\nVersion: 1-2\nConffiles:\n /etc/tool.conf {sum} obsolete\n"),
        )
        .unwrap();
        std::fs::write(
            root.path().join("etc/dpkg/dpkg.cfg.d/x"),
            "path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\n",
        )
        .unwrap();
        let records = Records::load(root.path());
        assert_eq!(records.package_of(b"/usr/bin/tool.old"), Some("tool"));
        assert!(records.owner(b"/usr/bin/tool.old").unwrap().md5.is_some());
        assert_eq!(records.package_of(b"/usr/bin/tool"), Some("better"));
        let conffile = records.owner(b"/etc/tool.conf").unwrap();
        assert!(conffile.conffile && conffile.md5.is_some());
        assert_eq!(records.versions["tool"], "1-2");
        assert!(
            records.is_excluded(b"/usr/share/doc/a/b") && !records.is_excluded(b"/usr/share/doc/a/copyright")
        );
    }

    #[test]
    fn patterns_go_over_slashes() {
        for (pattern, text, hit) in
            [("/a/*", "/a/b/c", true), ("/a/*.h", "/a/b.c", false), ("/a", "/a", true), ("/a", "/ab", false)]
        {
            assert_eq!(matches(pattern, text), hit, "{pattern} {text}");
        }
    }
}
