//! The machine against schedules of faults, planted bugs, and what other tools got wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall end")]

mod gates;
mod others;
mod planted;
mod schedules;
