//! System modules.
