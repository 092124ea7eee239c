//! One file a command: from what was typed to what is done. No logic of its own beyond putting rooms together.

pub mod adhoc;
pub mod apply;
pub mod facts;
pub mod history;
pub mod inventory;
pub mod lab;
pub mod listing;
mod memory;
pub mod record;
pub mod tour;
pub mod validate;
pub mod vault;
