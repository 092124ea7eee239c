//! Jinja with Python's semantics and Ansible's meaning: an engine of our own.
//!
//! Values carry marks: where a string was written (its [`Origin`]) and whether it may be read as a template
//! (trust). Only strings that a person wrote into the project are trusted; what comes from hosts, files and
//! lookups never is. Containers are shared and mutable, as Python's are, and may be *lazy*: an element that is
//! a trusted template is resolved when it is used, not before.
//!
//! Pure: whatever needs the outside world (variables, lookups, template files) is asked of a [`Context`].

pub mod error;
pub mod origin;
pub mod value;

pub use error::{Error, ErrorKind, PendingWhat};
pub use origin::Origin;
pub use value::{Dict, Key, List, Object, Str, Value};
