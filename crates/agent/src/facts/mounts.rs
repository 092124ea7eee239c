//! Mounted file systems and their room.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use catalog::{Json, Map};

use super::source::Source;

/// One line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub device: String,
    pub mount: String,
    pub fstype: String,
    pub options: String,
    /// The path within the file system that is mounted; not `/` for bind mounts.
    pub root: String,
}

/// Reads `/proc/self/mountinfo`.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let mut right = right.split(' ');
    let (fstype, device, super_options) = (right.next()?, right.next()?, right.next().unwrap_or_default());
    Some(Mount {
        device: unescape(device),
        mount: unescape(left.get(4)?),
        fstype: fstype.to_owned(),
        options: merged(left.get(5)?, super_options),
        root: unescape(left.get(3)?),
    })
}

/// The options of mount and file system as `/proc/mounts` shows them: `ro` of either wins.
fn merged(mount: &str, file_system: &str) -> String {
    let all: Vec<&str> = mount.split(',').chain(file_system.split(',')).filter(|o| !o.is_empty()).collect();
    let mode = if all.contains(&"ro") { "ro" } else { "rw" };
    let rest = all.iter().filter(|o| !matches!(**o, "ro" | "rw"));
    std::iter::once(&mode).chain(rest).copied().collect::<Vec<_>>().join(",")
}

/// `\040` and the like stand for white space.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes
            .get(at + 1..at + 4)
            .filter(|d| bytes[at] == b'\\' && d.iter().all(|c| (b'0'..b'8').contains(c)));
        if let Some(digits) = digits {
            out.push(digits.iter().fold(0u32, |n, d| n * 8 + u32::from(d - b'0')) as u8);
            at += 4;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The `mounts` fact: only what has a device or comes over the network.
pub fn collect(source: &Source, timeout: Duration) -> Json {
    let identifiers = uuids(source);
    let table = source.text("/proc/self/mountinfo").unwrap_or_default();
    let shown = parse(&table).into_iter().filter(|mount| {
        (mount.device.starts_with(['/', '\\']) || mount.device.contains(":/")) && mount.fstype != "none"
    });
    shown.map(|mount| Json::Object(facts(source, &mount, &identifiers, timeout))).collect()
}

fn facts(source: &Source, mount: &Mount, identifiers: &HashMap<String, String>, timeout: Duration) -> Map {
    let mut facts = Map::new();
    let mut put = |key: &str, value: Json| facts.insert(key.to_owned(), value);
    let bind = mount.root != "/" && !mount.options.contains("bind");
    put("mount", mount.mount.as_str().into());
    put("device", mount.device.as_str().into());
    put("fstype", mount.fstype.as_str().into());
    put("options", format!("{}{}", mount.options, if bind { ",bind" } else { "" }).into());
    put("dump", 0.into());
    put("passno", 0.into());
    let name = std::fs::canonicalize(source.path(&mount.device)).ok();
    let name = name.as_deref().and_then(|p| p.file_name()).map(|n| n.to_string_lossy().into_owned());
    let uuid = name.and_then(|name| identifiers.get(&name).cloned());
    put("uuid", uuid.unwrap_or_else(|| "N/A".to_owned()).into());
    match room(source.path(&mount.mount), &mount.fstype, timeout) {
        Some(room) => facts.extend(room),
        None => _ = facts.insert("note".into(), "Could not get extra information due to timeout".into()),
    }
    facts
}

/// A file system behind a dead server would hang us: those are asked from a thread that is left behind.
fn room(path: PathBuf, fstype: &str, timeout: Duration) -> Option<Map> {
    let remote = ["nfs", "cifs", "smb", "fuse", "9p", "ceph", "gluster", "afs", "lustre"];
    if !remote.iter().any(|kind| fstype.starts_with(kind)) {
        return Some(statistics(&path));
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(statistics(&path)));
    receiver.recv_timeout(timeout).ok()
}

fn statistics(path: &PathBuf) -> Map {
    let Ok(found) = rustix::fs::statvfs(path) else { return Map::new() };
    let mut facts = Map::new();
    let mut put = |key: &str, value: u64| facts.insert(key.to_owned(), value.into());
    put("size_total", found.f_frsize.saturating_mul(found.f_blocks));
    put("size_available", found.f_frsize.saturating_mul(found.f_bavail));
    put("block_size", found.f_bsize);
    put("block_total", found.f_blocks);
    put("block_available", found.f_bavail);
    put("block_used", found.f_blocks.saturating_sub(found.f_bavail));
    put("inode_total", found.f_files);
    put("inode_available", found.f_favail);
    put("inode_used", found.f_files.saturating_sub(found.f_favail));
    facts
}

/// Device name to UUID.
pub fn uuids(source: &Source) -> HashMap<String, String> {
    let dir = "/dev/disk/by-uuid";
    source
        .names(dir)
        .into_iter()
        .filter_map(|uuid| Some((source.link_name(&format!("{dir}/{uuid}"))?, uuid)))
        .collect()
}
