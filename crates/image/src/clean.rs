//! What is of one host, or of the moment, and so of no image: identities, seeds, logs, caches, histories. And what a
//! build on another day would write differently without meaning anything by it.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::firstboot;
use crate::tree::{Kind, Node};

/// What becomes of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Drop,
    /// It stays, without content.
    Empty,
}

/// Raised when the rules change: what was packed under others is packed anew.
pub(crate) const VERSION: u32 = 2;

/// Directories that stay, and whose contents go.
const EMPTIED: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var/tmp",
    "var/run",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial",
    "lost+found",
    "var/cache/man",
    "var/cache/fontconfig",
    "var/log/journal",
    "var/lib/dhcp",
    "var/lib/NetworkManager",
    "var/lib/systemd/timesync",
    "var/lib/systemd/coredump",
    "var/crash",
    "var/backups",
    "root/.cache",
    "root/.ansible",
    "var/lib/private/systemd",
];

/// Files and directories that go.
const DROPPED: &[&str] = &[
    "var/lib/theseus",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/lib/urandom/random-seed",
    "loader/random-seed",
    "boot/efi/loader/random-seed",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/cache/ldconfig/aux-cache",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/apt/lists/lock",
    "var/lib/apt/periodic",
    "var/lib/apt/daily_lock",
    "var/cache/apt/archives/lock",
    "etc/.pwd.lock",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/ssl/private/ssl-cert-snakeoil.key",
    ".dockerenv",
];

/// Names that go, wherever they are in a home directory.
const HISTORIES: &[&str] = &[
    ".bash_history",
    ".zsh_history",
    ".ash_history",
    ".sh_history",
    ".python_history",
    ".lesshst",
    ".viminfo",
    ".wget-hsts",
    ".mysql_history",
    ".psql_history",
    ".sqlite_history",
    ".rediscli_history",
    ".node_repl_history",
    ".sudo_as_admin_successful",
];

pub(crate) fn fate(path: &[u8], node: &Node, keep: &[String]) -> Fate {
    let Ok(path) = std::str::from_utf8(path) else { return Fate::Keep };
    if keep.iter().any(|pattern| matches(pattern.trim_start_matches('/'), path)) {
        return Fate::Keep;
    }
    let inside = |dir: &&str| path.strip_prefix(*dir).is_some_and(|rest| rest.starts_with('/'));
    if EMPTIED.iter().any(inside) || DROPPED.iter().any(|one| *one == path || inside(one)) {
        return Fate::Drop;
    }
    if path == "etc/machine-id" {
        return Fate::Empty;
    }
    if node.kind == Kind::Dir {
        return Fate::Keep;
    }
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    if parent == "etc/ssh" && name.starts_with("ssh_host_") && name.contains("_key") {
        return Fate::Drop;
    }
    let in_home = parent == "root" || parent.strip_prefix("home/").is_some_and(|user| !user.contains('/'));
    if in_home && HISTORIES.contains(&name) {
        return Fate::Drop;
    }
    match parent {
        "var/cache/apt/archives" if has_ending(name, &["deb"]) => Fate::Drop,
        "var/lib/apt/lists" => Fate::Drop,
        _ if path.starts_with("var/log/") => log(name),
        _ => Fate::Keep,
    }
}

/// Logs stay as empty files, because their owners and modes matter; old ones go.
fn log(name: &str) -> Fate {
    let old = has_ending(name, &["gz", "xz", "old", "zst"])
        || name.rsplit('.').next().is_some_and(|end| end.parse::<u32>().is_ok());
    if old { Fate::Drop } else { Fate::Empty }
}

fn has_ending(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| endings.contains(&end))
}

/// Whether a path is of one host or only of running systems: these never get into a base either.
pub(crate) fn is_of_a_host(path: &[u8]) -> bool {
    let Ok(path) = std::str::from_utf8(path) else { return false };
    let inside = |dir: &&str| path.strip_prefix(*dir).is_some_and(|rest| rest.starts_with('/'));
    ["proc", "sys", "dev", "run", "tmp", "var/tmp", "lost+found", "var/lib/theseus"].iter().any(inside)
        || path == "var/lib/theseus"
}

/// A path against a pattern in which `*` stands for anything.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return path == pattern || path.strip_prefix(pattern).is_some_and(|below| below.starts_with('/'));
    };
    let Some(mut left) = path.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    for (index, part) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    true
}

/// Whether a path is of one machine, so that an image and a server are not compared by it.
#[must_use]
pub fn of_one_machine(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    let file = Node::file(&Arc::from(Path::new("/")), 0o644, b"");
    let given =
        |name: &&str| path == *name || path.strip_prefix(*name).is_some_and(|rest| rest.starts_with('/'));
    GIVEN.iter().any(given)
        || is_of_a_host(path.as_bytes())
        || fate(path.as_bytes(), &file, &[]) != Fate::Keep
}

/// What whoever runs a machine gives it (its name, its network, its disks), what its kernel and its services make, and
/// what an image tells of itself.
const GIVEN: &[&str] = &[
    "dev",
    "proc",
    "run",
    "sys",
    "etc/adjtime",
    "etc/fstab",
    "etc/hostname",
    "etc/hosts",
    "etc/machine-id",
    "etc/mtab",
    "etc/network",
    "etc/resolv.conf",
    "boot/efi",
    "lost+found",
    "swapfile",
    "usr/share/theseus",
    "var/lib/systemd/linger",
    firstboot::UNIT,
    firstboot::WANTED,
];

/// What of a path goes into an image.
pub(crate) fn cleaned(path: &[u8], node: &Node, keep: &[String], epoch: i64) -> Result<Option<Node>> {
    let mut node = match fate(path, node, keep) {
        Fate::Drop => return Ok(None),
        Fate::Empty if node.kind == Kind::File => {
            Node { size: 0, inode: None, content: Some(Arc::from(&b""[..])), ..node.clone() }
        }
        Fate::Empty | Fate::Keep => node.clone(),
    };
    node.mtime = node.mtime.min(epoch);
    if path == b"etc/shadow" && !keep.iter().any(|kept| kept == "/etc/shadow") {
        clamp_password_dates(path, &mut node, epoch)?;
    }
    Ok(Some(node))
}

/// The day of the last change of a password, in `/etc/shadow`, is the day of the build: not later than anything else.
fn clamp_password_dates(path: &[u8], node: &mut Node, epoch: i64) -> Result<()> {
    let text = String::from_utf8_lossy(&node.read(path)?).into_owned();
    let last = epoch.div_euclid(86_400);
    let clamped: Vec<String> = text
        .lines()
        .map(|line| {
            let mut fields: Vec<&str> = line.split(':').collect();
            let day = last.to_string();
            if fields.len() > 2 && fields[2].parse::<i64>().is_ok_and(|changed| changed > last) {
                fields[2] = &day;
            }
            fields.join(":")
        })
        .collect();
    let mut clamped = clamped.join("\n");
    if text.ends_with('\n') {
        clamped.push('\n');
    }
    if clamped != text {
        node.size = clamped.len() as u64;
        node.inode = None;
        node.content = Some(Arc::from(clamped.as_bytes()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_go_and_what_people_made_stays() {
        let dir: Arc<Path> = Arc::from(Path::new("/x"));
        let file = Node::file(&dir, 0o644, b"");
        let is = |path: &str| fate(path.as_bytes(), &file, &["/var/log/kept".to_owned()]);
        for gone in [
            "etc/ssh/ssh_host_rsa_key",
            "etc/ssh/ssh_host_rsa_key.pub",
            "root/.bash_history",
            "home/a/.lesshst",
            "tmp/x",
            "run/x/y",
            "var/lib/theseus/head",
            "var/log/dpkg.log.1.gz",
            "var/cache/apt/archives/a_1.deb",
        ] {
            assert_eq!(is(gone), Fate::Drop, "{gone}");
        }
        for emptied in ["etc/machine-id", "var/log/dpkg.log", "var/log/nginx/access.log"] {
            assert_eq!(is(emptied), Fate::Empty, "{emptied}");
        }
        for kept in [
            "etc/ssh/sshd_config",
            "root/.bashrc",
            "var/log/kept",
            "etc/ssl/private/mine.key",
            "srv/.bash_history",
        ] {
            assert_eq!(is(kept), Fate::Keep, "{kept}");
        }
    }

    #[test]
    fn patterns() {
        assert!(matches("etc/*.key", "etc/a/b.key") && matches("etc", "etc/x") && matches("a*b*c", "a1b2c"));
        assert!(!matches("etc/*.key", "etc/b.pem") && !matches("etc", "etcetera") && !matches("a*b", "ab1"));
    }
}
