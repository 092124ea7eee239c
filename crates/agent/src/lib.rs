//! What runs on a server: modules, facts, the loop that serves the controller. A small static binary; it never
//! calls the C library's name services (they would load the host's own libraries), and writes only through
//! the `layer` room.

pub mod accounts;
pub mod cache;
pub mod children;
pub mod command;
pub mod facts;
pub mod fileargs;
pub mod module;
pub mod modules;
pub mod patterns;
mod spawn;
pub mod words;
