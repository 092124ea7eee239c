//! Tests of the link against a small agent that speaks the protocol, real sshds and the real `ssh -G`.

mod config;
mod local;
mod ssh;
mod sshd;
mod support;
