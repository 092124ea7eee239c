//! The language: YAML, inventory, variables, roles and vault, read once with their places, into steps.
//! Pure: reads the project's files, but touches no host and no network.

pub mod config;
pub mod definition;
pub mod diagnostic;
pub mod extra_vars;
pub mod health;
pub mod inventory;
pub mod ir;
pub mod keyvalue;
pub mod load;
pub mod lookups;
pub mod loops;
pub mod pattern;
pub mod plugins;
pub mod requirements;
pub mod search;
pub mod settings;
pub mod survey;
pub mod tags;
pub mod vars;
pub mod vault;
pub mod yaml;

pub use diagnostic::{Diagnostic, Sources};
