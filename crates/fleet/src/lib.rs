//! Fleets: members that can be replaced, and rollouts that replace them without anybody noticing.
//!
//! [`engine`] decides: it is a pure machine, `state + observation -> records and acts`, without clock, disk or
//! network. What it decides is in a write-ahead journal before it is done; what is done are small verbs that may be
//! done twice. [`simulation`] runs that machine through seeded schedules of faults and watches what must never happen.

pub mod engine;
pub mod simulation;
