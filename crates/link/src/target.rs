//! Where a host is and how to get there.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A password or passphrase: never printed, wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        std::hint::black_box(&bytes);
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// One host and the patience to have with it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The inventory's name.
    pub name: String,
    pub connection: Connection,
    /// For one attempt to reach the host, logged in.
    pub timeout: Duration,
    /// More attempts when the host cannot be reached (never when it refuses us).
    pub retries: u32,
    /// After so long without a word, ask whether the host is there.
    pub keep_alive: Duration,
    /// After so long without a word the host counts as lost.
    pub patience: Duration,
}

impl Target {
    pub fn new(name: impl Into<String>, connection: Connection) -> Self {
        Self {
            name: name.into(),
            connection,
            timeout: Duration::from_secs(10),
            retries: 0,
            keep_alive: Duration::from_secs(5),
            patience: Duration::from_secs(30),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Connection {
    /// This machine, as the user who runs the program.
    Local,
    Ssh(Box<SshTarget>),
    Lab(LabTarget),
    Docker(DockerTarget),
    /// A room that is not this crate's business provides the agent's end: an image that is being baked.
    Place(Arc<dyn Place>),
}

/// Something that speaks the agent's protocol, magic text first, at the other end of a socket.
pub trait Place: fmt::Debug + Send + Sync {
    /// What it is called in messages, and by what it is told from others.
    fn name(&self) -> String;
    /// A new conversation.
    fn enter(&self) -> io::Result<UnixStream>;
}

/// A throw-away host of this machine; made when it is first used.
#[derive(Clone, Debug, Default)]
pub struct LabTarget {
    pub name: String,
    /// Root file system; `None`: the machine's own.
    pub base: Option<PathBuf>,
    /// `None`: the pool of `theseus lab`.
    pub pool: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct DockerTarget {
    pub container: String,
    pub user: Option<String>,
}

/// Which SSH client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SshMode {
    /// In-process where the user's configuration can be honoured completely, else the OpenSSH program.
    #[default]
    Auto,
    Native,
    OpenSsh,
}

/// What inventory and command line say about reaching a host by SSH; the user's `ssh_config` says the rest.
#[derive(Clone, Debug, Default)]
pub struct SshTarget {
    /// As a person would give it to `ssh`: a name, an address or an alias of `ssh_config`.
    pub host: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub key_file: Option<PathBuf>,
    /// Ansible's `host_key_checking`; `None`: as `ssh_config` says.
    pub host_key_checking: Option<bool>,
    /// Ansible's `ssh_args`, `ssh_common_args` and `ssh_extra_args`, in this order: options as for the `ssh` program.
    pub args: Vec<String>,
    pub mode: SshMode,
    /// In place of `~/.ssh/config` (and then the system's file is not read either), as `ssh -F`.
    pub config: Option<PathBuf>,
    /// In place of the user's home directory when reading configuration, keys and known hosts.
    pub home: Option<PathBuf>,
}

impl SshTarget {
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), ..Self::default() }
    }
}
