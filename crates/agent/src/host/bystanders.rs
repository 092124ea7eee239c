//! Files that no watched process writes itself: systemd and its helpers write them when they are asked to
//! (`systemctl enable`, `hostnamectl`, `timedatectl`, `localectl`). What they were is remembered, and what became of
//! them is noted after each task.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use layer::{PathState, Recorder};

/// Trees of links, mostly: which units are enabled, masked, the default.
const TREES: &[&str] = &["/etc/systemd/system", "/etc/systemd/user", "/etc/systemd/system.control"];
/// Single small files.
const FILES: &[&str] = &[
    "/etc/hostname",
    "/etc/machine-info",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/adjtime",
    "/etc/locale.conf",
    "/etc/default/locale",
    "/etc/vconsole.conf",
    "/etc/default/keyboard",
];
/// Larger ones are not what we think they are.
const LIMIT: u64 = 64 * 1024;

/// What they were like at the last look.
#[derive(Default)]
pub(crate) struct Bystanders {
    /// Directory or file, and the change time that it had: nothing below is looked at while these stay.
    stamps: BTreeMap<PathBuf, Option<(i64, i64)>>,
    known: BTreeMap<PathBuf, (PathState, Option<Vec<u8>>)>,
}

impl Bystanders {
    /// Only root's runs can ask those daemons, and only where systemd runs.
    pub(crate) fn look() -> Option<Self> {
        super::services::are_noted().then(|| Self { stamps: stamps(), known: collect() })
    }

    /// After a task: what changed and was not recorded by the task itself goes into the layer.
    pub(crate) fn settle(&mut self, recorder: &mut Recorder, recorded: &[PathBuf]) -> layer::Result<()> {
        let stamps = stamps();
        if stamps == self.stamps {
            return Ok(());
        }
        let now = collect();
        for (path, (before, content)) in &self.known {
            if now.get(path).map(|(state, _)| state) != Some(before) && !recorded.contains(path) {
                recorder.noticed(path, Some((before.clone(), content.as_deref())))?;
            }
        }
        for path in now.keys().filter(|path| !self.known.contains_key(*path) && !recorded.contains(path)) {
            recorder.noticed(path, None)?;
        }
        (self.stamps, self.known) = (stamps, now);
        Ok(())
    }
}

fn stamps() -> BTreeMap<PathBuf, Option<(i64, i64)>> {
    let stamp = |path: &Path| {
        let found = rustix::fs::lstat(path).ok()?;
        Some((found.st_ctime, i64::try_from(found.st_ctime_nsec).unwrap_or_default()))
    };
    let mut all: BTreeMap<_, _> =
        FILES.iter().map(|file| (PathBuf::from(file), stamp(Path::new(file)))).collect();
    for tree in TREES {
        let tree = PathBuf::from(tree);
        for entry in list(&tree).into_iter().flatten().filter(|path| path.is_dir() && !path.is_symlink()) {
            let time = stamp(&entry);
            all.insert(entry, time);
        }
        let time = stamp(&tree);
        all.insert(tree, time);
    }
    all
}

/// Two levels: directories of units, and the `.wants` and `.d` below them.
fn collect() -> BTreeMap<PathBuf, (PathState, Option<Vec<u8>>)> {
    let mut paths: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    for tree in TREES {
        for entry in list(Path::new(tree)).into_iter().flatten() {
            if entry.is_dir() && !entry.is_symlink() {
                paths.extend(list(&entry).into_iter().flatten());
            }
            paths.push(entry);
        }
    }
    let known = paths.into_iter().filter_map(|path| {
        let state = layer::observe(&path).ok().flatten()?;
        let small = state.is_file() && std::fs::symlink_metadata(&path).is_ok_and(|m| m.len() <= LIMIT);
        let content = if small { std::fs::read(&path).ok() } else { None };
        Some((path, (state, content)))
    });
    known.collect()
}

fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(std::fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect())
}
