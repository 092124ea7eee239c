//! Reaching a host: one connection and one channel for a whole run, the agent pushed if it is missing, and the
//! frames of [`catalog::protocol`] spoken over it.
//!
//! Whatever the way (`ssh`, `local`, `lab`, `docker`), a transport only has to run one `sh` script on the host with
//! its three streams connected; the script finds or receives the agent and becomes it. [`Link`] is the handle.

mod bootstrap;
mod error;
mod frames;
mod image;
mod link;
mod notices;
mod session;
pub mod ssh;
mod target;
mod transport;
mod wire;

pub use catalog::protocol::{AgentId, Call, CallId, Escalate, Hello, RunInfo, Sealed, Undone};
pub use error::LinkError;
pub use image::Image;
pub use link::Link;
pub use notices::{Notices, Silent};
pub use session::{Blobs, CallEnd, CallHandle, NoBlobs};
pub use target::{Connection, DockerTarget, LabTarget, Place, Secret, SshMode, SshTarget, Target};
