//! Entering: the child installs the filter between `fork` and `exec`, and its listener comes back through a socket.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::filter::{Instruction, program};
use crate::listener::Listener;
use crate::sys;

/// Whether a run watches what its programs do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Watch,
    /// `--no-witness`
    Off,
}

/// Why programs cannot be watched here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The user said so.
    Off,
    Kernel(String),
    Rights,
    /// A process can have one listener: whoever runs the agent has it.
    Busy,
    NoProc,
    Architecture,
    Other(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => write!(f, "the run was told not to watch"),
            Self::Kernel(release) => write!(f, "the kernel {release} cannot; 5.9 and later can"),
            Self::Rights => write!(f, "that takes the rights of root"),
            Self::Busy => write!(f, "another program watches the agent itself in the same way"),
            Self::NoProc => write!(f, "there is no /proc"),
            Self::Architecture => write!(f, "it is not known how to on this architecture"),
            Self::Other(why) => write!(f, "the kernel refused: {why}"),
        }
    }
}

/// Whether programs can be watched here. Tried once a process.
pub fn ready(mode: Mode) -> Result<(), Refused> {
    static READY: OnceLock<Result<(), Refused>> = OnceLock::new();
    match mode {
        Mode::Off => Err(Refused::Off),
        Mode::Watch => READY.get_or_init(try_it).clone(),
    }
}

fn try_it() -> Result<(), Refused> {
    if program().is_empty() {
        return Err(Refused::Architecture);
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    // Listeners came with 5.0, letting calls go on with 5.5; that the last process has ended can be seen from 5.9 on.
    if version(&release) < (5, 9) {
        return Err(Refused::Kernel(release));
    }
    if std::fs::read_link("/proc/self/fd/0").is_err_and(|_| std::fs::read_link("/proc/self/exe").is_err()) {
        return Err(Refused::NoProc);
    }
    // A filter binds the thread that installs it; this one ends.
    let thread = std::thread::Builder::new().name("trial".to_owned());
    let tried =
        thread.spawn(|| sys::install(Instruction::ALLOW_ALL).map(drop)).map(std::thread::JoinHandle::join);
    match tried {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(refusal(&error)),
        _ => Err(Refused::Other("no thread could be started".to_owned())),
    }
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn refusal(error: &io::Error) -> Refused {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => Refused::Rights,
        Some(libc::EBUSY) => Refused::Busy,
        Some(libc::ENOSYS | libc::EINVAL) => {
            Refused::Kernel(rustix::system::uname().release().to_string_lossy().into_owned())
        }
        _ => Refused::Other(error.to_string()),
    }
}

/// One for each process tree that is to be watched.
pub struct Gate {
    ours: OwnedFd,
    childs: OwnedFd,
}

/// The child's side of it: two numbers, so that nothing is allocated after `fork`.
#[derive(Clone, Copy)]
pub struct Door {
    socket: RawFd,
    program: &'static [Instruction],
}

impl Gate {
    pub fn new(mode: Mode) -> Result<Self, Refused> {
        ready(mode)?;
        let (family, kind, flags) = (AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let pair = rustix::net::socketpair(family, kind, flags, None);
        let (ours, childs) = pair.map_err(|error| Refused::Other(error.to_string()))?;
        Ok(Self { ours, childs })
    }

    /// For `pre_exec`: the last thing that the child does there.
    pub fn door(&self) -> Door {
        Door { socket: self.childs.as_raw_fd(), program: program() }
    }

    /// When the child has been spawned: what listens to it. An error: it runs, but unwatched.
    pub fn listener(self) -> Result<Listener, Refused> {
        drop(self.childs);
        let mut number = [0; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut number)];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        rustix::net::recvmsg(&self.ours, &mut parts, &mut control, flags)
            .map_err(|error| Refused::Other(error.to_string()))?;
        let listener = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        match listener {
            Some(fd) => Listener::new(fd).map_err(|error| Refused::Other(error.to_string())),
            None => Err(refusal(&io::Error::from_raw_os_error(i32::from_ne_bytes(number)))),
        }
    }
}

impl Door {
    /// From here on this process and all that it starts are stopped before they change anything. Makes system calls
    /// only. Where the filter is refused the process goes on without.
    pub fn enter(self) -> io::Result<()> {
        let socket = sys::borrowed(self.socket);
        match sys::install(self.program) {
            Ok(listener) => {
                use std::os::fd::AsFd;
                let descriptors = [listener.as_fd()];
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                control.push(SendAncillaryMessage::ScmRights(&descriptors));
                send(socket, 0, &mut control)
            }
            Err(error) => {
                let number = error.raw_os_error().unwrap_or(libc::EIO);
                send(socket, number, &mut SendAncillaryBuffer::default())
            }
        }
    }
}

fn send(
    socket: std::os::fd::BorrowedFd<'_>,
    number: i32,
    control: &mut SendAncillaryBuffer<'_, '_, '_>,
) -> io::Result<()> {
    let number = number.to_ne_bytes();
    rustix::net::sendmsg(socket, &[IoSlice::new(&number)], control, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn releases_are_compared_by_number() {
        assert!(version("5.10.0-33-amd64") > (5, 9));
        assert!(version("5.4.0-150-generic") < (5, 9));
        assert!(version("6.18.44-fc") > (5, 9));
        assert_eq!(version("strange"), (0, 0));
    }
}
