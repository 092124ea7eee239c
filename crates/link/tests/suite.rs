//! Tests of the link against a small agent that speaks the protocol, real sshds and the real `ssh -G`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod config;
mod lab;
mod local;
mod many;
mod ssh;
mod sshd;
mod support;
