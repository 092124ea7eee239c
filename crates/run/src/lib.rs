//! The room run.
