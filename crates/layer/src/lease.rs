//! Has anybody a file open for writing? A read lease is granted only if not.
#![expect(unsafe_code, reason = "rustix and nix have no F_SETLEASE")]

use std::fs::File;
use std::os::fd::AsRawFd;

/// Whether a program that had the file open before could write to it behind our back. Also true where the kernel
/// or the file system does not say.
pub(crate) fn may_be_written(file: &File) -> bool {
    let set = |kind: libc::c_int| {
        // SAFETY: the descriptor is open for the length of the call, and F_SETLEASE takes an int.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) == 0 }
    };
    let granted = set(libc::F_RDLCK);
    if granted {
        set(libc::F_UNLCK);
    }
    !granted
}
