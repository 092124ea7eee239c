//! Jinja with Python's semantics and Ansible's meaning: an engine of our own.
//!
//! Values carry marks: where a string was written (its [`Origin`]) and whether it may be read as a template
//! (trust). Only strings that a person wrote into the project are trusted; what comes from hosts, files and
//! lookups never is. Containers are shared and mutable, as Python's are, and may be *lazy*: an element that is
//! a trusted template is resolved when it is used, not before.
//!
//! Pure: whatever needs the outside world (variables, lookups, template files) is asked of a [`Context`].

mod ast;
pub mod context;
mod datetime;
pub mod engine;
pub mod error;
mod eval;
mod filters;
mod format;
mod header;
mod jmespath;
mod json_in;
mod json_out;
mod lexer;
pub mod literal;
mod methods;
mod nearest;
mod older;
pub mod origin;
mod outline;
mod parser;
mod regex;
mod stable;
mod tests;
mod twister;
pub mod value;
mod yaml_out;

pub use context::Context;
pub use engine::{Engine, Options};
pub use error::{Error, ErrorKind, PendingWhat};
pub use origin::Origin;
pub use outline::Outline;
pub use twister::Twister;
pub use value::{Dict, Key, List, Missing, Object, Resolve, Str, Tuple, Value, omit};
