//! One file a command: from what was typed to what is done. No logic of its own beyond putting rooms together.

pub mod apply;
pub mod listing;
pub mod record;
pub mod validate;
