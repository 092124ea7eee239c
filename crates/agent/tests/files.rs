//! File modules.
