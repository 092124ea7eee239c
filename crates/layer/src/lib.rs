//! The core: what a change is. A layer is the exact effect of one run on one host: for every path touched,
//! what was there before and what is there after, with its cause. This room depends on no other.
//!
//! ```text
//! objects/ab/cdef…         contents by digest: every pre-image (store.rs)
//! layers/000001.jsonl      what each run did (history.rs, record.rs)
//! layers/interrupted-….jsonl  what a run did that never ended, and that was put back
//! head                     number of the newest generation
//! lock                     flock: one writer
//! journal                  what the run that goes on now has done so far (journal.rs)
//! key, secret-paths, pins  of secret contents; of generations that stay
//! ```
//!
//! A change is made in this order: keep what is there ([`Recorder`]), note it in the journal, make both durable, change.
//! The end of a run: contents durable, layer durable, head. So after a crash, [`history::recover`] finds either a
//! layer under the head, or a journal by which it puts everything back.

mod content;
mod devices;
mod differ;
mod digest;
mod durable;
mod error;
mod exact;
mod guards;
pub mod history;
mod journal;
mod keeping;
mod lease;
mod lock;
mod noticed;
mod operations;
mod place;
mod record;
mod recorder;
mod recover;
mod restore;
mod results;
mod scratch;
mod seal;
mod space;
mod state;
pub mod store;
#[cfg(test)]
mod tests;
mod time;
mod tree;
mod undo;
mod watched;
mod witnessed;

pub use differ::differences;
pub use digest::{Digest, Hasher};
pub use error::{Error, Result};
pub use noticed::observe_secret;
pub use operations::Adopted;
pub use record::{Cause, DirTime, Inode, Layer, Opaque, Run, ServiceChange, Step};
pub use recorder::{Doer, Recorder};
pub use results::keep;
pub use scratch::{Notes, Scratch};
pub use seal::Sealed;
pub use state::{Attributes, Kind, PathState, Time, observe};
pub use watched::Touch;
