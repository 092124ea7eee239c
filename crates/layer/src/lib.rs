//! The core: what a change is. A layer is the exact effect of one run on one host: for every path touched,
//! what was there before and what is there after, with its cause. This room depends on no other.
//!
//! ```text
//! objects/ab/cdef…      contents by BLAKE3 digest: every pre-image
//! layers/000001.json    what each run did (format: record.rs)
//! head                  number of the newest generation
//! lock                  flock: one writer
//! journal               what the run that goes on now has done so far
//! ```

mod digest;
mod durable;
mod error;
pub mod history;
mod journal;
mod lock;
mod noticed;
mod operations;
mod place;
mod record;
mod recorder;
mod state;
pub mod store;
#[cfg(test)]
mod tests;
mod tree;
mod watched;

pub use digest::{Digest, Hasher};
pub use error::{Error, Result};
pub use operations::Adopted;
pub use record::{Cause, Layer, Opaque, Run, ServiceChange, Step};
pub use recorder::{Recorder, Sealed};
pub use state::{Attributes, Kind, PathState, Time, observe};
pub use watched::Touch;
