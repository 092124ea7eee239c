//! Which system calls change a file system, what they do it to, and what they are called.

use std::io::IoSliceMut;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// A system call that changes something below the place of the trial, as it begins.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) pid: Pid,
    /// Whether the subject itself makes it, and none of the programs that it started.
    pub(crate) own: bool,
    pub(crate) number: i64,
    pub(crate) args: [u64; 6],
    pub(crate) kind: Kind,
    /// The path that the call is about, where it can be told.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Opened so that it is made, emptied or can be written.
    Open,
    /// Content, by descriptor (the argument of that number).
    Write(usize),
    /// A name appears, goes or moves.
    Name,
    /// Mode, owner, times, attributes.
    Metadata,
    /// One file or directory reaches the disk, by descriptor.
    Sync,
    /// Everything reaches the disk.
    SyncAll,
}

const WRITING: i32 = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
const FICLONE: u64 = 0x4004_9409;
const FS_IOC_SETFLAGS: u64 = 0x4008_6602;
const FS_IOC_FSSETXATTR: u64 = 0x401c_5820;

/// How a call's path is given.
#[derive(Clone, Copy)]
enum At {
    Descriptor(usize),
    Path(usize),
    Beside(usize, usize),
    Nothing,
}

fn table(number: i64, args: &[u64; 6]) -> Option<(Kind, At)> {
    use At::{Beside, Descriptor, Nothing, Path};
    use Kind::{Metadata, Name, Open, Sync, SyncAll, Write};
    let writes = |flags: u64| flags as i32 & WRITING != 0;
    Some(match number {
        libc::SYS_open if writes(args[1]) => (Open, Path(0)),
        libc::SYS_openat if writes(args[2]) => (Open, Beside(0, 1)),
        libc::SYS_openat2 => (Open, Beside(0, 1)),
        libc::SYS_creat => (Open, Path(0)),
        libc::SYS_write
        | libc::SYS_pwrite64
        | libc::SYS_writev
        | libc::SYS_pwritev
        | libc::SYS_pwritev2
        | libc::SYS_ftruncate
        | libc::SYS_fallocate
        | libc::SYS_sendfile => (Write(0), Descriptor(0)),
        libc::SYS_copy_file_range | libc::SYS_splice => (Write(2), Descriptor(2)),
        libc::SYS_ioctl if args[1] == FICLONE => (Write(0), Descriptor(0)),
        libc::SYS_ioctl if [FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR].contains(&args[1]) => {
            (Metadata, Descriptor(0))
        }
        libc::SYS_truncate => (Metadata, Path(0)),
        libc::SYS_rename | libc::SYS_link => (Name, Path(1)),
        libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_linkat => (Name, Beside(2, 3)),
        libc::SYS_symlink => (Name, Path(1)),
        libc::SYS_symlinkat => (Name, Beside(1, 2)),
        libc::SYS_unlink | libc::SYS_rmdir | libc::SYS_mkdir | libc::SYS_mknod => (Name, Path(0)),
        libc::SYS_unlinkat | libc::SYS_mkdirat | libc::SYS_mknodat => (Name, Beside(0, 1)),
        libc::SYS_chmod
        | libc::SYS_chown
        | libc::SYS_lchown
        | libc::SYS_setxattr
        | libc::SYS_lsetxattr
        | libc::SYS_removexattr
        | libc::SYS_lremovexattr
        | libc::SYS_utime
        | libc::SYS_utimes => (Metadata, Path(0)),
        libc::SYS_fchmod | libc::SYS_fchown | libc::SYS_fsetxattr | libc::SYS_fremovexattr => {
            (Metadata, Descriptor(0))
        }
        libc::SYS_fchmodat | libc::SYS_fchownat | libc::SYS_utimensat | libc::SYS_futimesat => {
            (Metadata, Beside(0, 1))
        }
        libc::SYS_fchmodat2 => (Metadata, Beside(0, 1)),
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_sync_file_range => (Sync, Descriptor(0)),
        libc::SYS_syncfs => (SyncAll, Descriptor(0)),
        libc::SYS_sync => (SyncAll, Nothing),
        _ => return None,
    })
}

/// `None`: it changes nothing, or nothing below `place`.
pub(crate) fn look(pid: Pid, number: i64, args: [u64; 6], place: &Path) -> Option<Call> {
    let (kind, at) = table(number, &args)?;
    if number == libc::SYS_openat2 {
        let mut how = [0; 8];
        read(pid, args[2], &mut how)?;
        if u64::from_le_bytes(how) as i32 & WRITING == 0 {
            return None;
        }
    }
    let path = match at {
        At::Nothing => None,
        At::Descriptor(fd) => Some(by_descriptor(pid, args[fd])?),
        At::Path(path) => Some(beside(pid, None, args[path])?),
        At::Beside(dir, path) => Some(beside(pid, Some(args[dir]), args[path])?),
    };
    if path.as_ref().is_some_and(|path| !path.starts_with(place)) {
        return None;
    }
    Some(Call { pid, own: false, number, args, kind, path })
}

pub(crate) fn by_descriptor(pid: Pid, fd: u64) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/fd/{}", fd as i32)).ok()
}

/// A path argument, made absolute. An empty one, or that of a descriptor in /proc, is the descriptor itself.
fn beside(pid: Pid, dir: Option<u64>, address: u64) -> Option<PathBuf> {
    let dir_fd = dir.unwrap_or(libc::AT_FDCWD as u64);
    let given = if address == 0 { PathBuf::new() } else { read_path(pid, address)? };
    if let Some(fd) = given.to_str().and_then(|text| text.strip_prefix("/proc/self/fd/")) {
        let (fd, rest) = fd.split_once('/').map_or((fd, None), |(fd, rest)| (fd, Some(rest)));
        let path = by_descriptor(pid, fd.parse().ok()?)?;
        return Some(rest.map_or(path.clone(), |rest| path.join(rest)));
    }
    if given.is_absolute() {
        return Some(given);
    }
    let dir = if dir_fd as i32 == libc::AT_FDCWD {
        std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?
    } else {
        by_descriptor(pid, dir_fd)?
    };
    Some(if given.as_os_str().is_empty() { dir } else { dir.join(given) })
}

fn read(pid: Pid, address: u64, into: &mut [u8]) -> Option<usize> {
    let remote = [RemoteIoVec { base: usize::try_from(address).ok()?, len: into.len() }];
    process_vm_readv(pid, &mut [IoSliceMut::new(into)], &remote).ok()
}

fn read_path(pid: Pid, address: u64) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 256];
    let mut at = address;
    while bytes.len() < 8192 {
        // Up to the next page only: the one after may not be there.
        let room = (4096 - at % 4096).min(chunk.len() as u64);
        let got = read(pid, at, &mut chunk[..usize::try_from(room).ok()?])?;
        if let Some(end) = chunk[..got].iter().position(|b| *b == 0) {
            bytes.extend_from_slice(&chunk[..end]);
            return Some(std::ffi::OsString::from_vec(bytes).into());
        }
        bytes.extend_from_slice(&chunk[..got]);
        at += got as u64;
    }
    None
}

impl Call {
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self.kind, Kind::Sync | Kind::SyncAll)
    }

    /// For people: what is about to happen.
    pub(crate) fn shown(&self) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new("")).display();
        format!("{} {path}", name(self.number))
    }
}

pub(crate) fn name(number: i64) -> String {
    let known = match number {
        libc::SYS_open | libc::SYS_openat | libc::SYS_openat2 | libc::SYS_creat => "open",
        libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 | libc::SYS_pwritev => "write",
        libc::SYS_ftruncate | libc::SYS_truncate => "truncate",
        libc::SYS_fallocate => "fallocate",
        libc::SYS_copy_file_range | libc::SYS_sendfile | libc::SYS_splice => "copy",
        libc::SYS_ioctl => "ioctl",
        libc::SYS_rename | libc::SYS_renameat | libc::SYS_renameat2 => "rename",
        libc::SYS_link | libc::SYS_linkat => "link",
        libc::SYS_symlink | libc::SYS_symlinkat => "symlink",
        libc::SYS_unlink | libc::SYS_unlinkat | libc::SYS_rmdir => "unlink",
        libc::SYS_mkdir | libc::SYS_mkdirat => "mkdir",
        libc::SYS_mknod | libc::SYS_mknodat => "mknod",
        libc::SYS_chmod | libc::SYS_fchmod | libc::SYS_fchmodat | libc::SYS_fchmodat2 => "chmod",
        libc::SYS_chown | libc::SYS_fchown | libc::SYS_lchown | libc::SYS_fchownat => "chown",
        libc::SYS_setxattr | libc::SYS_lsetxattr | libc::SYS_fsetxattr => "setxattr",
        libc::SYS_removexattr | libc::SYS_lremovexattr | libc::SYS_fremovexattr => "removexattr",
        libc::SYS_utime | libc::SYS_utimes | libc::SYS_utimensat | libc::SYS_futimesat => "utimens",
        libc::SYS_fsync => "fsync",
        libc::SYS_fdatasync => "fdatasync",
        libc::SYS_sync_file_range => "sync_file_range",
        libc::SYS_syncfs => "syncfs",
        libc::SYS_sync => "sync",
        _ => return format!("system call {number}"),
    };
    known.to_owned()
}
