//! Fleets: members that can be replaced, and rollouts that replace them without anybody noticing.
//!
//! [`engine`] decides: it is a pure machine, `state + observation -> records and acts`, without clock, disk or
//! network. What it decides is in a write-ahead journal before it is done; what is done are small verbs that may be
//! done twice: see [`drivers`] and [`traffic`].  [`simulation`] runs that machine through seeded schedules of faults and watches what must never happen.

pub mod controller;
pub mod definition;
pub mod drivers;
pub mod engine;
pub mod gates;
pub mod http;
pub mod picture;
pub mod simulation;
pub mod traffic;
