//! The room ledger.
