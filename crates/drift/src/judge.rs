//! By what a difference is explained: a layer, a package transaction, the kind of place; or by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use layer::PathState;

use crate::compare::Difference;
use crate::declared::{Declared, Layers};
use crate::finding::{Finding, kind};
use crate::left::Left;
use crate::manifest::{self, Entry, Manifest};
use crate::objects::{self, Objects};
use crate::places::{self, Class};
use crate::records::Records;
use crate::transactions::Transaction;

/// Set-user-id and set-group-id.
const SETUID: u32 = 0o6000;

pub(crate) struct Judge<'a> {
    pub(crate) layers: &'a Layers,
    pub(crate) records: &'a Records,
    pub(crate) transactions: Vec<Transaction>,
    /// Objects as our layers left them.
    pub(crate) left: BTreeMap<String, Left>,
    /// What the first look saw, and when it was.
    pub(crate) baseline: Option<&'a Manifest>,
    pub(crate) since: i64,
}

impl Judge<'_> {
    /// A path that our layers left otherwise than it is.
    pub(crate) fn declared(
        &self,
        path: &Path,
        wanted: &Declared,
        now: Option<PathState>,
        entry: Option<&Entry>,
        what: Vec<String>,
    ) -> Finding {
        let bytes = path.as_os_str().as_bytes();
        let mut finding = blank(bytes);
        finding.kind = kind(wanted.state.as_ref(), now.as_ref());
        finding.at = entry.map(|entry| entry.ctime.0).or_else(|| parent_time(path));
        let since = wanted.generation;
        finding = Finding { what, declared: true, cause: wanted.cause.clone(), ..finding };
        let secret = |state: &Option<PathState>| state.as_ref().is_some_and(|state| state.secret);
        if !wanted.no_log && !secret(&wanted.state) && !secret(&now) {
            finding.before.clone_from(&wanted.state);
            finding.after = now;
        }
        let is_dir = wanted.state.as_ref().is_some_and(PathState::is_dir);
        if let Class::Volatile(kind) = places::class(bytes)
            && !is_dir
        {
            return finding.explain("place", kind);
        }
        // A newer version of a package that a task brought may do without a file.
        let dropped = entry.is_none() && bytes.starts_with(b"/usr/") && !places::is_guarded(bytes);
        let by = if dropped {
            finding.at.and_then(|at| self.later().find(|t| t.covers(at))).map(Transaction::text)
        } else {
            self.by_package(bytes, entry, finding.at, false)
        };
        if let Some(by) = by {
            return finding.explain("package", by);
        }
        debug_assert!(since > 0, "a layer has a generation");
        finding
    }

    /// A path that is otherwise than at the first look, and that no layer speaks of.
    pub(crate) fn undeclared(&self, difference: Difference) -> Finding {
        let Difference { path, before, after, what } = difference;
        let mut finding = blank(&path);
        finding.kind = kind(before.as_ref(), after.as_ref());
        finding.at = after.as_ref().map(|entry| entry.ctime.0).or_else(|| parent_time(&finding.real_path));
        finding.package = self.records.package_of(&path).map(str::to_owned);
        finding.cause = match &finding.package {
            Some(package) => format!("of package {package}"),
            None => "no package owns it".to_owned(),
        };
        (finding.before, finding.after) =
            (before.as_ref().map(Entry::state), after.as_ref().map(Entry::state));
        finding.what = what;
        let became_setuid = after.as_ref().is_some_and(is_setuid) && !before.as_ref().is_some_and(is_setuid);
        if became_setuid {
            finding.what.push("set-user-id".to_owned());
        } else {
            match places::class(&path) {
                Class::Volatile(kind) | Class::Data(kind) => return finding.explain("place", kind),
                Class::System => {}
            }
        }
        let owned_before = match (&before, &after) {
            (Some(before), None) => self.is_or_led_to_owned(&path, before),
            (before, _) => before.as_ref().is_some_and(|entry| entry.has(manifest::OWNED)),
        };
        match self.by_package(&path, after.as_ref(), finding.at, owned_before) {
            Some(by) => finding.explain("package", by),
            None => finding,
        }
    }

    /// What the packages' records say of an entry that is as it was at the first look.
    pub(crate) fn older(&self, path: &[u8], entry: &Entry) -> Option<Finding> {
        let class = places::class(path);
        let differs = entry.has(manifest::DIFFERS) && class == Class::System;
        let stray =
            !entry.has(manifest::OWNED) && matches!(entry.kind, b'f' | b'l') && class == Class::System;
        let stray_setuid = stray && is_setuid(entry);
        if !(differs || stray_setuid || (stray && places::is_packages_own(path))) {
            return None;
        }
        let mut finding = blank(path);
        finding.at = Some(entry.ctime.0);
        finding.after = Some(entry.state());
        finding.package = self.records.package_of(path).map(str::to_owned);
        if differs {
            let package = finding.package.as_deref().unwrap_or("its package");
            let conffile = entry.has(manifest::CONFFILE);
            let what = if conffile { "configuration file" } else { "file" };
            finding.cause = format!("{what} of package {package}, whose record has another content");
            finding.kind = "changed".to_owned();
            finding.what = vec!["content".to_owned()];
            return Some(finding);
        }
        finding.kind = "added".to_owned();
        finding.cause = "no package owns it".to_owned();
        if stray_setuid {
            finding.what.push("set-user-id".to_owned());
        }
        // Links that alternatives and package scripts make.
        if entry.kind == b'l'
            && (entry.extra.starts_with(b"/etc/alternatives/")
                || self.records.owner(&absolute(path, &entry.extra)).is_some())
        {
            return Some(finding.explain("package", "a link to a package's file"));
        }
        Some(finding)
    }

    /// A path that a package lists and that is not there.
    pub(crate) fn missing(&self, path: &[u8], package: &str) -> Finding {
        let mut finding = blank(path);
        finding.kind = "removed".to_owned();
        finding.package = Some(package.to_owned());
        finding.cause = format!("of package {package}");
        finding.at = parent_time(&finding.real_path);
        if self.records.is_excluded(path) {
            return finding.explain("dpkg", "dpkg is told not to unpack it");
        }
        if self.records.owner(path).is_some_and(|owned| owned.conffile) {
            finding.what.push("configuration file".to_owned());
        }
        match places::class(path) {
            Class::Volatile(kind) | Class::Data(kind) => finding.explain("place", kind),
            Class::System => finding,
        }
    }

    /// A package listed it; or it was a link, perhaps over others, to a file that a package listed and that went, too.
    fn is_or_led_to_owned(&self, path: &[u8], before: &Entry) -> bool {
        /// As many as the kernel follows.
        const LINKS: usize = 40;
        let (mut path, mut entry) = (path.to_vec(), before.clone());
        for _ in 0..LINKS {
            if entry.has(manifest::OWNED) {
                return self.records.owner(&path).is_none();
            }
            if entry.kind != b'l' {
                return false;
            }
            path = absolute(&path, &entry.extra);
            let there = std::fs::symlink_metadata(std::ffi::OsStr::from_bytes(&path)).is_ok();
            let Some(next) = self.baseline.and_then(|known| known.entry(&path)) else {
                return false;
            };
            if there {
                return false;
            }
            entry = next;
        }
        false
    }

    /// Package transactions since the first look, the newest first.
    fn later(&self) -> impl Iterator<Item = &Transaction> {
        self.transactions.iter().rev().filter(|t| t.end >= self.since)
    }

    /// The package transaction that made it so.
    fn by_package(
        &self,
        path: &[u8],
        now: Option<&Entry>,
        at: Option<i64>,
        was_owned: bool,
    ) -> Option<String> {
        let owner = self.records.package_of(path);
        let Some(now) = now else {
            // A package that is still there still wants its file.
            if !was_owned || owner.is_some() {
                return None;
            }
            return self.later().next().map(Transaction::text);
        };
        let at = at?;
        if now.has(manifest::DIFFERS) {
            return None;
        }
        let covering = self.later().find(|transaction| transaction.covers(at))?;
        let known = owner.is_some() && (now.has(manifest::PRISTINE) || now.kind != b'f');
        let excused = owner.is_none() && !places::is_guarded(path) && !is_setuid(now);
        // Its own package says nothing of the content: its configuration by a script, say.
        let silent =
            owner.is_some() && !now.has(manifest::PRISTINE) && !places::is_guarded(path) && !is_setuid(now);
        (known || excused || silent).then(|| covering.text())
    }

    /// Objects that are otherwise than at the first look, or than our layers left them.
    pub(crate) fn objects(&self, first: Option<&Objects>, now: &Objects, account_time: i64) -> Vec<Finding> {
        let mut all = self.services(now);
        all.extend(self.packages(now));
        all.extend(self.left_otherwise(now).map(|finding| self.explain_object(finding, account_time)));
        let told: BTreeSet<String> = all.iter().filter_map(|f| f.object.clone()).collect();
        let Some(first) = first else { return all };
        let names: BTreeSet<&String> = first.keys().chain(now.keys()).collect();
        for name in names {
            let (was, is) = (first.get(name), now.get(name));
            if was == is || told.contains(name) {
                continue;
            }
            let finding = self.object(name, was.map(String::as_str), is.map(String::as_str));
            all.push(self.explain_object(finding, account_time));
        }
        all
    }

    /// Packages that a task of ours brought, and that are gone.
    fn packages(&self, now: &Objects) -> Vec<Finding> {
        let gone = |(name, _): &(&String, _)| !now.contains_key(&format!("package:{name}"));
        let told = |(name, (words, _)): (&String, &(String, u64))| {
            let removal = self.removal(name);
            let version = removal.map_or("installed", |(_, version)| version);
            let finding = self.object(&format!("package:{name}"), Some(version), None);
            let at = removal.map(|(t, _)| t.end);
            Finding { declared: true, cause: words.clone(), at, ..finding }
        };
        self.layers.packages.iter().filter(gone).map(told).collect()
    }

    /// Accounts, keys, cron entries, settings and mounts that are no longer as a layer left them.
    fn left_otherwise(&self, now: &Objects) -> impl Iterator<Item = Finding> {
        self.left.iter().filter_map(|(name, left)| {
            let is = match name.split_once(':')? {
                ("mount", at) => objects::mounted(at).map(|_| "mounted".to_owned()),
                ("sysctl", key) => objects::setting(key),
                _ => now.get(name).cloned(),
            };
            let finding = self.object(name, left.value.as_deref(), is.as_deref());
            (is != left.value).then(|| Finding { declared: true, cause: left.cause.clone(), ..finding })
        })
    }

    fn object(&self, name: &str, was: Option<&str>, is: Option<&str>) -> Finding {
        let finding = Finding {
            object: Some(name.to_owned()),
            kind: kind(was.as_ref(), is.as_ref()),
            was: was.map(str::to_owned),
            is: is.map(str::to_owned),
            cause: "since the first look".to_owned(),
            ..Finding::default()
        };
        match self.layers.accepted.get(name) {
            Some((value, words)) if value.as_deref() == is => finding.explain("accepted", words.clone()),
            _ => finding,
        }
    }

    /// Services that our layers started or stopped.
    fn services(&self, now: &Objects) -> Vec<Finding> {
        if !objects::services_are_known() {
            return Vec::new();
        }
        let mut all = Vec::new();
        for (unit, (wanted, generation)) in &self.layers.services {
            let object = format!("service:{unit}");
            let runs = now.contains_key(&object) || objects::runs(unit);
            if runs != *wanted {
                let word = |runs: bool| runs.then_some("runs");
                let mut finding = self.object(&object, word(*wanted), word(runs));
                (finding.declared, finding.cause) = (true, format!("left so by generation {generation}"));
                all.push(finding);
            }
        }
        all
    }

    /// The transaction that removed a package, and the version that went.
    fn removal(&self, package: &str) -> Option<(&Transaction, &str)> {
        self.transactions.iter().rev().find_map(|t| {
            let act = t.acts.iter().find(|act| act.package == package && act.new == "<none>")?;
            Some((t, act.old.as_str()))
        })
    }

    fn explain_object(&self, finding: Finding, account_time: i64) -> Finding {
        let Some(name) = finding.object.clone().filter(|_| finding.explained.is_none()) else {
            return finding;
        };
        let (kind, rest) = name.split_once(':').unwrap_or((&name, ""));
        // Of a mount only that it is there is known.
        let same = |left: &&Left| {
            left.value == finding.is || (kind == "mount" && left.value.is_some() && finding.is.is_some())
        };
        if let Some(left) = self.left.get(&name).filter(same) {
            return finding.explain("layer", left.cause.clone());
        }
        let explained = match kind {
            "package" => match self.layers.packages.get(rest) {
                Some((words, _)) => Some(("layer", words.clone())),
                None => self.later().find(|t| t.touches(rest)).map(|t| ("package", t.text())),
            },
            "service" => {
                let ours = self.layers.services.contains_key(rest);
                let owner = unit_files(rest).into_iter().find_map(|file| {
                    let entry = self.records.package_of(file.as_bytes())?;
                    self.later().find(|t| t.touches(entry)).map(Transaction::text)
                });
                if ours {
                    Some(("layer", "a service that a layer manages".to_owned()))
                } else {
                    owner.map(|o| ("package", o))
                }
            }
            "user" | "group" => {
                let value = finding.is.as_deref().or(finding.was.as_deref()).unwrap_or_default();
                let system = is_system_account(kind, value);
                let by_package = self.later().find(|t| t.covers(account_time)).filter(|_| system);
                by_package.map(|t| ("package", t.text()))
            }
            "listen" => {
                let value = finding.is.as_deref().or(finding.was.as_deref()).unwrap_or_default();
                self.listener_by(value)
            }
            "sysctl" => self.written_setting(rest, finding.is.as_deref()).map(|words| ("layer", words)),
            _ => None,
        };
        match explained {
            Some((class, text)) => finding.explain(class, text),
            None => finding,
        }
    }

    /// The program belongs to a package of ours, or to a service that a layer manages.
    fn listener_by(&self, value: &str) -> Option<(&'static str, String)> {
        let exe = value.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'))?;
        let package = self.records.package_of(exe.as_bytes())?;
        let name = package.split(':').next().unwrap_or(package);
        let interpreter =
            ["perl", "python", "ruby", "bash", "dash", "php", "nodejs", "busybox", "netcat", "socat", "ncat"];
        if interpreter.iter().any(|start| name.starts_with(start)) {
            return None;
        }
        if let Some((words, _)) = self.layers.packages.get(name) {
            return Some(("layer", words.clone()));
        }
        self.later().find(|t| t.touches(name)).map(|t| ("package", t.text()))
    }

    /// A file of ours has this setting: it is in force since a restart, say.
    fn written_setting(&self, key: &str, value: Option<&str>) -> Option<String> {
        let value = value?;
        let files = self.layers.paths.iter().filter(|(path, _)| objects::is_settings(path));
        let has = |path: &Path| {
            let mut held = Objects::new();
            objects::held_by(path, &std::fs::read_to_string(path).unwrap_or_default(), &mut held);
            held.get(&format!("sysctl:{key}")).is_some_and(|written| written == value)
        };
        files.filter(|(path, _)| has(path)).map(|(_, declared)| declared.cause.clone()).next()
    }
}

/// Listeners of a service that a layer runs are that layer's.
pub(crate) fn settle_listeners(all: &mut [Finding], layers: &Layers) {
    let wanted: BTreeMap<&String, u64> =
        layers.services.iter().filter(|(_, (runs, _))| *runs).map(|(unit, (_, at))| (unit, *at)).collect();
    for finding in all.iter_mut().filter(|f| f.explained.is_none() && f.kind == "added") {
        let Some(object) = finding.object.clone().filter(|object| object.starts_with("listen:")) else {
            continue;
        };
        let unit = objects::listener(&object).and_then(|(pid, _, _)| objects::unit_of(&pid));
        if let Some((unit, at)) =
            unit.and_then(|unit| wanted.get_key_value(&unit).map(|(u, at)| ((*u).clone(), *at)))
        {
            *finding = finding.clone().explain("layer", format!("{unit} of generation {at}"));
        }
    }
}

/// Account files are explained by time only if no account in them is unexplained.
pub(crate) fn settle_accounts(all: &mut [Finding]) {
    let open = all.iter().any(|f| {
        f.alarms() && f.object.as_deref().is_some_and(|o| o.starts_with("user:") || o.starts_with("group:"))
    });
    if open {
        for finding in all.iter_mut().filter(|f| f.class == "package") {
            if finding.path.as_deref().is_some_and(|path| places::ACCOUNTS.contains(&path)) {
                (finding.explained, finding.class) = (None, String::new());
            }
        }
    }
}

fn is_setuid(entry: &Entry) -> bool {
    entry.kind == b'f' && entry.mode & SETUID != 0
}

fn is_system_account(kind: &str, value: &str) -> bool {
    let word = if kind == "user" { "uid " } else { "gid " };
    let number = value.strip_prefix(word).and_then(|rest| rest.split(',').next()?.parse::<u32>().ok());
    let locked = kind == "group" || value.ends_with("nologin") || value.ends_with("false");
    number.is_some_and(|n| (100..1000).contains(&n)) && locked
}

fn unit_files(unit: &str) -> Vec<String> {
    let base = match unit.split_once('@') {
        Some((name, rest)) => format!("{name}@.{}", rest.rsplit('.').next().unwrap_or("service")),
        None => unit.to_owned(),
    };
    ["/usr/lib/systemd/system", "/lib/systemd/system"].iter().map(|dir| format!("{dir}/{base}")).collect()
}

/// Where a link leads, without going there.
fn absolute(path: &[u8], target: &[u8]) -> Vec<u8> {
    if target.starts_with(b"/") {
        return target.to_vec();
    }
    let mut parts: Vec<&[u8]> = manifest::split(path).0.split(|b| *b == b'/').collect();
    for part in target.split(|b| *b == b'/') {
        match part {
            b"." | b"" => {}
            b".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn blank(path: &[u8]) -> Finding {
    let real_path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
    Finding { path: Some(real_path.to_string_lossy().into_owned()), real_path, ..Finding::default() }
}

/// Something went from there: the directory's time tells when, if it is still there.
fn parent_time(path: &Path) -> Option<i64> {
    use std::os::unix::fs::MetadataExt;
    let dir = path.ancestors().skip(1).find_map(|dir| std::fs::symlink_metadata(dir).ok())?;
    Some(dir.mtime())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_somewhere() {
        assert_eq!(absolute(b"/usr/bin/a", b"../lib/x"), b"/usr/lib/x");
        assert_eq!(absolute(b"/usr/bin/a", b"b"), b"/usr/bin/b");
        assert_eq!(absolute(b"/usr/bin/a", b"/etc/b"), b"/etc/b");
    }

    #[test]
    fn system_accounts_are_told_from_people() {
        assert!(is_system_account("user", "uid 105, gid 7, home /x, shell /usr/sbin/nologin"));
        assert!(!is_system_account("user", "uid 0, gid 0, home /root, shell /bin/bash"));
        assert!(!is_system_account("user", "uid 105, gid 7, home /x, shell /bin/bash"));
        assert!(!is_system_account("group", "gid 1001"));
    }
}
