//! A throw-away host, as its users see it: options to make it with, and what can be done with it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::exec;
use crate::state::{HostRecord, Phase, Process};

/// What runs as process 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitKind {
    /// systemd where the root has it and the machine allows it, else the small one.
    #[default]
    Auto,
    /// The root's own systemd.
    Systemd,
    /// A process that only adopts and reaps.
    Small,
}

/// What a host shall be like.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// Letters, digits and `-`; also its host name.
    pub name: String,
    /// The directory with its root file system; None: the machine's own root.
    pub base: Option<PathBuf>,
    pub init: InitKind,
    /// Start the root's own OpenSSH server, on port 22.
    pub sshd: bool,
    /// A public key that may log in as root.
    pub authorized_key: Option<String>,
    /// End and remove the host when this process ends, however it ends.
    pub tied: bool,
    /// The size of its disk in bytes; None: 8 GiB, or all memory if that is less. Only what is written takes memory.
    pub disk: Option<u64>,
    /// Return as soon as process 1 runs, without waiting for services.
    pub no_wait: bool,
}

impl HostOptions {
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// A host that was made.
#[derive(Clone, Debug)]
pub struct LabHost {
    pub name: String,
    pub pool: String,
    /// Of its process 1, as seen from the machine; 0 while it is being made.
    pub pid: i32,
    /// Where the machine and the pool's other hosts reach it; 127.0.0.1 without root, where nobody can.
    pub address: Ipv4Addr,
    /// Its root as seen from the machine. Follow no absolute links through it: see [`LabHost::open_root`].
    pub root: PathBuf,
    pub init: InitKind,
    pub ssh_port: Option<u16>,
    pub base: Option<PathBuf>,
    pub tied: bool,
    /// Why nobody will ever remove this host by itself, if that is so.
    pub stray: Option<String>,
    /// What could not be provided as usual, in words.
    pub notes: Vec<String>,
    pub(crate) process: Option<Process>,
}

impl LabHost {
    pub(crate) fn from_record(record: &HostRecord) -> Self {
        let pid = record.init.map_or(0, |init| init.pid);
        Self {
            name: record.name.clone(),
            pool: record.pool.clone(),
            pid,
            address: record.address,
            root: PathBuf::from(format!("/proc/{pid}/root")),
            init: record.kind,
            ssh_port: record.sshd.then_some(22),
            base: record.base.clone(),
            tied: record.tied,
            stray: stray_reason(record),
            notes: record.notes.clone(),
            process: record.init,
        }
    }

    /// Whether its process 1 is there.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.process.is_some_and(Process::alive)
    }

    /// A command that will run inside the host as root, with a clean environment, in /root. Its exit status,
    /// signals and pipes are those of the program; killing it kills the program. `current_dir` has no effect.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        exec::command(self, program.as_ref())
    }

    /// A command of the *machine* (say `tc` or `tcpdump`) that sees only the host's network.
    #[must_use]
    pub fn network_command(&self, program: impl AsRef<OsStr>) -> Command {
        exec::network_command(self, program.as_ref())
    }

    /// Runs a program to its end and returns its standard output; an error tells what it said.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let what = format!("{program} on host {}", self.name);
        let output = self.command(program).args(arguments).stdin(Stdio::null()).output().doing(&what)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::Impossible(format!("{what}: {}: {}", output.status, said.trim())))
    }

    /// The host's root directory, for use with `openat2` and `RESOLVE_IN_ROOT`.
    pub fn open_root(&self) -> io::Result<OwnedFd> {
        let process = self.process.ok_or(io::ErrorKind::NotFound)?;
        let _same = process.open()?;
        Ok(rustix::fs::open(&self.root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// The directory of everything that differs from the host's base, as the overlay keeps it: a device 0:0 stands
    /// for a removed path, the attribute `trusted.overlay.opaque` hides what the base has below. Close it before
    /// the host is taken down.
    pub fn open_changes(&self) -> Result<OwnedFd> {
        let what = format!("opening the changes of host {}", self.name);
        crate::disk::open_changes(&format!("{}.{}", self.pool, self.name)).doing(what)
    }

    fn open_inside(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let root = self.open_root()?;
        let flags = flags | OFlags::CLOEXEC;
        Ok(rustix::fs::openat2(
            &root,
            path,
            flags,
            mode,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )?)
    }

    /// Puts a file into the host, atomically; its directory must be there.
    pub fn copy_in(&self, path: impl AsRef<Path>, bytes: &[u8], mode: u32) -> Result<()> {
        self.put(path.as_ref(), bytes, mode).doing(format!(
            "writing {} on host {}",
            path.as_ref().display(),
            self.name
        ))
    }

    fn put(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let parent = if parent.as_os_str().is_empty() { Path::new("/") } else { parent };
        let dir = self.open_inside(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        exec::in_child(&[dir.as_fd()], || write_beside(dir.as_fd(), name, bytes, mode))
    }

    /// Reads a file of the host.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        self.open_inside(path, OFlags::RDONLY, Mode::empty())
            .and_then(|file| File::from(file).read_to_end(&mut bytes))
            .doing(format!("reading {} on host {}", path.display(), self.name))?;
        Ok(bytes)
    }

    /// Waits until the host's services are up: systemd has finished starting, sshd answers.
    pub fn wait_ready(&self, limit: Duration) -> Result<Vec<String>> {
        let deadline = Instant::now() + limit;
        let mut notes = Vec::new();
        if self.init == InitKind::Systemd {
            notes.extend(crate::systemd::wait_started(self, deadline)?);
        }
        if let Some(port) = self.ssh_port {
            self.wait_port(port, deadline)?;
        }
        Ok(notes)
    }

    fn wait_port(&self, port: u16, deadline: Instant) -> Result<()> {
        let address = SocketAddr::from((self.address, port));
        loop {
            match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).doing(format!("waiting for sshd of host {} at {address}", self.name));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// Why a record's host would stay for ever if nobody looked after it.
fn stray_reason(record: &HostRecord) -> Option<String> {
    let owner_gone = !record.owner.alive();
    match (record.phase, record.init) {
        (Phase::Creating, _) if owner_gone => Some("the process that was making it has died".to_owned()),
        (Phase::Creating, _) => None,
        (Phase::Up, init) if !init.is_some_and(Process::alive) => Some("its process 1 has ended".to_owned()),
        (Phase::Up, _) if record.tied && owner_gone => Some("the process it is tied to has died".to_owned()),
        (Phase::Up, _) => None,
    }
}

/// Writes a file under another name and renames it. Runs in a process of its own: a descriptor that is open for
/// writing, inherited by some other thread's child, would keep the new file from being executed.
fn write_beside(dir: BorrowedFd<'_>, name: &OsStr, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", rustix::process::getpid().as_raw_nonzero()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let write = || {
        let mut file = File::from(rustix::fs::openat(dir, &beside, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(bytes)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(rustix::fs::renameat(dir, &beside, dir, name)?)
    };
    write().inspect_err(|_: &io::Error| {
        let _ = rustix::fs::unlinkat(dir, &beside, AtFlags::empty());
    })
}
