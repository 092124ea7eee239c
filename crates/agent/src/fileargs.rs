//! `mode`, `owner`, `group`, `attributes` and the SELinux arguments, which every module that makes files takes.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use catalog::{Args, Json, Map};
use layer::Attributes;
use serde_json::json;

use crate::cache::Cache;
use crate::module::{At, Failure, Task};

mod chattr;
mod mode;
mod selinux;
mod version;

pub use chattr::{flag_letters, inode_flags, inode_version};
pub use mode::Mode;
pub(crate) use mode::own_umask;

/// What a task says about a file's metadata.
#[derive(Clone, Debug, Default)]
pub struct FileArgs {
    pub mode: Option<Mode>,
    pub owner: Option<String>,
    pub group: Option<String>,
    pub attributes: Option<String>,
    pub selinux: selinux::Wanted,
    pub unsafe_writes: bool,
}

impl FileArgs {
    pub fn read(args: &Args) -> Result<Self, Failure> {
        let text = |name: &str| args.str(name).filter(|s| !s.is_empty()).map(str::to_owned);
        Ok(Self {
            mode: args.get("mode").map(Mode::read).transpose()?.flatten(),
            owner: text("owner"),
            group: text("group"),
            attributes: text("attributes"),
            selinux: selinux::Wanted::read(args),
            unsafe_writes: args.bool("unsafe_writes"),
        })
    }

    /// With another `mode` (`directory_mode`).
    #[must_use]
    pub fn with_mode(&self, mode: Option<Mode>) -> Self {
        Self { mode, ..self.clone() }
    }

    pub fn is_empty(&self) -> bool {
        self.mode.is_none()
            && self.owner.is_none()
            && self.group.is_none()
            && self.attributes.is_none()
            && self.selinux.is_empty()
    }

    /// Owner and group as numbers.
    pub fn ids(&self, cache: &mut Cache) -> Result<(Option<u32>, Option<u32>), Failure> {
        let uid = self.owner.as_deref().map(|name| user_id(cache, name)).transpose()?;
        let gid = self.group.as_deref().map(|name| group_id(cache, name)).transpose()?;
        Ok((uid, gid))
    }

    /// For a file that is about to be written: `current` is the mode of what is there (or will be) and whether it
    /// is a directory. What the arguments leave open stays open.
    pub fn resolve(&self, cache: &mut Cache, current: u32, is_dir: bool) -> Result<Attributes, Failure> {
        let (uid, gid) = self.ids(cache)?;
        let mode = self.mode.as_ref().map(|m| m.on(current, is_dir)).transpose()?;
        Ok(Attributes { mode, uid, gid, ..Attributes::default() })
    }

    /// Make the path so; says whether anything was different. In check mode nothing is changed. A link at the path
    /// is not followed. `diff` gets Ansible's `before` and `after`.
    pub fn apply(&self, task: &mut Task<'_>, path: &Path, diff: Option<&mut Json>) -> Result<bool, Failure> {
        if self.is_empty() {
            return Ok(false);
        }
        let metadata = match std::fs::symlink_metadata(path) {
            // In check mode the file that would have been made is not there.
            Err(_) if task.check => return Ok(true),
            other => other.at("look at", path)?,
        };
        let mode = metadata.mode() & 0o7777;
        let mut wanted = self.resolve(task.cache, mode, metadata.is_dir())?;
        if metadata.is_symlink() {
            wanted.mode = None;
        }
        wanted.xattrs = self.selinux.xattrs(path)?;
        if let Some(diff) = diff {
            note(diff, "owner", wanted.uid, metadata.uid(), |n| json!(n));
            note(diff, "group", wanted.gid, metadata.gid(), |n| json!(n));
            note(diff, "mode", wanted.mode, mode, |n| json!(format!("0{n:03o}")));
        }
        let differs = wanted.uid.is_some_and(|u| u != metadata.uid())
            || wanted.gid.is_some_and(|g| g != metadata.gid())
            || wanted.mode.is_some_and(|m| m != mode);
        let mut changed = differs || !wanted.xattrs.is_empty();
        if changed && !task.check {
            task.recorder.set(path, &wanted, false)?;
        }
        if let Some(text) = &self.attributes {
            changed |= chattr::apply(task, path, text)?;
        }
        Ok(changed)
    }
}

fn note(diff: &mut Json, key: &str, wanted: Option<u32>, is: u32, show: impl Fn(u32) -> Json) {
    if let Some(wanted) = wanted.filter(|w| *w != is) {
        diff["before"][key] = show(is);
        diff["after"][key] = show(wanted);
    }
}

/// A name or a number.
pub fn user_id(cache: &mut Cache, name: &str) -> Result<u32, Failure> {
    if let Ok(uid) = name.parse() {
        return Ok(uid);
    }
    cache
        .accounts()
        .user(name)
        .map(|u| u.uid)
        .ok_or_else(|| Failure::new(format!("chown failed: failed to look up user {name}")))
}

pub fn group_id(cache: &mut Cache, name: &str) -> Result<u32, Failure> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    cache
        .accounts()
        .group(name)
        .map(|g| g.gid)
        .ok_or_else(|| Failure::new(format!("chgrp failed: failed to look up group {name}")))
}

/// Ansible's file fields for every result that names a `path` or `dest`.
pub fn add_path_info(values: &mut Map, cache: &mut Cache) {
    let Some(path) =
        values.get("path").or_else(|| values.get("dest")).and_then(Json::as_str).map(str::to_owned)
    else {
        return;
    };
    let path = Path::new(&path);
    let (true, Ok(metadata)) = (path.exists(), std::fs::symlink_metadata(path)) else {
        return;
    };
    let accounts = cache.accounts();
    let info = json!({
        "uid": metadata.uid(),
        "gid": metadata.gid(),
        "owner": accounts.user_name(metadata.uid()),
        "group": accounts.group_name(metadata.gid()),
        "mode": format!("0{:03o}", metadata.mode() & 0o7777),
        "state": kind_word(&metadata),
        "size": metadata.size(),
    });
    if let Json::Object(info) = info {
        values.extend(info);
    }
    if let Some(context) = selinux::context(path) {
        values.insert("secontext".to_owned(), json!(context));
    }
}

fn kind_word(metadata: &std::fs::Metadata) -> &'static str {
    if metadata.is_symlink() {
        "link"
    } else if metadata.is_dir() {
        "directory"
    } else if metadata.nlink() > 1 && !metadata.file_type().is_socket() {
        "hard"
    } else {
        "file"
    }
}
