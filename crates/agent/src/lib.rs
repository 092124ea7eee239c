//! The room agent.
