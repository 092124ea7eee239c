//! The room lab.
