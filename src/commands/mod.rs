//! One file a command: from what was typed to what is done. No logic of its own beyond putting rooms together.

pub(crate) mod adhoc;
mod ahead;
pub(crate) mod apply;
pub(crate) mod bake;
pub(crate) mod bisect;
mod callbacks;
pub(crate) mod compare;
pub(crate) mod diff;
pub(crate) mod drift;
mod effect;
pub(crate) mod facts;
pub(crate) mod history;
pub(crate) mod image;
pub(crate) mod inventory;
pub(crate) mod lab;
pub(crate) mod listing;
mod memory;
pub(crate) mod record;
pub(crate) mod recover;
pub(crate) mod rollback;
pub(crate) mod show;
pub(crate) mod stage;
pub(crate) mod store;
pub(crate) mod tour;
pub(crate) mod validate;
pub(crate) mod vault;
