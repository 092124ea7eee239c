//! What is no file of the host's: kernel settings, devices, processes.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType};

/// What a directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// A file system whose files can be kept.
    Usual,
    /// The kernel's own: a write there is an order to it.
    Kernel,
    /// Of a process or a terminal: gone with it.
    Passing,
    /// Seen by its process only, in a mount namespace of its own.
    Elsewhere,
}

const PROC: u32 = 0x9fa0;
const SELINUX: u32 = 0xf97c_ff8c;
/// sysfs, both cgroups, debugfs, tracefs, securityfs, configfs, bpf, pstore, efivarfs, binfmt_misc.
const KERNELS: [u32; 11] = [
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0x6265_6570,
    0xcafe_4a11,
    0x6165_676c,
    0xde5e_81e4,
    0x4249_4e4d,
];
/// devpts, mqueue, pipes, sockets, anonymous inodes, namespaces.
const PASSING: [u32; 6] = [0x1cd1, 0x1980_0202, 0x5049_5045, 0x534f_434b, 0x0904_1934, 0x6e73_6673];
/// Files of SELinux that are opened for writing to ask a question.
const QUESTIONS: [&str; 6] = ["context", "create", "access", "user", "member", "relabel"];
/// Character devices whose writers change the machine.
const CONTROLS: [&str; 6] =
    ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/mapper/control", "/dev/nvram", "/dev/btrfs-control"];

impl Ground {
    pub(crate) fn of(directory: impl AsFd, path: &Path) -> Self {
        let Ok(system) = rustix::fs::fstatfs(directory) else { return Self::Usual };
        let kind = system.f_type as u32;
        let third = path.components().nth(2);
        let process = matches!(third, Some(Component::Normal(name)) if name.to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
        match kind {
            PROC if process => Self::Passing,
            PROC | SELINUX => Self::Kernel,
            kind if KERNELS.contains(&kind) => Self::Kernel,
            kind if PASSING.contains(&kind) => Self::Passing,
            _ => Self::Usual,
        }
    }
}

/// What opening it for writing means.
pub(crate) enum Writing {
    /// With its device and inode if other names lead to it, too.
    File(Option<(u64, u64)>),
    /// Nothing of the host changes: a terminal, a pipe.
    Nothing,
    Device(String),
}

pub(crate) fn writing_to(path: &Path) -> Writing {
    let Ok(stat) = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) else {
        return Writing::File(None);
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::BlockDevice => {
            Writing::Device(format!("opened the block device {} for writing", path.display()))
        }
        FileType::CharacterDevice if CONTROLS.iter().any(|control| Path::new(control) == path) => {
            Writing::Device(format!("opened the device {} for writing", path.display()))
        }
        FileType::CharacterDevice | FileType::Fifo | FileType::Socket => Writing::Nothing,
        _ => Writing::File((stat.st_nlink > 1).then_some((stat.st_dev, stat.st_ino))),
    }
}

pub(crate) fn is_question(path: &Path) -> bool {
    path.starts_with("/sys/fs/selinux")
        && path.file_name().is_some_and(|name| QUESTIONS.iter().any(|question| name == *question))
}

/// Each thing is said once, and not without end.
#[derive(Default)]
pub(crate) struct Said(HashSet<String>);

const MOST: usize = 1000;

impl Said {
    pub(crate) fn first(&mut self, what: &str) -> bool {
        self.0.len() < MOST && self.0.insert(what.to_owned())
    }
}
