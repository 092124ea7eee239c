//! Whole-program tests: the built program, in a project and a home of its own.

mod adhoc;
mod common;
mod history;
mod inventory;
mod lab;
mod vault;
mod wrong;
