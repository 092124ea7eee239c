//! The agent from outside: through its protocol, as the controller speaks it.
#![expect(clippy::unwrap_used, reason = "a test ends at what goes wrong")]

mod becoming;
mod files;
mod host;
mod recorded;
mod serving;
mod system;
mod watched;
mod web;
