//! What is remembered of hosts and pools between commands: small JSON files under one lock.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::host::InitKind;

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// When it started, in clock ticks since the machine's boot.
    pub(crate) started: u64,
}

impl Process {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        if matches!(fields.first(), Some(&("Z" | "X"))) {
            return None;
        }
        Some(Self { pid, started: fields.get(19)?.parse().ok()? })
    }

    pub(crate) fn this() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self::of(pid).unwrap_or(Self { pid, started: 0 })
    }

    pub(crate) fn alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// A handle on the process, if it still is the one that was recorded.
    pub(crate) fn open(self) -> io::Result<std::os::fd::OwnedFd> {
        let gone = || io::Error::from(rustix::io::Errno::SRCH);
        let pid = Pid::from_raw(self.pid).ok_or_else(gone)?;
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        if self.alive() { Ok(handle) } else { Err(gone()) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Written before anything is made, so that a crash leaves a trace.
    Creating,
    Up,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HostRecord {
    pub(crate) name: String,
    pub(crate) pool: String,
    /// Its place in the pool: decides its address and the name of its switch port.
    pub(crate) number: u32,
    pub(crate) address: Ipv4Addr,
    pub(crate) phase: Phase,
    pub(crate) owner: Process,
    pub(crate) tied: bool,
    pub(crate) init: Option<Process>,
    pub(crate) kind: InitKind,
    pub(crate) sshd: bool,
    pub(crate) base: Option<PathBuf>,
    pub(crate) notes: Vec<String>,
    /// The process that delays what the host sends.
    pub(crate) wire: Option<Process>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PoolRecord {
    pub(crate) name: String,
    /// Which of the candidate networks it has; also names the machine's interface towards it.
    pub(crate) slot: u32,
    pub(crate) network: Ipv4Addr,
}

/// The directory with everything the lab remembers.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) dir: PathBuf,
}

/// Held while records are changed; released when dropped.
pub(crate) struct Lock {
    _file: File,
}

impl State {
    pub(crate) fn open() -> Self {
        Self { dir: state_dir() }
    }

    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.dir.join("lock");
        loop {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.dir)
                .doing_at("making", &self.dir)?;
            self.check_owner()?;
            let file = File::options()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&path)
                .doing_at("opening", &path)?;
            rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))
                .doing_at("locking", &path)?;
            if same_file(&file, &path) {
                return Ok(Lock { _file: file });
            }
        }
    }

    /// In a directory that everybody may write to, somebody else may have been first.
    fn check_owner(&self) -> Result<()> {
        let found = fs::symlink_metadata(&self.dir).doing_at("looking at", &self.dir)?;
        if found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        Err(Error::Impossible(format!("{} belongs to somebody else", self.dir.display())))
    }

    pub(crate) fn pool_dir(&self, pool: &str) -> PathBuf {
        self.dir.join(pool)
    }

    pub(crate) fn pools(&self) -> Vec<String> {
        names_in(&self.dir, |path| path.is_dir().then(|| path.file_name()).flatten())
    }

    pub(crate) fn pool(&self, pool: &str) -> Option<PoolRecord> {
        read_json(&self.pool_dir(pool).join("pool"))
    }

    pub(crate) fn save_pool(&self, pool: &PoolRecord) -> Result<()> {
        write_json(&self.pool_dir(&pool.name).join("pool"), pool)
    }

    pub(crate) fn hosts(&self, pool: &str) -> Vec<HostRecord> {
        let dir = self.pool_dir(pool);
        let names = names_in(&dir, |path| (path.extension()? == "json").then(|| path.file_stem()).flatten());
        let mut hosts: Vec<HostRecord> = names.iter().filter_map(|name| self.host(pool, name)).collect();
        hosts.sort_by_key(|host| host.number);
        hosts
    }

    pub(crate) fn host(&self, pool: &str, name: &str) -> Option<HostRecord> {
        read_json(&self.host_path(pool, name))
    }

    pub(crate) fn save_host(&self, host: &HostRecord) -> Result<()> {
        write_json(&self.host_path(&host.pool, &host.name), host)
    }

    pub(crate) fn forget_host(&self, pool: &str, name: &str) -> Result<()> {
        remove_if_there(&self.host_path(pool, name))
    }

    pub(crate) fn forget_pool(&self, pool: &str) -> Result<()> {
        let dir = self.pool_dir(pool);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).doing_at("removing", &dir),
            _ => Ok(()),
        }
    }

    /// Removes the directory itself once no pool is left. The lock must be held.
    pub(crate) fn forget_if_empty(&self) {
        if self.pools().is_empty() {
            let _ = fs::remove_file(self.dir.join("lock"));
            let _ = fs::remove_dir(&self.dir);
        }
    }

    fn host_path(&self, pool: &str, name: &str) -> PathBuf {
        self.pool_dir(pool).join(format!("{name}.json"))
    }
}

fn state_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/run/theseus-lab");
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| Path::new(dir).is_dir()) {
        Some(dir) => Path::new(&dir).join("theseus-lab"),
        None => std::env::temp_dir().join(format!("theseus-lab-{}", rustix::process::geteuid().as_raw())),
    }
}

/// Whether the path still names the opened file: the last one out may have removed it meanwhile.
fn same_file(file: &File, path: &Path) -> bool {
    let (Ok(opened), Ok(named)) = (rustix::fs::fstat(file), rustix::fs::stat(path)) else { return false };
    (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
}

fn names_in(dir: &Path, pick: impl Fn(&Path) -> Option<&OsStr>) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> = paths.filter_map(|path| Some(pick(&path)?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Written beside and renamed, so that a reader or a crash never sees half of it.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(io::Error::from).doing_at("encoding", path)?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside).doing_at("writing", &beside)?;
    file.write_all(&text).doing_at("writing", &beside)?;
    fs::rename(&beside, path).doing_at("writing", path)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).doing_at("removing", path),
        _ => Ok(()),
    }
}
