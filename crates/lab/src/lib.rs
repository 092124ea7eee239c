//! Throw-away hosts on this machine: own namespaces, a copy-on-write root over the machine's own or a given one,
//! a private network, real systemd as process 1 where the root has it. For trying playbooks, for tests, for rehearsals.
//!
//! They keep accidents in, not enemies: root inside a host is not a stranger's root.
//!
//! Everything of a host but its control group and its record lives inside its namespaces, so that the kernel
//! itself removes mounts, disk and network with the host's last process, even after a crash of its maker.

mod archives;
mod birth;
mod capabilities;
mod cgroup;
mod cleanup;
mod daemon;
mod disk;
mod error;
mod exec;
mod host;
mod init;
mod lab;
mod mounts;
mod netlink;
mod network;
mod neutral;
mod root;
mod sandbox;
mod sshd;
mod state;
mod sys;
mod systemd;
mod tie;
mod wire;

pub use archives::{Archives, Fetch, addresses};
pub use cleanup::Stray;
pub use error::{Error, Result};
pub use host::{HostOptions, InitKind, LabHost};
pub use lab::Lab;
pub use sandbox::Sandbox;
