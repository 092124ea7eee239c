//! What is about the host as a whole, not about one task: which services ran before and after a run, what daemons
//! write on request, putting a generation back, and the guard that does so when nobody can get in any more.

pub(crate) mod bystanders;
pub(crate) mod clone;
pub(crate) mod debs;
pub(crate) mod guard;
pub(crate) mod housekeeping;
pub(crate) mod mend;
pub(crate) mod services;
pub(crate) mod told;
pub(crate) mod undo;
