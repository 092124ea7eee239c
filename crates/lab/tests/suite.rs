//! The lab on this machine, for real: as root everything is tried, otherwise what is possible without.
#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

#[path = "suite/bases.rs"]
mod bases;
#[path = "suite/basics.rs"]
mod basics;
#[path = "suite/crashes.rs"]
mod crashes;
#[path = "suite/services.rs"]
mod services;
#[path = "suite/support.rs"]
mod support;
#[path = "suite/unprivileged.rs"]
mod unprivileged;
