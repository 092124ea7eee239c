//! The system calls that change a host, with their numbers on each architecture, and what their arguments mean.

use crate::filter::Arch;

/// Which calls the filter stops, as far as it can see from the arguments themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// One of these bits is set in an argument.
    Bits(u8, u32),
    /// An argument is one of these.
    Is(u8, &'static [u32]),
    /// Never done: the program is told that there is no such call, and does it another way.
    Refused,
}

/// A path among the arguments: the directory descriptor it is relative to (none: the working directory), the pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Option<u8>, pub(crate) u8);

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Yes,
    No,
    /// Unless `AT_SYMLINK_NOFOLLOW` is in this argument (which may also say `AT_EMPTY_PATH`).
    Flags(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Open(At, u8),
    /// `openat2`: the flags are in memory.
    OpenHow(At, u8),
    Create(At),
    OpenByHandle,
    Truncate(At),
    TruncateFd(u8),
    Remove(At),
    /// The flags are in this argument, if there are any.
    Rename(At, At, Option<u8>),
    Link(At, At, Option<u8>),
    New(At),
    Set(At, Follow),
    SetFd(u8),
    /// `utimensat` and its kin: without a path it means the descriptor.
    SetOrFd(At, Follow),
    Ioctl,
    Bind,
    /// i386's `socketcall(SYS_BIND, …)`.
    SocketCall,
    /// From now on roots and mount namespaces may differ.
    Views,
    /// `clone3`: the flags are in memory.
    Clone3,
    /// Cannot be taken back.
    Final(&'static str),
    /// The same, about a path.
    FinalPath(&'static str, At),
    /// `adjtimex`: only with modes, which are the first word in the memory of this argument.
    Adjust(u8),
    Nothing,
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    x86_64: u32,
    i386: u32,
    aarch64: u32,
    pub(crate) when: When,
    pub(crate) does: Does,
}

impl Row {
    pub(crate) fn number(&self, arch: Arch) -> Option<u32> {
        let number = match arch {
            Arch::X86_64 => self.x86_64,
            Arch::I386 => self.i386,
            Arch::Aarch64 => self.aarch64,
        };
        (number != NO).then_some(number)
    }
}

const NO: u32 = u32::MAX;

const fn row(name: &'static str, numbers: [u32; 3], when: When, does: Does) -> Row {
    Row { name, x86_64: numbers[0], i386: numbers[1], aarch64: numbers[2], when, does }
}

use Does::{
    Adjust, Bind, Clone3, Create, Final, FinalPath, Ioctl, Link, New, Nothing, Open, OpenByHandle, OpenHow,
    Remove, Rename, Set, SetFd, SetOrFd, SocketCall, Truncate, TruncateFd, Views,
};
use When::{Always, Bits, Is, Refused};

const P0: At = At(None, 0);
const P1: At = At(None, 1);
const D0: At = At(Some(0), 1);

/// `O_WRONLY | O_RDWR | O_CREAT | O_TRUNC`: the same on all architectures that we know.
const WRITING: u32 = 0o3 | 0o100 | 0o1000;
const CLONE_NEWNS: u32 = 0x0002_0000;

/// `ioctl`s on descriptors that need not be open for writing: `FS_IOC_SETFLAGS` (both widths), `FS_IOC_FSSETXATTR`.
pub(crate) const SET_FLAGS: [u32; 3] = [0x4008_6602, 0x4004_6602, 0x401c_5820];
/// btrfs: snapshots and subvolumes made and removed.
pub(crate) const SUBVOLUMES: [u32; 6] =
    [0x5000_9401, 0x5000_940e, 0x5000_940f, 0x5000_9417, 0x5000_9418, 0x5000_943f];
const IOCTLS: &[u32] = &[
    SET_FLAGS[0],
    SET_FLAGS[1],
    SET_FLAGS[2],
    SUBVOLUMES[0],
    SUBVOLUMES[1],
    SUBVOLUMES[2],
    SUBVOLUMES[3],
    SUBVOLUMES[4],
    SUBVOLUMES[5],
];

/// `quotactl` with what sets something (`Q_QUOTAON`, `Q_QUOTAOFF`, `Q_SETINFO`, `Q_SETQUOTA`, XFS's `Q_XQUOTAON`,
/// `Q_XQUOTAOFF`, `Q_XSETQLIM`), for users, groups and projects.
const QUOTAS: &[u32] = &{
    let commands: [u32; 7] = [0x0080_0002, 0x0080_0003, 0x0080_0006, 0x0080_0008, 0x5801, 0x5802, 0x5804];
    let mut all = [0; 21];
    let mut i = 0;
    while i < all.len() {
        all[i] = (commands[i / 3] << 8) | (i % 3) as u32;
        i += 1;
    }
    all
};

/// Those that are decided by an argument come first: the others are cheap wherever they stand.
pub(crate) static TABLE: &[Row] = &[
    row("openat", [257, 295, 56], Bits(2, WRITING), Open(D0, 2)),
    row("open", [2, 5, NO], Bits(1, WRITING), Open(P0, 1)),
    row("ioctl", [16, 54, 29], Is(1, IOCTLS), Ioctl),
    row("clone", [56, 120, 220], Bits(0, CLONE_NEWNS), Views),
    row("unshare", [272, 310, 97], Bits(0, CLONE_NEWNS), Views),
    row("socketcall", [NO, 102, NO], Is(0, &[2]), SocketCall),
    row("open_by_handle_at", [304, 342, 265], Bits(2, WRITING), OpenByHandle),
    row("quotactl", [179, 131, 60], Is(0, QUOTAS), Final("changed disk quotas")),
    row("quotactl_fd", [443, 443, 443], Is(1, QUOTAS), Final("changed disk quotas")),
    row("io_uring_setup", [425, 425, 425], Refused, Nothing),
    row("openat2", [437, 437, 437], Always, OpenHow(D0, 2)),
    row("creat", [85, 8, NO], Always, Create(P0)),
    row("truncate", [76, 92, 45], Always, Truncate(P0)),
    row("truncate64", [NO, 193, NO], Always, Truncate(P0)),
    row("ftruncate", [77, 93, 46], Always, TruncateFd(0)),
    row("ftruncate64", [NO, 194, NO], Always, TruncateFd(0)),
    row("fallocate", [285, 324, 47], Always, TruncateFd(0)),
    row("unlink", [87, 10, NO], Always, Remove(P0)),
    row("unlinkat", [263, 301, 35], Always, Remove(D0)),
    row("rmdir", [84, 40, NO], Always, Remove(P0)),
    row("rename", [82, 38, NO], Always, Rename(P0, P1, None)),
    row("renameat", [264, 302, 38], Always, Rename(D0, At(Some(2), 3), None)),
    row("renameat2", [316, 353, 276], Always, Rename(D0, At(Some(2), 3), Some(4))),
    row("link", [86, 9, NO], Always, Link(P0, P1, None)),
    row("linkat", [265, 303, 37], Always, Link(D0, At(Some(2), 3), Some(4))),
    row("symlink", [88, 83, NO], Always, New(P1)),
    row("symlinkat", [266, 304, 36], Always, New(At(Some(1), 2))),
    row("mkdir", [83, 39, NO], Always, New(P0)),
    row("mkdirat", [258, 296, 34], Always, New(D0)),
    row("mknod", [133, 14, NO], Always, New(P0)),
    row("mknodat", [259, 297, 33], Always, New(D0)),
    row("bind", [49, 361, 200], Always, Bind),
    row("chmod", [90, 15, NO], Always, Set(P0, Follow::Yes)),
    row("fchmod", [91, 94, 52], Always, SetFd(0)),
    row("fchmodat", [268, 306, 53], Always, Set(D0, Follow::Yes)),
    row("fchmodat2", [452, 452, 452], Always, Set(D0, Follow::Flags(3))),
    row("chown", [92, 182, NO], Always, Set(P0, Follow::Yes)),
    row("chown32", [NO, 212, NO], Always, Set(P0, Follow::Yes)),
    row("fchown", [93, 95, 55], Always, SetFd(0)),
    row("fchown32", [NO, 207, NO], Always, SetFd(0)),
    row("lchown", [94, 16, NO], Always, Set(P0, Follow::No)),
    row("lchown32", [NO, 198, NO], Always, Set(P0, Follow::No)),
    row("fchownat", [260, 298, 54], Always, Set(D0, Follow::Flags(4))),
    row("setxattr", [188, 226, 5], Always, Set(P0, Follow::Yes)),
    row("lsetxattr", [189, 227, 6], Always, Set(P0, Follow::No)),
    row("fsetxattr", [190, 228, 7], Always, SetFd(0)),
    row("setxattrat", [463, 463, 463], Always, Set(D0, Follow::Flags(2))),
    row("removexattr", [197, 235, 14], Always, Set(P0, Follow::Yes)),
    row("lremovexattr", [198, 236, 15], Always, Set(P0, Follow::No)),
    row("fremovexattr", [199, 237, 16], Always, SetFd(0)),
    row("removexattrat", [466, 466, 466], Always, Set(D0, Follow::Flags(2))),
    row("file_setattr", [469, 469, 469], Always, Set(D0, Follow::Flags(4))),
    row("utime", [132, 30, NO], Always, Set(P0, Follow::Yes)),
    row("utimes", [235, 271, NO], Always, Set(P0, Follow::Yes)),
    row("futimesat", [261, 299, NO], Always, SetOrFd(D0, Follow::Yes)),
    row("utimensat", [280, 320, 88], Always, SetOrFd(D0, Follow::Flags(3))),
    row("utimensat_time64", [NO, 412, NO], Always, SetOrFd(D0, Follow::Flags(3))),
    row("chroot", [161, 61, 51], Always, Views),
    row("setns", [308, 346, 268], Always, Views),
    row("clone3", [435, 435, 435], Always, Clone3),
    row("pivot_root", [155, 217, 41], Always, FinalPath("changed the root file system to", P0)),
    row("mount", [165, 21, 40], Always, FinalPath("mounted", P1)),
    row("move_mount", [429, 429, 429], Always, FinalPath("mounted", At(Some(2), 3))),
    row("mount_setattr", [442, 442, 442], Always, FinalPath("changed the mount", D0)),
    row("umount2", [166, 52, 39], Always, FinalPath("unmounted", P0)),
    row("umount", [NO, 22, NO], Always, FinalPath("unmounted", P0)),
    row("swapon", [167, 87, 224], Always, FinalPath("took into use as swap space", P0)),
    row("swapoff", [168, 115, 225], Always, FinalPath("no longer swaps to", P0)),
    row("acct", [163, 51, 89], Always, Final("changed the accounting of processes")),
    row("reboot", [169, 88, 142], Always, Final("restarted, halted or changed how the machine restarts")),
    row("kexec_load", [246, 283, 104], Always, Final("loaded another kernel")),
    row("kexec_file_load", [320, NO, 294], Always, Final("loaded another kernel")),
    row("init_module", [175, 128, 105], Always, Final("loaded a kernel module")),
    row("finit_module", [313, 350, 273], Always, Final("loaded a kernel module")),
    row("delete_module", [176, 129, 106], Always, Final("removed a kernel module")),
    row("sethostname", [170, 74, 161], Always, Final("set the name of the running host")),
    row("setdomainname", [171, 121, 162], Always, Final("set the domain name of the running host")),
    row("settimeofday", [164, 79, 170], Always, Final("set the clock")),
    row("stime", [NO, 25, NO], Always, Final("set the clock")),
    row("clock_settime", [227, 264, 112], Always, Final("set the clock")),
    row("clock_settime64", [NO, 404, NO], Always, Final("set the clock")),
    row("adjtimex", [159, 124, 171], Always, Adjust(0)),
    row("clock_adjtime", [305, 343, 266], Always, Adjust(1)),
    row("clock_adjtime64", [NO, 405, NO], Always, Adjust(1)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        let number = |name: &str| {
            TABLE.iter().find(|row| row.name == name).and_then(|row| row.number(Arch::native().unwrap()))
        };
        for (name, real) in [
            ("openat", libc::SYS_openat),
            ("ioctl", libc::SYS_ioctl),
            ("clone", libc::SYS_clone),
            ("unshare", libc::SYS_unshare),
            ("open_by_handle_at", libc::SYS_open_by_handle_at),
            ("quotactl", libc::SYS_quotactl),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("openat2", libc::SYS_openat2),
            ("truncate", libc::SYS_truncate),
            ("ftruncate", libc::SYS_ftruncate),
            ("fallocate", libc::SYS_fallocate),
            ("unlinkat", libc::SYS_unlinkat),
            ("renameat", libc::SYS_renameat),
            ("renameat2", libc::SYS_renameat2),
            ("linkat", libc::SYS_linkat),
            ("symlinkat", libc::SYS_symlinkat),
            ("mkdirat", libc::SYS_mkdirat),
            ("mknodat", libc::SYS_mknodat),
            ("bind", libc::SYS_bind),
            ("fchmod", libc::SYS_fchmod),
            ("fchmodat", libc::SYS_fchmodat),
            ("fchown", libc::SYS_fchown),
            ("fchownat", libc::SYS_fchownat),
            ("setxattr", libc::SYS_setxattr),
            ("lsetxattr", libc::SYS_lsetxattr),
            ("fsetxattr", libc::SYS_fsetxattr),
            ("removexattr", libc::SYS_removexattr),
            ("lremovexattr", libc::SYS_lremovexattr),
            ("fremovexattr", libc::SYS_fremovexattr),
            ("utimensat", libc::SYS_utimensat),
            ("chroot", libc::SYS_chroot),
            ("setns", libc::SYS_setns),
            ("clone3", libc::SYS_clone3),
            ("pivot_root", libc::SYS_pivot_root),
            ("mount", libc::SYS_mount),
            ("umount2", libc::SYS_umount2),
            ("swapon", libc::SYS_swapon),
            ("swapoff", libc::SYS_swapoff),
            ("acct", libc::SYS_acct),
            ("reboot", libc::SYS_reboot),
            ("kexec_load", libc::SYS_kexec_load),
            ("init_module", libc::SYS_init_module),
            ("finit_module", libc::SYS_finit_module),
            ("delete_module", libc::SYS_delete_module),
            ("sethostname", libc::SYS_sethostname),
            ("setdomainname", libc::SYS_setdomainname),
            ("settimeofday", libc::SYS_settimeofday),
            ("clock_settime", libc::SYS_clock_settime),
            ("adjtimex", libc::SYS_adjtimex),
            ("clock_adjtime", libc::SYS_clock_adjtime),
        ] {
            assert_eq!(number(name), Some(real as u32), "{name}");
        }
    }

    #[test]
    fn no_number_stands_twice() {
        for arch in [Arch::X86_64, Arch::I386, Arch::Aarch64] {
            let mut all: Vec<u32> = TABLE.iter().filter_map(|row| row.number(arch)).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{arch:?}");
        }
    }
}
