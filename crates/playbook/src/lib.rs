//! The language: YAML, inventory, variables, roles and vault, read once with their places, into steps.
//! Pure: reads the project's files, but touches no host and no network.

pub mod config;
pub mod diagnostic;
pub mod extra_vars;
pub mod inventory;
pub mod keyvalue;
pub mod pattern;
pub mod vault;
pub mod yaml;

pub use diagnostic::{Diagnostic, Sources};
