//! The few kernel calls that need `unsafe`: fork, unshare, signal masks, loop devices and `pre_exec`.
#![expect(
    unsafe_code,
    reason = "fork, unshare, ioctl and pre_exec have no safe wrapper; they are gathered here"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// What `fork` returned: on which side of it we are.
pub(crate) enum Forked {
    Child,
    Parent(Pid),
}

/// Forks. The child of a process with threads must keep to file and process calls: no locks of the standard
/// library (environment, stdout), no panics that unwind out of it.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: the C library's own fork keeps its allocator usable in the child; callers keep the rule above.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid::from_raw(pid).expect("fork returned a positive pid"))),
    }
}

/// Ends this process without running destructors or exit handlers, as a forked child must.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Moves the calling thread (or, for pid namespaces, its future children) into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: no descriptor table is unshared, so no other thread's view of descriptors changes.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

/// Closes every descriptor but those in `keep`.
pub(crate) fn close_except(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    let mut first = 0;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: used only in forked children right after the fork, whose descriptors nobody else relies on.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done != 0 {
        for fd in first..=last.min(65_536) {
            // SAFETY: as above; kernels before 5.9 have no close_range.
            unsafe { libc::close(fd.cast_signed()) };
        }
    }
}

/// Blocks all signals for the calling thread, so that inherited handlers never run in a forked child.
pub(crate) fn block_signals() {
    set_mask(libc::SIG_BLOCK);
}

pub(crate) fn unblock_signals() {
    set_mask(libc::SIG_UNBLOCK);
}

fn set_mask(how: i32) {
    // SAFETY: the set is fully initialised by sigfillset before it is read.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(how, &raw const all, std::ptr::null_mut());
    }
}

/// Lets dead children become zombies to be waited for, whatever the creator had asked for.
pub(crate) fn default_child_signal() {
    default_signal(libc::SIGCHLD);
}

fn default_signal(signal: i32) {
    // SAFETY: SIG_DFL is a valid disposition for every signal passed here.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Waits for the next signal of the blocked ones and returns its number.
pub(crate) fn next_signal() -> i32 {
    // SAFETY: the set is initialised before use; a null info pointer is allowed.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigwaitinfo(&raw const all, std::ptr::null_mut())
    }
}

/// Sends any signal number to a process we are the parent of.
pub(crate) fn forward_signal(pid: Pid, signal: i32) {
    // SAFETY: kill has no memory preconditions; the child is not yet reaped, so its pid is its own.
    unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) };
}

/// Ends this process by the given signal, as the process it stands for ended.
pub(crate) fn die_by_signal(signal: i32) -> ! {
    default_signal(signal);
    unblock_signals();
    // SAFETY: raise has no preconditions.
    unsafe { libc::raise(signal) };
    exit_now(128 + signal)
}

/// Runs `enter` in the child between fork and exec.
pub(crate) fn before_exec(
    command: &mut Command,
    enter: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the closures given (see exec.rs) only make system calls on descriptors they own.
    unsafe { command.pre_exec(enter) };
}

/// A socket for all frames that arrive at an interface of the caller's network namespace, with the kernel's notes
/// on segments and checksums before each, so that they can be sent on as they are.
pub(crate) fn frame_socket(interface: u32) -> io::Result<OwnedFd> {
    let every = u16::try_from(libc::ETH_P_ALL).unwrap_or(3).to_be();
    // SAFETY: creates a descriptor that is owned from here on; the structures are of the sizes given.
    unsafe {
        let raw = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0);
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = OwnedFd::from_raw_fd(raw);
        for option in [libc::PACKET_VNET_HDR, libc::PACKET_IGNORE_OUTGOING] {
            let on: libc::c_int = 1;
            let size = size_of::<libc::c_int>() as libc::socklen_t;
            check(libc::setsockopt(raw, libc::SOL_PACKET, option, (&raw const on).cast(), size))?;
        }
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
        address.sll_protocol = every;
        address.sll_ifindex = interface.cast_signed();
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        check(libc::bind(raw, (&raw const address).cast(), size))?;
        Ok(socket)
    }
}

fn check(done: libc::c_int) -> io::Result<()> {
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// `struct loop_info64` of the kernel.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of the kernel.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// The number of a loop device that is free now.
pub(crate) fn free_loop(control: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: this request takes no argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) };
    u32::try_from(number).map_err(|_| io::Error::last_os_error())
}

/// Puts `image` behind the loop device; the kernel frees the device at its last use.
pub(crate) fn configure_loop(device: BorrowedFd<'_>, image: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all fields are integers or arrays of them, for which zero is valid.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = image.as_raw_fd().cast_unsigned();
    config.block_size = 4096;
    config.info.flags = LO_FLAGS_AUTOCLEAR;
    // SAFETY: the structure has the kernel's layout and outlives the call.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, &raw const config) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
