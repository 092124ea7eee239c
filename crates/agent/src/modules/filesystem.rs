//! `filesystem`: a file system on a device, or in a file that stands for one.

use std::path::Path;

use catalog::{Arg, Args, ModuleSpec};

use crate::children;
use crate::command::find_program;
use crate::module::{Failure, Module, Outcome, Task};

const TYPES: &[&str] = &[
    "bcachefs", "btrfs", "ext2", "ext3", "ext4", "ext4dev", "f2fs", "lvm", "ocfs2", "reiserfs", "xfs", "vfat",
    "swap", "ufs",
];

const ARGS: &[Arg] = &[
    Arg::path("dev").required().aliases(&["device"]),
    Arg::str("fstype").aliases(&["type"]).choices(TYPES),
    Arg::bool("force").default("false"),
    Arg::bool("resizefs").default("false"),
    Arg::str("opts"),
    Arg::str("state").default("present").choices(&["present", "absent"]),
    Arg::str("uuid"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("filesystem", ARGS)
        .collection("community.general")
        .required_if(&[("state", "present", &["fstype"], false)])
        .mutually_exclusive(&[&["resizefs", "uuid"]]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let (dev, force) = (args.string("dev"), args.bool("force"));
    let absent = args.string("state") == "absent";
    if !Path::new(&dev).exists() {
        if absent {
            return Ok(Outcome::changed(false).with("msg", format!("Device {dev} not found.")));
        }
        return Err(Failure::new(format!("Device {dev} not found.")));
    }
    let now = signature(task, &dev)?;
    if absent {
        let there = !now.is_empty();
        if there {
            act(task, &dev, "wiped the signatures of", &["wipefs", "--all", &dev])?;
        }
        return Ok(Outcome::changed(there));
    }
    let wanted = args.string("fstype");
    let known_as = if wanted == "lvm" { "LVM2_member" } else { wanted.as_str() };
    if now == known_as && !force {
        if args.bool("resizefs") {
            return grow(task, &dev, &wanted);
        }
        return Ok(Outcome::changed(false));
    }
    if !now.is_empty() && !force {
        return Err(Failure::new(format!("'{dev}' is already used as {now}, use force=true to overwrite")));
    }
    let options = crate::words::split(&args.string("opts"))?;
    let mut words = maker(&wanted);
    words.extend(options.iter().map(String::as_str));
    let uuid = args.string("uuid");
    words.extend(uuid_words(&wanted, &uuid)?);
    words.push(&dev);
    act(task, &dev, &format!("made a file system ({wanted}) on"), &words)?;
    Ok(Outcome::changed(true))
}

/// What is on a device already; nothing: empty.
fn signature(task: &Task<'_>, dev: &str) -> Result<String, Failure> {
    let output = children::ask(task, &["blkid", "-c", "/dev/null", "-o", "value", "-s", "TYPE", dev])?;
    Ok(output.stdout_text().trim().to_owned())
}

/// What a device held cannot be put back: the layer says so.
fn act(task: &mut Task<'_>, dev: &str, doing: &str, words: &[&str]) -> Result<(), Failure> {
    let program = words.first().copied().unwrap_or_default();
    if find_program(program).is_none() {
        return Err(Failure::new(format!("Failed to find required executable \"{program}\"")));
    }
    if task.check {
        return Ok(());
    }
    task.recorder.irreversible(format!("{doing} {dev}"))?;
    children::expect(children::ask(task, words)?).map(drop)
}

fn maker(fstype: &str) -> Vec<&'static str> {
    match fstype {
        "ext2" => vec!["mkfs.ext2", "-F"],
        "ext3" => vec!["mkfs.ext3", "-F"],
        "ext4" => vec!["mkfs.ext4", "-F"],
        "ext4dev" => vec!["mkfs.ext4dev", "-F"],
        "xfs" => vec!["mkfs.xfs", "-f"],
        "btrfs" => vec!["mkfs.btrfs", "-f"],
        "bcachefs" => vec!["mkfs.bcachefs", "--force"],
        "f2fs" => vec!["mkfs.f2fs", "-f"],
        "reiserfs" => vec!["mkfs.reiserfs", "-q"],
        "ocfs2" => vec!["mkfs.ocfs2", "-Fx"],
        "ufs" => vec!["newfs"],
        "swap" => vec!["mkswap", "-f"],
        "lvm" => vec!["pvcreate", "-f", "-y"],
        _ => vec!["mkfs.vfat"],
    }
}

fn uuid_words<'a>(fstype: &str, uuid: &'a str) -> Result<Vec<&'a str>, Failure> {
    match fstype {
        _ if uuid.is_empty() => Ok(Vec::new()),
        "xfs" => Err("the program for xfs sets no uuid when it makes one: use `xfs_admin -U` in a task".into()),
        "lvm" => Ok(vec!["--norestorefile", "--uuid", uuid]),
        "vfat" => Ok(vec!["-i", uuid]),
        _ => Ok(vec!["-U", uuid]),
    }
}

/// Makes a file system as large as its device, where it is not.
fn grow(task: &mut Task<'_>, dev: &str, fstype: &str) -> Result<Outcome, Failure> {
    let before = size(task, dev, fstype)?;
    let Some((now, device)) = before else {
        return Err(Failure::new(format!("module does not support resizing {fstype} filesystem yet")));
    };
    if now >= device {
        return Ok(Outcome::changed(false).with("msg", format!("{fstype} filesystem is using the whole device {dev}")));
    }
    let mounted = mount_point(dev);
    match (fstype, mounted) {
        ("xfs" | "btrfs", None) => {
            return Err(Failure::new(format!("{dev} needs to be mounted for {fstype} operations")));
        }
        ("xfs", Some(at)) => act(task, dev, "grew the file system on", &["xfs_growfs", &at])?,
        ("btrfs", Some(at)) => act(task, dev, "grew the file system on", &["btrfs", "filesystem", "resize", "max", &at])?,
        ("lvm", _) => act(task, dev, "grew the physical volume on", &["pvresize", dev])?,
        _ => act(task, dev, "grew the file system on", &["resize2fs", dev])?,
    }
    Ok(Outcome::changed(true))
}

fn mount_point(dev: &str) -> Option<String> {
    let real = std::fs::canonicalize(dev).ok()?;
    let text = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mut lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let line = lines.find(|f| f.first().is_some_and(|d| std::fs::canonicalize(d).is_ok_and(|d| d == real)))?;
    line.get(1).map(|at| (*at).to_owned())
}

/// Bytes of the file system and of the device, as far as whole blocks go; `None`: this type cannot be asked.
fn size(task: &Task<'_>, dev: &str, fstype: &str) -> Result<Option<(u64, u64)>, Failure> {
    let device = device_size(task, dev)?;
    let number = |text: &str, key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key))?;
        line.trim_start_matches([':', ' ', '=', '\t']).split_whitespace().next()?.parse().ok()
    };
    match fstype {
        "ext2" | "ext3" | "ext4" | "ext4dev" => {
            let text = children::expect(children::ask(task, &["dumpe2fs", "-h", dev])?)?.stdout_text();
            let (Some(count), Some(block)) = (number(&text, "Block count"), number(&text, "Block size")) else {
                return Err(Failure::new(format!("dumpe2fs does not tell the size of {dev}")));
            };
            Ok(Some((count * block, device / block * block)))
        }
        "xfs" => {
            let Some(at) = mount_point(dev) else { return Ok(Some((0, device))) };
            let text = children::expect(children::ask(task, &["xfs_info", &at])?)?.stdout_text();
            let data = text.lines().find(|line| line.starts_with("data")).unwrap_or_default();
            let of = |key: &str| data.split([' ', ',']).find_map(|w| w.strip_prefix(key)?.parse::<u64>().ok());
            Ok(of("bsize=").zip(of("blocks=")).map(|(block, count)| (count * block, device / block * block)))
        }
        "lvm" => {
            let argv = ["pvs", "--noheadings", "-o", "dev_size,pv_size,pe_start", "--units", "b", "--nosuffix", dev];
            let text = children::expect(children::ask(task, &argv)?)?.stdout_text();
            let all: Vec<u64> = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
            // Its extents are of some megabytes: what is less than one is no room.
            Ok(if let [device, size, _] = all[..] { Some((size + (8 << 20), device)) } else { None })
        }
        _ => Ok(None),
    }
}

fn device_size(task: &Task<'_>, dev: &str) -> Result<u64, Failure> {
    let metadata = std::fs::metadata(dev)?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    let output = children::expect(children::ask(task, &["blockdev", "--getsize64", dev])?)?;
    output.stdout_text().trim().parse().map_err(|_| Failure::new(format!("blockdev does not tell the size of {dev}")))
}
