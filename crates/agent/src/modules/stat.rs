//! `stat`: everything about a path.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use catalog::{Arg, Args, Check, Json, Map, ModuleSpec};
use rustix::fs::Access;
use serde_json::json;

use crate::fileargs::{flag_letters, inode_flags, inode_version};
use crate::files;
use crate::module::{Failure, Module, Outcome, Task};

const ARGS: &[Arg] = &[
    Arg::path("path").required().aliases(&["dest", "name"]),
    Arg::bool("follow").default("false"),
    Arg::bool("get_checksum").default("true"),
    Arg::bool("get_mime").default("true").aliases(&["mime", "mime_type", "mime-type"]),
    Arg::bool("get_attributes").default("true").aliases(&["attr", "attributes"]),
    Arg::str("checksum_algorithm")
        .default("sha1")
        .choices(files::CHECKSUMS)
        .aliases(&["checksum", "checksum_algo"]),
    Arg::bool("get_selinux_context").default("false"),
];

pub(crate) static MODULE: Module =
    Module { spec: ModuleSpec::builtin("stat", ARGS).check(Check::Query), run };

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let text = args.string("path");
    let path = Path::new(&text);
    let follow = args.bool("follow");
    let metadata = if follow { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) };
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(e) if matches!(e.raw_os_error(), Some(2 | 20)) => {
            return Ok(Outcome::default().with("stat", json!({"exists": false})));
        }
        Err(e) => {
            return Err(Failure::new(format!("could not look at {text}: {}", crate::module::plain(&e))));
        }
    };
    let mut stat = numbers(&text, &metadata);
    let accounts = task.cache.accounts();
    if let Some(user) = accounts.user_by_uid(metadata.uid()) {
        stat.insert("pw_name".to_owned(), json!(user.name));
    }
    if let Some(group) = accounts.group_by_gid(metadata.gid()) {
        stat.insert("gr_name".to_owned(), json!(group.name));
    }
    for (key, access) in
        [("readable", Access::READ_OK), ("writeable", Access::WRITE_OK), ("executable", Access::EXEC_OK)]
    {
        stat.insert(key.to_owned(), json!(rustix::fs::access(path, access).is_ok()));
    }
    if metadata.is_symlink() {
        stat.insert("lnk_source".to_owned(), json!(files::real_path(path).to_string_lossy()));
        let target = std::fs::read_link(path).map(|t| t.to_string_lossy().into_owned()).unwrap_or_default();
        stat.insert("lnk_target".to_owned(), json!(target));
    }
    if metadata.is_file() && args.bool("get_checksum") && rustix::fs::access(path, Access::READ_OK).is_ok() {
        let sum = files::checksum_file(&args.string("checksum_algorithm"), path)?;
        stat.insert("checksum".to_owned(), json!(sum));
    }
    if args.bool("get_mime") {
        mime(task, path, follow, &mut stat);
    }
    if args.bool("get_attributes") {
        attributes(path, &mut stat);
    }
    Ok(Outcome::default().with("stat", Json::Object(stat)))
}

fn numbers(path: &str, m: &Metadata) -> Map {
    let mode = m.mode();
    let kind = m.file_type();
    let time = |s: i64, ns: i64| json!(s as f64 + ns as f64 / 1e9);
    let stat = json!({
        "exists": true,
        "path": path,
        "mode": format!("{:04o}", mode & 0o7777),
        "isdir": m.is_dir(),
        "ischr": kind.is_char_device(),
        "isblk": kind.is_block_device(),
        "isreg": m.is_file(),
        "isfifo": kind.is_fifo(),
        "islnk": m.is_symlink(),
        "issock": kind.is_socket(),
        "uid": m.uid(),
        "gid": m.gid(),
        "size": m.size(),
        "inode": m.ino(),
        "dev": m.dev(),
        "nlink": m.nlink(),
        "atime": time(m.atime(), m.atime_nsec()),
        "mtime": time(m.mtime(), m.mtime_nsec()),
        "ctime": time(m.ctime(), m.ctime_nsec()),
        "wusr": mode & 0o200 != 0,
        "rusr": mode & 0o400 != 0,
        "xusr": mode & 0o100 != 0,
        "wgrp": mode & 0o020 != 0,
        "rgrp": mode & 0o040 != 0,
        "xgrp": mode & 0o010 != 0,
        "woth": mode & 0o002 != 0,
        "roth": mode & 0o004 != 0,
        "xoth": mode & 0o001 != 0,
        "isuid": mode & 0o4000 != 0,
        "isgid": mode & 0o2000 != 0,
        "blocks": m.blocks(),
        "block_size": m.blksize(),
        "device_type": m.rdev(),
    });
    stat.as_object().cloned().unwrap_or_default()
}

/// By the program `file`, where it is installed.
fn mime(task: &Task<'_>, path: &Path, follow: bool, stat: &mut Map) {
    let (mut kind, mut charset) = ("unknown".to_owned(), "unknown".to_owned());
    if let Some(program) = crate::command::find_program("file") {
        let mut command = task.command(program).args(["--mime-type", "--mime-encoding"]);
        if follow {
            command = command.arg("-L");
        }
        if let Ok(output) = command.arg("--").arg(path).output()
            && output.ok()
        {
            let text = output.stdout_text();
            let parts = text.rsplit_once(": ").and_then(|(_, rest)| rest.trim().split_once(';'));
            if let Some((k, c)) = parts {
                k.trim().clone_into(&mut kind);
                c.trim().rsplit('=').next().unwrap_or_default().clone_into(&mut charset);
            }
        }
    }
    stat.insert("mimetype".to_owned(), json!(kind));
    stat.insert("charset".to_owned(), json!(charset));
}

const NAMES: &[(char, &str)] = &[
    ('A', "noatime"),
    ('a', "append"),
    ('c', "compressed"),
    ('C', "nocow"),
    ('d', "nodump"),
    ('D', "dirsync"),
    ('e', "extents"),
    ('E', "encrypted"),
    ('h', "blocksize"),
    ('i', "immutable"),
    ('I', "indexed"),
    ('j', "journalled"),
    ('N', "inline"),
    ('s', "zero"),
    ('S', "synchronous"),
    ('t', "notail"),
    ('T', "blockroot"),
    ('u', "undelete"),
    ('X', "compressedraw"),
    ('Z', "compresseddirty"),
];

fn attributes(path: &Path, stat: &mut Map) {
    let flags = inode_flags(path);
    let letters = flags.map(flag_letters).unwrap_or_default();
    let words: Vec<&str> =
        letters.chars().filter_map(|c| NAMES.iter().find(|(n, _)| *n == c).map(|(_, word)| *word)).collect();
    stat.insert("attributes".to_owned(), json!(words));
    stat.insert("attr_flags".to_owned(), json!(letters));
    let version = flags.and_then(|_| inode_version(path));
    stat.insert("version".to_owned(), version.map_or(Json::Null, |v| json!(v.to_string())));
}
