//! Files out of Debian packages: from apt's cache, or fetched in the same version.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use layer::store::Store;
use layer::{Kind, PathState, Time};

use crate::children;
use crate::module::Task;

const CACHE: &str = "/var/cache/apt/archives";

/// The states of these paths as the package has them; contents are put into the store.
pub(crate) fn contents(
    task: &Task<'_>,
    package: &str,
    paths: &[PathBuf],
    store: &Store,
) -> Result<HashMap<PathBuf, PathState>, String> {
    let scratch = layer::Scratch::new().map_err(|e| e.to_string())?;
    let deb = find(task, package, scratch.path())?;
    let shown = deb.to_string_lossy();
    let unpacked = children::ask(task, &["dpkg-deb", "--fsys-tarfile", &shown]).map_err(|e| e.message)?;
    if !unpacked.ok() {
        return Err(format!("{shown} cannot be read: {}", unpacked.stderr_text().trim()));
    }
    let mut found = HashMap::new();
    let mut archive = tar::Archive::new(unpacked.stdout.as_slice());
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        let name = Path::new("/")
            .join(entry.path().map_err(|e| e.to_string())?.strip_prefix(".").unwrap_or(Path::new("")));
        let Some(path) = paths.iter().find(|path| **path == name || **path == merged(&name)) else {
            continue;
        };
        let header = entry.header().clone();
        let number = |value: std::io::Result<u64>| value.unwrap_or_default();
        let kind = match header.entry_type() {
            tar::EntryType::Directory => Kind::Dir,
            tar::EntryType::Symlink => {
                let target = entry.link_name().ok().flatten().map(std::borrow::Cow::into_owned);
                Kind::Symlink { target: target.unwrap_or_default() }
            }
            tar::EntryType::Regular => {
                let size = number(header.size());
                Kind::File { digest: Some(store.put(&mut entry).map_err(|e| e.to_string())?), size }
            }
            _ => continue,
        };
        let state = PathState {
            kind,
            mode: header.mode().unwrap_or(0o644) & 0o7777,
            uid: number(header.uid()) as u32,
            gid: number(header.gid()) as u32,
            mtime: Time(number(header.mtime()).cast_signed(), 0),
            atime: None,
            xattrs: std::collections::BTreeMap::new(),
            flags: None,
            group: None,
            secret: false,
        };
        found.insert(path.clone(), state);
    }
    Ok(found)
}

/// Where the directories of the root are links into `/usr`.
fn merged(path: &Path) -> PathBuf {
    let Ok(relative) = path.strip_prefix("/") else { return path.to_owned() };
    let top = relative.components().next().map(|top| Path::new("/").join(top));
    match top {
        Some(top) if top.is_symlink() => Path::new("/usr").join(relative),
        _ => path.to_owned(),
    }
}

fn find(task: &Task<'_>, package: &str, scratch: &Path) -> Result<PathBuf, String> {
    let name = package.split(':').next().unwrap_or(package);
    let asked = children::ask(task, &["dpkg-query", "-W", "-f", "${Version} ${Architecture}", package]);
    let asked = asked.map_err(|e| e.message)?;
    let text = asked.stdout_text();
    let Some((version, architecture)) = text.split_once(' ').filter(|_| asked.ok()) else {
        return Err("dpkg does not know its version".to_owned());
    };
    let file = format!("{name}_{}_{}.deb", version.replace(':', "%3a"), architecture.trim());
    let cached = Path::new(CACHE).join(&file);
    if cached.is_file() {
        return Ok(cached);
    }
    let wanted = format!("{name}={version}");
    let run = children::in_c_locale(task, &["apt-get", "download", "-q", &wanted]).cwd(scratch);
    let fetched = run.timeout(std::time::Duration::from_secs(120)).output().map_err(|e| e.to_string())?;
    let there = std::fs::read_dir(scratch).into_iter().flatten().flatten().map(|entry| entry.path());
    let deb = there.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
    deb.ok_or_else(|| {
        let reason = fetched.stderr_text();
        let reason = reason.lines().last().unwrap_or_default().trim().to_owned();
        format!("{file} is not in {CACHE} and cannot be fetched ({reason})")
    })
}
