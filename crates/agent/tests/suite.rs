//! The agent from outside: through its protocol, as the controller speaks it.
#![expect(clippy::unwrap_used, reason = "a test ends at what goes wrong")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests make the hosts that they need"
)]

mod becoming;
mod beside;
mod crypto;
mod docker;
mod files;
mod foreign;
mod gem;
mod halfway;
mod host;
mod packing;
mod postgresql;
mod programs;
mod recorded;
mod serving;
mod system;
mod watched;
mod web;
mod zypper;
