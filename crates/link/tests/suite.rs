//! Tests of the link against a small agent that speaks the protocol.

mod local;
mod support;
