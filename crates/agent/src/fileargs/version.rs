//! The version number of an inode.
#![expect(unsafe_code, reason = "rustix has no FS_IOC_GETVERSION; its ioctl interface is unsafe to use")]

use std::fs::File;

use rustix::ioctl::{Getter, ioctl, opcode};

const FS_IOC_GETVERSION: u32 = opcode::read::<std::ffi::c_long>(b'v', 1);

pub(super) fn of(file: &File) -> Option<u32> {
    // SAFETY: the kernel writes an int, although the request's number says long: a long has room for it, and starts as 0.
    let version = unsafe { ioctl(file, Getter::<FS_IOC_GETVERSION, std::ffi::c_long>::new()) };
    version.ok().map(|v| (v & 0xffff_ffff) as u32)
}
