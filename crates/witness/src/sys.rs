//! The system calls that no crate of ours wraps safely: installing the filter, its listener's `ioctl`s, another
//! process's memory.
#![expect(
    unsafe_code,
    reason = "seccomp's system calls take pointers; each is to memory that lives through the call"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::filter::Instruction;

/// The kernel's `struct seccomp_notif`: a stopped call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notification {
    pub(crate) id: u64,
    /// The thread, as our process namespace numbers it; 0: it is in none of ours.
    pub(crate) pid: u32,
    flags: u32,
    pub(crate) number: u32,
    pub(crate) arch: u32,
    instruction: u64,
    pub(crate) args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

const SET_MODE_FILTER: libc::c_ulong = 1;
const NEW_LISTENER: libc::c_ulong = 1 << 3;
/// From 5.19 on: once we have seen a call, only a deadly signal ends its wait.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;
const CONTINUE: u32 = 1;

const RECEIVE: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const IS_VALID: libc::c_ulong = 0x4008_2102;
const SET_FLAGS: libc::c_ulong = 0x4008_2104;
/// From 6.6 on: who is woken runs on the same processor at once.
const SYNC_WAKE_UP: libc::c_ulong = 1;

/// Put this thread, and whatever it starts, under a filter. Makes system calls only, so that it may be called between
/// `fork` and `exec`.
pub(crate) fn install(program: &[Instruction]) -> io::Result<OwnedFd> {
    let length = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = Program { length, instructions: program.as_ptr() };
    let set = |flags: libc::c_ulong| {
        // SAFETY: the program outlives the call, which copies it.
        unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program) }
    };
    let mut fd = set(NEW_LISTENER | WAIT_KILLABLE);
    if fd < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        fd = set(NEW_LISTENER);
    }
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The next stopped call; `None`: it is gone already.
pub(crate) fn receive(listener: impl AsFd) -> io::Result<Option<Notification>> {
    let mut call = Notification::default();
    // SAFETY: the kernel fills in a structure of exactly this size, which the number of the call names.
    let done = unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), RECEIVE as _, &raw mut call) };
    if done == 0 {
        return Ok(Some(call));
    }
    match io::Error::last_os_error() {
        gone if matches!(gone.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => Ok(None),
        error => Err(error),
    }
}

/// Let a stopped call go on, or fail with an error's number. Whoever was killed meanwhile needs no answer.
pub(crate) fn answer(listener: impl AsFd, id: u64, error: Option<i32>) -> io::Result<()> {
    let answer = match error {
        None => Answer { id, value: 0, error: 0, flags: CONTINUE },
        Some(number) => Answer { id, value: 0, error: -number, flags: 0 },
    };
    // SAFETY: the kernel reads a structure of this size.
    let done = unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), SEND as _, &raw const answer) };
    if done == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        gone if gone.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        error => Err(error),
    }
}

/// Whether that call still waits: what was read of its process until now is of that process and no other.
pub(crate) fn still_waits(listener: impl AsFd, id: u64) -> bool {
    // SAFETY: the kernel reads eight bytes.
    unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), IS_VALID as _, &raw const id) == 0 }
}

/// A hint only; kernels that do not know it go on as before.
pub(crate) fn wake_at_once(listener: impl AsFd) {
    // SAFETY: the argument is a number.
    unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), SET_FLAGS as _, SYNC_WAKE_UP) };
}

/// Read from another process's memory; less than asked for where it ends.
pub(crate) fn read_memory(pid: u32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let wrong = || io::Error::from_raw_os_error(libc::EFAULT);
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let there = usize::try_from(address).map_err(|_| wrong())?;
    let remote = libc::iovec { iov_base: there as *mut libc::c_void, iov_len: into.len() };
    let pid = libc::pid_t::try_from(pid).map_err(|_| wrong())?;
    // SAFETY: the local buffer is ours for the length given; the remote address is only looked up in the other process.
    let got = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// A descriptor that the parent gave us by its number.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only asks whether the descriptor is open.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and in the process that supervises strays nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor that its owner keeps open meanwhile.
pub(crate) fn borrowed<'a>(number: RawFd) -> std::os::fd::BorrowedFd<'a> {
    // SAFETY: only called in the child with the parent's end, which the gate holds until after the spawn.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(number) }
}
