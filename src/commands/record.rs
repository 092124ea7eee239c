//! Keeping what was done in the ledger.
