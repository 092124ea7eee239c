//! Drift: what is otherwise on a host than its layers, its packages and its first look say, who it was likely to be, and
//! which of many hosts is the odd one. Everything here only reads; what is put back goes through a recorder.
//!
//! ```text
//! drift/manifest   every entry as the last scan saw it: what need not be read again (manifest.rs, scan.rs)
//! drift/baseline   the manifest of the first look; looking never moves it
//! drift/first.json the objects of the first look: services, listeners, users, … (objects.rs)
//! ```
//!
//! A look ([`look::look`]) scans, compares with what was expected (declared.rs, compare.rs), and explains each
//! difference (judge.rs): by a layer, a package transaction (records.rs, transactions.rs), the kind of place
//! (places.rs), or by nobody. Only what nobody explains alarms.

mod compare;
pub mod declared;
mod evidence;
pub mod finding;
pub mod fingerprint;
mod journal;
mod judge;
mod left;
pub mod look;
pub mod manifest;
mod map;
pub mod objects;
pub mod places;
mod records;
pub mod scan;
mod shell;
mod transactions;

pub use finding::Finding;
pub use records::Records;
