//! The witness: runs a process tree so that nothing it does to the file system goes unseen. A seccomp filter stops
//! the system calls that are about to change something; before such a call continues, the layer keeps what is there.
//!
//! ```text
//! gate.rs      entering: the child installs the filter between fork and exec and passes its listener on
//! table.rs     which system calls change a host, by their numbers on each architecture
//! filter.rs    the table as a BPF program: what it need not stop costs nothing
//! listener.rs  the loop: a stopped call in, the layer's recorder told, the call goes on
//! judge.rs     what one stopped call is about to do
//! target.rs    looking into the stopped process: its memory, descriptors, directories
//! resolve.rs   the path that it means, as we see it (chroot, other mount namespaces, links)
//! places.rs    what is no file of the host's: kernel settings, devices, processes
//! strays.rs    what outlives its command
//! sys.rs       the few system calls that need `unsafe`
//! ```
//!
//! It is a witness and no guard: a program that changes the memory of a path while the call is stopped can deceive it.

mod filter;
mod gate;
mod judge;
mod listener;
mod places;
mod resolve;
mod strays;
mod sys;
mod table;
mod target;

pub use gate::{Door, Gate, Mode, Refused, ready};
pub use listener::{Keeper, Listener, Seen};
pub use strays::{LISTENER, supervise};
