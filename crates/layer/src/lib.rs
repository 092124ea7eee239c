//! The core: what a change is. A layer is the exact effect of one run on one host: for every path touched,
//! what was there before and what is there after, with its cause. This room depends on no other.

/// The only way to write to a host; see CONTRACT.md (being built).
pub struct Recorder {}
