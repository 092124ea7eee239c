//! Home directories: made, moved and removed by ourselves, so that the layer has every file of them.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use layer::Attributes;

use crate::module::{At, Failure, Task};

/// Makes a home from a skeleton.
pub fn create(
    task: &mut Task<'_>,
    home: &Path,
    skeleton: &Path,
    owner: (u32, u32),
    umask: Option<u32>,
) -> Result<(), Failure> {
    parents(task, home)?;
    let mode = umask.map_or_else(default_mode, |mask| 0o777 & !mask);
    let own = |mode: u32| Attributes {
        mode: Some(mode),
        uid: Some(owner.0),
        gid: Some(owner.1),
        ..Attributes::default()
    };
    if !home.exists() {
        task.recorder.create_dir(home, &own(mode))?;
    }
    if skeleton.is_dir() {
        copy(task, skeleton, home, &own)?;
    }
    Ok(())
}

fn parents(task: &mut Task<'_>, path: &Path) -> Result<(), Failure> {
    let Some(parent) = path.parent().filter(|p| !p.exists()) else { return Ok(()) };
    parents(task, parent)?;
    task.recorder.create_dir(parent, &Attributes::mode(0o755))?;
    Ok(())
}

fn copy(task: &mut Task<'_>, from: &Path, to: &Path, own: &dyn Fn(u32) -> Attributes) -> Result<(), Failure> {
    for entry in std::fs::read_dir(from).at("read", from)? {
        let source = entry.at("read", from)?.path();
        let target = to.join(source.file_name().unwrap_or_default());
        let metadata = source.symlink_metadata().at("read", &source)?;
        let kind = metadata.file_type();
        if target.symlink_metadata().is_ok() || kind.is_socket() || kind.is_fifo() {
            continue;
        }
        let attributes = own(metadata.permissions().mode() & 0o7777);
        if kind.is_dir() {
            task.recorder.create_dir(&target, &attributes)?;
            copy(task, &source, &target, own)?;
        } else if kind.is_symlink() {
            task.recorder.symlink(&std::fs::read_link(&source).at("read", &source)?, &target)?;
            task.recorder.set(&target, &Attributes { mode: None, ..attributes }, false)?;
        } else if kind.is_file() {
            let content = std::fs::File::open(&source).at("read", &source)?;
            task.recorder.write(&target, content, &attributes)?;
        }
    }
    Ok(())
}

/// As `useradd` chooses it: `HOME_MODE` of login.defs, or what its `UMASK` leaves.
fn default_mode() -> u32 {
    let text = std::fs::read_to_string("/etc/login.defs").unwrap_or_default();
    let setting = |key: &str| {
        let mut words =
            text.lines().map(str::split_whitespace).find_map(|mut w| (w.next()? == key).then_some(w))?;
        u32::from_str_radix(words.next()?, 8).ok()
    };
    setting("HOME_MODE").or_else(|| setting("UMASK").map(|mask| 0o777 & !mask)).unwrap_or(0o755)
}

/// Gives what belonged to one user and group to another, in a whole tree.
pub fn give(task: &mut Task<'_>, path: &Path, from: (u32, u32), to: (u32, u32)) -> Result<(), Failure> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    let attributes = Attributes {
        uid: (metadata.uid() == from.0 && from.0 != to.0).then_some(to.0),
        gid: (metadata.gid() == from.1 && from.1 != to.1).then_some(to.1),
        ..Attributes::default()
    };
    if attributes != Attributes::default() {
        task.recorder.set(path, &attributes, false)?;
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).at("read", path)?.flatten() {
            give(task, &entry.path(), from, to)?;
        }
    }
    Ok(())
}
