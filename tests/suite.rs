//! Whole-program tests: the built program, in a project and a home of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall end")]

mod adhoc;
mod answers;
mod arguments;
mod common;
mod docker;
mod drift;
mod fleet;
mod foreign;
mod history;
mod images;
mod inventory;
mod lab;
mod layers;
mod others;
mod plan;
mod planting;
mod validate;
mod vault;
mod witness;
mod wrong;
