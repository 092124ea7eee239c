//! The words that controller and host share: what a module accepts (its argument specification), what a
//! task call and its result look like, and the frames in which they travel.
//!
//! Pure vocabulary: no file, no socket, no clock. Everything that travels carries [`protocol::VERSION`].

pub mod arguments;
pub mod bytes;
pub mod ini;
pub mod protocol;
pub mod regex;
mod rules;
pub mod spec;

pub use arguments::{Args, ArgumentError};
pub use spec::{Arg, Check, Kind, ModuleSpec};

/// A JSON object; keys keep their order, as people wrote them.
pub type Map = serde_json::Map<String, serde_json::Value>;
pub use serde_json::Value as Json;
