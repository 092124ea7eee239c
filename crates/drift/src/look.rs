//! One look at a host: scan, compare, judge. Writes only its own files, and never moves the baseline.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use layer::{PathState, Time};
use serde::{Deserialize, Serialize};

use crate::declared::{self, Declared};
use crate::evidence::Witnesses;
use crate::finding::{Finding, moment};
use crate::judge::{self, Judge};
use crate::manifest::{self, Entry, Manifest, Writer};
use crate::objects::{self, Objects};
use crate::places::{self, Class};
use crate::records::Records;
use crate::scan::{self, PARTS, Stats};
use crate::{compare, transactions};

/// How to look.
pub struct Wish<'a> {
    pub state_dir: &'a Path,
    /// Read and compare every content.
    pub full: bool,
    /// Only these paths and what is below them: nothing is remembered then.
    pub only: Vec<PathBuf>,
    /// Bytes a second.
    pub limit: Option<u64>,
    /// Percent of one processor.
    pub cpu: Option<u64>,
    /// People's shell histories may be read for evidence.
    pub histories: bool,
    pub cancelled: &'a AtomicBool,
}

/// What was found.
pub struct Seen {
    /// Alarms first.
    pub findings: Vec<Finding>,
    pub stats: Stats,
    /// When the first look was.
    pub baseline: Option<String>,
    /// This was it.
    pub first: bool,
    pub head: u64,
}

/// What the first look saw beside the tree.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct First {
    pub at: i64,
    pub objects: Objects,
    /// Secret files whose content is kept, and their states with keyed digests.
    pub secrets: BTreeMap<PathBuf, PathState>,
}

const SECONDS_A_DAY: i64 = 86_400;

pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("drift")
}

/// Look.
pub fn look(wish: &Wish<'_>) -> Result<Seen, String> {
    let folder = folder(wish.state_dir);
    let _lock = prepare(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let records = Records::load(Path::new("/"));
    let layers = declared::load(wish.state_dir).map_err(|e| e.to_string())?;
    let shown = |e: io::Error| format!("the record of the last look: {e}");
    // A damaged one is made anew; it only saves work.
    let known = Manifest::open(&folder.join("manifest")).unwrap_or_default();
    let baseline = Manifest::open(&folder.join("baseline")).map_err(shown)?;
    let stats = scan_into(wish, &folder, known.as_ref(), &records)?;
    let path = folder.join(if wish.only.is_empty() { "manifest" } else { "partial" });
    let manifest = Manifest::open(&path).map_err(shown)?.ok_or("the scan left no record")?;
    let now = objects::collect(&records.versions);
    let mut first = read_first(&folder);
    let is_first = baseline.is_none() && wish.only.is_empty();
    if is_first {
        first = begin(wish.state_dir, &folder, &manifest, &now, &records).map_err(shown)?;
    }
    let since = if first.at > 0 { first.at } else { manifest.started.0 };
    let judge = Judge {
        layers: &layers,
        records: &records,
        transactions: transactions::load(Path::new("/")),
        left: layers.objects(wish.state_dir),
        baseline: baseline.as_ref(),
        since,
    };
    let mut findings = Vec::new();
    paths(wish, &judge, &manifest, &mut findings);
    if wish.only.is_empty() {
        let remembered = (first.at > 0).then_some(&first.objects);
        let accounts = manifest.entry(b"/etc/passwd").map_or(0, |entry| entry.ctime.0);
        findings.extend(judge.objects(remembered, &now, accounts));
        judge::settle_listeners(&mut findings, &layers);
        judge::settle_accounts(&mut findings);
        fold_packages(&mut findings);
    }
    if findings.iter().any(Finding::alarms) {
        let witnesses = Witnesses::load(Path::new("/"), since, &judge.transactions, wish.histories);
        findings.iter_mut().filter(|f| f.alarms()).for_each(|finding| witnesses.tell(finding));
    }
    findings.sort_by_cached_key(|f| (!f.alarms(), f.from_before, f.object.is_none(), f.name().to_owned()));
    let baseline = (first.at > 0).then(|| moment(first.at));
    if !wish.only.is_empty() {
        _ = std::fs::remove_file(path);
    }
    Ok(Seen { findings, stats, baseline, first: is_first, head: layers.head })
}

/// The folder, for us alone; one look at a time.
fn prepare(folder: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join("lock");
    let lock = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let tried = rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    tried.map_err(|_| io::Error::other("another look at this host goes on"))?;
    Ok(lock)
}

fn scan_into(
    wish: &Wish<'_>,
    folder: &Path,
    known: Option<&Manifest>,
    records: &Records,
) -> Result<Stats, String> {
    let started = Time::now();
    let today = u64::try_from(started.0 / SECONDS_A_DAY).unwrap_or_default();
    let last = known.map_or(today, |known| known.rolled);
    // Each day a part; after a week or more all parts at once.
    let again: HashSet<u64> = (last..today).take(PARTS as usize).map(|day| day % PARTS).collect();
    let only: Vec<&[u8]> = wish.only.iter().map(|path| path.as_os_str().as_bytes()).collect();
    let enter = |dir: &[u8]| wanted_dir(dir, &only);
    let root = Path::new("/");
    let options = scan::Options {
        root,
        enter: &enter,
        // A database or a person's films are not for us to read.
        reads: &|path| places::class(path) == Class::System,
        devices: scan::devices(root),
        known,
        records: Some(records),
        full: wish.full,
        again,
        threads: scan::threads(),
        limit: wish.limit,
        cpu: wish.cpu,
        cancelled: wish.cancelled,
    };
    let path = folder.join(if only.is_empty() { "manifest" } else { "partial" });
    let failed = |e: io::Error| format!("the scan: {e}");
    let mut writer = Writer::create(&path, started, today).map_err(failed)?;
    let stats = scan::scan(&options, &mut |dir, block| writer.add(dir, block)).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(stats)
}

fn below(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn wanted_dir(dir: &[u8], only: &[&[u8]]) -> bool {
    if only.is_empty() {
        return places::is_entered(dir);
    }
    only.iter().any(|top| below(dir, top) || below(top, dir))
}

fn read_first(folder: &Path) -> First {
    let bytes = std::fs::read(folder.join("first.json")).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// What the first look saw, if there was one.
pub fn first(state_dir: &Path) -> First {
    read_first(&folder(state_dir))
}

/// The first look: it becomes what later ones are compared with.
fn begin(
    state_dir: &Path,
    folder: &Path,
    manifest: &Manifest,
    now: &Objects,
    records: &Records,
) -> io::Result<First> {
    let secrets = keep_contents(state_dir, folder, manifest, records)?;
    let first = First { at: manifest.started.0, objects: now.clone(), secrets };
    write_private(&folder.join("first.json"), &serde_json::to_vec(&first)?)?;
    let new = folder.join("baseline.new");
    std::fs::copy(folder.join("manifest"), &new)?;
    std::fs::rename(new, folder.join("baseline"))?;
    Ok(first)
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// Small files that no package could give back are kept, so that a change of them can be taken back.
fn keep_contents(
    state_dir: &Path,
    folder: &Path,
    manifest: &Manifest,
    records: &Records,
) -> io::Result<BTreeMap<PathBuf, PathState>> {
    const SMALL: u64 = 256 << 10;
    const ALL: u64 = 128 << 20;
    let (mut total, mut kept, mut secrets) = (0, String::new(), BTreeMap::new());
    manifest.each(|path, entry| {
        let configuration = records.owner(path).is_some_and(|owned| owned.conffile);
        let given_back = entry.has(manifest::OWNED) && entry.has(manifest::PRISTINE) && !configuration;
        let wanted =
            entry.kind == b'f' && entry.size <= SMALL && !given_back && places::class(path) == Class::System;
        if !wanted || total + entry.size > ALL {
            return;
        }
        total += entry.size;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
        let secret = places::is_private(path.as_os_str().as_bytes());
        // What cannot be kept now could not be put back later, and an undo says so.
        if let Ok(Some(state)) = layer::keep(state_dir, &path, secret) {
            kept.extend(state.digest().map(|digest| format!("{digest}\n")));
            if secret {
                secrets.insert(path, state);
            }
        }
    });
    write_private(&folder.join("kept"), kept.as_bytes())?;
    Ok(secrets)
}

/// Every difference of the tree.
fn paths(wish: &Wish<'_>, judge: &Judge<'_>, manifest: &Manifest, findings: &mut Vec<Finding>) {
    let only: Vec<&[u8]> = wish.only.iter().map(|path| path.as_os_str().as_bytes()).collect();
    let chosen = |path: &[u8]| only.is_empty() || only.iter().any(|top| below(path, top));
    let mut told: HashSet<Vec<u8>> = HashSet::new();
    for (path, wanted) in &judge.layers.paths {
        let bytes = path.as_os_str().as_bytes();
        if !chosen(bytes) {
            continue;
        }
        told.insert(bytes.to_vec());
        let entry = manifest.entry(bytes);
        let now = state_now(wish.state_dir, path, wanted, entry.as_ref());
        let what = compare::states(wanted.state.as_ref(), now.as_ref());
        if !what.is_empty() {
            findings.push(judge.declared(path, wanted, now, entry.as_ref(), what));
        }
    }
    let mut by_layer = 0_u64;
    let mut changed: HashMap<Vec<u8>, ()> = HashMap::new();
    if let Some(baseline) = judge.baseline {
        compare::compare(baseline, manifest, &|dir| wanted_dir(dir, &only), |difference| {
            if !chosen(&difference.path) {
                return;
            }
            if told.contains(&difference.path) {
                by_layer += 1;
                return;
            }
            changed.insert(difference.path.clone(), ());
            findings.push(judge.undeclared(difference));
        });
    }
    let settled = |path: &[u8]| told.contains(path) || changed.contains_key(path);
    manifest.each(|path, entry| {
        if chosen(path) && !settled(path) {
            findings.extend(judge.older(path, &entry).map(|f| Finding { from_before: true, ..f }));
        }
    });
    for (path, package) in judge.records.unseen() {
        let dir = manifest::split(&path).0;
        if chosen(&path) && !settled(&path) && wanted_dir(dir, &only) && places::is_entered(dir) {
            findings.push(Finding { from_before: true, ..judge.missing(&path, &package) });
        }
    }
    if by_layer > 0 {
        let text = format!("{by_layer} paths changed by our own layers since the first look");
        findings.push(
            Finding { kind: "changed".to_owned(), object: Some("layers".to_owned()), ..Finding::default() }
                .explain("layer", text),
        );
    }
}

/// The state of a path that a layer speaks of; its content is read only where the scan did not.
fn state_now(state_dir: &Path, path: &Path, wanted: &Declared, entry: Option<&Entry>) -> Option<PathState> {
    let secret = wanted.state.as_ref().is_some_and(|state| state.secret);
    let observe = |path: &Path| {
        let seen = if secret { layer::observe_secret(state_dir, path) } else { layer::observe(path) };
        seen.ok().flatten()
    };
    let Some(entry) = entry else {
        // Where the scan does not go.
        return std::fs::symlink_metadata(path).ok().and_then(|_| observe(path));
    };
    let state = entry.state();
    let Some(wanted) = wanted.state.as_ref().filter(|wanted| wanted.is_file() && entry.kind == b'f') else {
        return Some(state);
    };
    let untouched =
        entry.has(manifest::PRISTINE) && wanted.size() == entry.size && wanted.mtime == entry.mtime;
    if wanted.digest().is_none() || (!secret && (entry.has(manifest::READ) || untouched)) {
        return Some(state);
    }
    observe(path)
}

/// The files of a package that is gone are said by the package.
fn fold_packages(findings: &mut [Finding]) {
    let gone: HashSet<String> = findings
        .iter()
        .filter(|f| f.kind == "removed" && f.declared)
        .filter_map(|f| f.object.as_deref()?.strip_prefix("package:").map(str::to_owned))
        .collect();
    if gone.is_empty() {
        return;
    }
    let text = format!("of a package that is gone: {}", gone.into_iter().collect::<Vec<_>>().join(", "));
    for finding in
        findings.iter_mut().filter(|f| f.alarms() && f.kind == "removed" && f.declared && f.path.is_some())
    {
        if finding.cause.contains("(generation") && finding.before.as_ref().is_none_or(|b| !b.secret) {
            let in_usr =
                finding.path.as_deref().is_some_and(|p| p.starts_with("/usr/") || p.starts_with("/lib/"));
            if in_usr {
                *finding = finding.clone().explain("package", text.clone());
            }
        }
    }
}

/// Which paths of our layers are otherwise now; nothing is scanned.
pub fn declared_drift(state_dir: &Path) -> Result<Vec<Finding>, String> {
    let layers = declared::load(state_dir).map_err(|e| e.to_string())?;
    let records = Records::default();
    let (transactions, left) = (Vec::new(), BTreeMap::new());
    let judge = Judge { layers: &layers, records: &records, transactions, left, baseline: None, since: 0 };
    let mut all = Vec::new();
    for (path, wanted) in &layers.paths {
        let bytes = path.as_os_str().as_bytes();
        // What packages and package managers write is theirs.
        if places::class(bytes) != Class::System
            || path.starts_with("/usr/share")
            || path.starts_with("/usr/lib")
        {
            continue;
        }
        let now = state_now(state_dir, path, wanted, None);
        let what = compare::states(wanted.state.as_ref(), now.as_ref());
        if !what.is_empty() {
            all.push(judge.declared(path, wanted, now, None, what));
        }
    }
    Ok(all)
}

/// What tells this host from others: small digests of what is on it, by name.
pub fn prints(wish: &Wish<'_>) -> Result<crate::fingerprint::Prints, String> {
    let folder = folder(wish.state_dir);
    let _lock = prepare(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let shown = |e: io::Error| format!("the record of the last look: {e}");
    let records = Records::load(Path::new("/"));
    let known = Manifest::open(&folder.join("manifest")).unwrap_or_default();
    scan_into(wish, &folder, known.as_ref(), &records)?;
    let path = folder.join(if wish.only.is_empty() { "manifest" } else { "partial" });
    let manifest = Manifest::open(&path).map_err(shown)?.ok_or("the scan left no record")?;
    let mut prints = crate::fingerprint::Prints::new();
    manifest.each(|path, entry| {
        // Files that are as their package says are said by the package's version.
        let said = entry.has(manifest::OWNED)
            && (entry.has(manifest::PRISTINE) || entry.kind != b'f')
            && entry.mode & 0o6000 == 0;
        let own = places::class(path) != Class::System || places::is_expected_to_differ(path);
        if !own && !said && entry.name != b"." {
            prints.insert(String::from_utf8_lossy(path).into_owned(), print_of(&entry));
        }
    });
    prints.extend(
        objects::collect(&records.versions).into_iter().filter(|(name, _)| !name.starts_with("listen:udp")),
    );
    Ok(prints)
}

/// Type, mode, owner and the beginning of the content's digest, short enough to send many.
fn print_of(entry: &Entry) -> String {
    let content = match entry.kind {
        b'f' => {
            entry.digest().map_or_else(|| format!("{} bytes", entry.size), |d| d.to_string()[..16].to_owned())
        }
        b'l' => String::from_utf8_lossy(&entry.extra).into_owned(),
        _ => String::new(),
    };
    format!("{} {:04o} {}:{} {content}", char::from(entry.kind), entry.mode, entry.uid, entry.gid)
}
