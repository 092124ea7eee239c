//! What a run did to a file tree: a snapshot before, one after, and the difference, described path by path.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs::{self, Metadata};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Path inside the tree, and what can be said of it in one line.
pub(crate) type Delta = BTreeMap<String, String>;

/// Where to look, below a root.
pub(crate) struct Scope<'a> {
    pub(crate) root: PathBuf,
    /// Directories looked into.
    pub(crate) within: &'a [&'a str],
    /// The root that the host is a clone of: what is the same there has not changed.
    pub(crate) lower: Option<PathBuf>,
    /// Left out, with everything below.
    pub(crate) ignore: &'a [String],
}

/// Directories of a host in which playbooks may write; `/usr` is large and only looked at where packages are installed.
pub(crate) const HOST: &[&str] = &["etc", "srv", "opt", "home", "root", "var", "usr/local"];
pub(crate) const HOST_WITH_PACKAGES: &[&str] = &["etc", "srv", "opt", "home", "root", "var", "usr"];

/// What differs between two runs of the same program: logs, caches, keys, dates, and what belongs to either program.
const VOLATILE: &[&str] = &[
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/ld.so.cache",
    "etc/machine-id",
    "etc/mtab",
    "etc/passwd-",
    "etc/resolv.conf",
    "etc/shadow-",
    "etc/ssh",
    "etc/subgid-",
    "etc/subuid-",
    "root/.ansible",
    "root/.ansible_async",
    "root/.cache",
    "root/.local/state/theseus",
    "root/.ssh",
    "var/cache",
    "var/lib/apt",
    "var/lib/dbus",
    "var/lib/dpkg/info/format",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/triggers",
    "var/lib/logrotate",
    "var/lib/private",
    "var/lib/systemd/catalog",
    "var/lib/systemd/coredump",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/timers",
    "var/lib/systemd/timesync",
    "var/lib/theseus",
    "var/log",
    "var/tmp",
];

/// What git keeps for itself: dates, inode numbers, the packing of objects.
const GIT: &[&str] = &["index", "logs", "FETCH_HEAD", "ORIG_HEAD", "hooks", "objects", "info", "branches"];

struct Entry {
    meta: Metadata,
    digest: Option<String>,
}

pub(crate) struct Snapshot {
    entries: BTreeMap<PathBuf, Entry>,
}

impl Snapshot {
    /// Reads attributes of everything and contents of what changed since `since` (seconds of the epoch): the
    /// rest lies below as it always did.
    pub(crate) fn take(scope: &Scope<'_>, since: i64) -> Result<Self> {
        let mut entries = BTreeMap::new();
        let mut open: Vec<PathBuf> = scope.within.iter().map(PathBuf::from).collect();
        while let Some(folder) = open.pop() {
            let place = scope.root.join(&folder);
            let listing = match fs::read_dir(&place) {
                Ok(listing) => listing,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| place.display().to_string()),
            };
            for entry in listing {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                let Ok(meta) = entry.path().symlink_metadata() else { continue };
                if volatile(&path, scope.ignore) {
                    continue;
                }
                if meta.is_dir() {
                    open.push(path.clone());
                }
                let digest = if meta.ctime() >= since { content(&entry.path(), &path, &meta) } else { None };
                entries.insert(path, Entry { meta, digest });
            }
        }
        Ok(Self { entries })
    }

    /// What is different in `self` from `before`.
    pub(crate) fn since(&self, before: &Self, scope: &Scope<'_>) -> Delta {
        let mut delta = Delta::new();
        for (path, now) in &self.entries {
            let place = scope.root.join(path);
            let was = before.entries.get(path);
            if was.is_some_and(|was| {
                was.meta.ctime() == now.meta.ctime() && was.meta.ctime_nsec() == now.meta.ctime_nsec()
            }) {
                continue;
            }
            let described = describe(&place, path, &now.meta, now.digest.as_deref());
            if was.is_some_and(|was| describe_before(scope, path, was) == described) {
                continue;
            }
            delta.insert(shown(path), described);
        }
        for path in before.entries.keys().filter(|path| !self.entries.contains_key(*path)) {
            let whole = path.parent().is_some_and(|parent| {
                before.entries.contains_key(parent) && !self.entries.contains_key(parent)
            });
            if !whole {
                delta.insert(shown(path), "removed".to_owned());
            }
        }
        delta
    }
}

/// The description of what was there: its content is in the snapshot, or still on the machine below the host.
fn describe_before(scope: &Scope<'_>, path: &Path, was: &Entry) -> String {
    if was.digest.is_some() || was.meta.is_dir() {
        return describe(&scope.root.join(path), path, &was.meta, was.digest.as_deref());
    }
    let below = scope.lower.as_ref().map(|lower| lower.join(path));
    let digest = below.as_ref().and_then(|below| content(below, path, &was.meta));
    describe(below.as_deref().unwrap_or(Path::new("")), path, &was.meta, digest.as_deref())
}

fn volatile(path: &Path, ignore: &[String]) -> bool {
    let listed = VOLATILE.iter().any(|listed| path.starts_with(listed));
    let asked = ignore.iter().any(|asked| path.starts_with(asked.trim_start_matches('/')));
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    let git = parts.windows(2).any(|pair| pair[0].ends_with(".git") && GIT.contains(&&*pair[1]));
    let name = parts.last().map_or("", |name| name);
    listed
        || asked
        || git
        || own_history(&parts)
        || matches!(name, "__pycache__" | ".ansible" | ".ansible_async" | ".theseus")
        || name.ends_with(".pyc")
}

/// What Theseus keeps in the home of another user that it became, and the folders above.
fn own_history(parts: &[std::borrow::Cow<'_, str>]) -> bool {
    match parts {
        [home, _, below @ ..] if home == "home" => {
            below.iter().zip([".local", "state", "theseus"]).all(|(part, ours)| part == ours)
                && !below.is_empty()
        }
        _ => false,
    }
}

/// The path as both programs would name it: backups carry process number and time.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let parts: Vec<&str> = text.rsplitn(4, '.').collect();
    let dated = text.ends_with('~') && text.contains('@') && parts.len() >= 3;
    if dated {
        let cut = text.rfind('@').and_then(|at| text[..at].rfind('.')).and_then(|dot| text[..dot].rfind('.'));
        if let Some(cut) = cut {
            return format!("/{}.BACKUP~", &text[..cut]);
        }
    }
    format!("/{text}")
}

/// One line: type, mode, owner, group, size, content or target, extended attributes.
fn describe(place: &Path, path: &Path, meta: &Metadata, digest: Option<&str>) -> String {
    let kind = meta.file_type();
    let owner = format!("{:04o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid());
    let mut line = if kind.is_dir() {
        format!("directory {owner}")
    } else if kind.is_symlink() {
        let target = digest.map_or_else(|| read_link(place), str::to_owned);
        format!("link {}:{} -> {target}", meta.uid(), meta.gid())
    } else if kind.is_file() {
        let size = if dated_content(path) { String::new() } else { format!("{} bytes ", meta.size()) };
        format!("file {owner} {size}{}", digest.unwrap_or("unread"))
    } else if kind.is_fifo() {
        format!("fifo {owner}")
    } else if kind.is_socket() {
        format!("socket {owner}")
    } else {
        format!("device {owner} {:x}", meta.rdev())
    };
    if meta.nlink() > 1 && kind.is_file() {
        line.push_str(&format!(" {} names", meta.nlink()));
    }
    for (name, value) in attributes(place) {
        line.push_str(&format!(" {name}={value}"));
    }
    line
}

fn read_link(place: &Path) -> String {
    fs::read_link(place).map_or_else(|error| error.to_string(), |target| target.display().to_string())
}

/// A digest of a file's content, or a link's target.
fn content(place: &Path, path: &Path, meta: &Metadata) -> Option<String> {
    if meta.is_symlink() {
        return Some(read_link(place));
    }
    if !meta.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    match fs::File::open(place).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => {
            let bytes = if dated_content(path) { undated(path, &bytes) } else { bytes };
            let digest = blake3::hash(&bytes).to_hex();
            let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= 400);
            Some(text.map_or_else(|| digest[..16].to_owned(), |text| format!("{} {text:?}", &digest[..16])))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Files that carry the day or the second in which they were written.
fn dated_content(path: &Path) -> bool {
    path == Path::new("etc/shadow") || path.starts_with("var/spool/cron/crontabs")
}

fn undated(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut kept = String::new();
    for line in text.lines() {
        if path == Path::new("etc/shadow") {
            let mut fields: Vec<&str> = line.split(':').collect();
            if let Some(day) = fields.get_mut(2) {
                *day = if day.is_empty() { "" } else { "day" };
            }
            kept.push_str(&fields.join(":"));
            kept.push('\n');
        } else if !(line.starts_with("# DO NOT EDIT") || line.starts_with("# (")) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept.into_bytes()
}

/// Extended attributes that a program can set: users', access lists, capabilities.
fn attributes(place: &Path) -> Vec<(String, String)> {
    let mut buffer = vec![0_u8; 4096];
    let Ok(length) = rustix::fs::llistxattr(place, &mut buffer[..]) else { return Vec::new() };
    let mut found = Vec::new();
    for name in buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let shown = OsString::from_vec(name.to_vec()).to_string_lossy().into_owned();
        let wanted = shown.starts_with("user.")
            || shown.starts_with("system.posix_acl")
            || shown == "security.capability";
        let Ok(name) = CString::new(name) else { continue };
        let mut value = vec![0_u8; 4096];
        if wanted && let Ok(length) = rustix::fs::lgetxattr(place, &name, &mut value[..]) {
            found.push((shown, blake3::hash(&value[..length]).to_hex()[..16].to_owned()));
        }
    }
    found.sort();
    found
}

/// The digest of bytes of several parts, for names of remembered results.
pub(crate) fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex().to_string()
}

/// Bytes of a path, for digests.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_lose_their_date() {
        let path = Path::new("srv/one.txt.1234.2026-11-21@10:20:30~");
        assert_eq!(shown(path), "/srv/one.txt.BACKUP~");
        assert_eq!(shown(Path::new("srv/plain~")), "/srv/plain~");
    }

    #[test]
    fn shadow_loses_its_day() {
        let kept = undated(Path::new("etc/shadow"), b"a:!:20000:0:99999:7:::\nb:*::0:::::\n");
        assert_eq!(kept, b"a:!:day:0:99999:7:::\nb:*::0:::::\n");
    }

    #[test]
    fn a_delta_names_what_changed_and_nothing_else() {
        let root = std::env::temp_dir().join(format!("xtask-tree-{}", std::process::id()));
        let place = root.join("srv");
        fs::create_dir_all(place.join("gone/deep")).unwrap();
        fs::write(place.join("same"), "same").unwrap();
        fs::write(place.join("touched"), "touched").unwrap();
        fs::write(place.join("other"), "one").unwrap();
        let scope = Scope { root: root.clone(), within: &["srv"], lower: None, ignore: &[] };
        let before = Snapshot::take(&scope, 0).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(place.join("touched"), "touched").unwrap();
        fs::write(place.join("other"), "two").unwrap();
        std::os::unix::fs::symlink("other", place.join("link")).unwrap();
        fs::remove_dir_all(place.join("gone")).unwrap();
        let delta = Snapshot::take(&scope, 0).unwrap().since(&before, &scope);
        let names: Vec<_> = delta.keys().map(String::as_str).collect();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(names, ["/srv/gone", "/srv/link", "/srv/other"]);
        assert!(delta["/srv/other"].contains("\"two\""));
        assert_eq!(delta["/srv/gone"], "removed");
    }
}
