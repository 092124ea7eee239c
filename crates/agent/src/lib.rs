//! What runs on a server: modules, facts, the loop that serves the controller. A small static binary; it never
//! calls the C library's name services (they would load the host's own libraries), and writes only through
//! the `layer` room.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests make the hosts that they need"
    )
)]

pub mod accounts;
pub mod cache;
pub mod children;
pub mod command;
pub mod crontab;
mod docker;
mod entry;
mod escalate;
pub mod facts;
pub mod fileargs;
pub mod files;
mod host;
pub mod http;
mod jobs;
pub mod module;
pub mod modules;
mod mysql;
mod nested;
mod openssl;
pub mod packages;
pub mod patterns;
mod postgresql;
pub mod regex;
pub mod serve;
pub mod services;
pub mod shadow;
mod spawn;
pub mod textfile;
pub mod web;
pub mod words;
mod x509;

pub use entry::main_args;
