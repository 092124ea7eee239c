//! The room link.
