//! The machine in a world with a fake clock: seeded schedules of faults, crashes of the controller, operators and
//! autoscaling, and what must never happen, checked at every act. The same seed is the same schedule, always.
//!
//! `cargo xtask rollouts --schedules 100000` runs many; a seed that breaks a promise is printed and can be run again.

mod controller;
mod journal;
mod random;
mod scenario;
mod schedule;
mod watch;
mod world;

pub use controller::{Controller, Crash, Flight, Tamper, Wrongs};
pub use journal::Journal;
pub use random::Random;
pub use scenario::{Event, Faults, Scenario};
pub use schedule::{Ended, run, run_traced};
pub use watch::{Known, Promise, Violation};
pub use world::{Body, Quality, World};
