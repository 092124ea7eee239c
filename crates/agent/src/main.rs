//! The agent as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::main_args(std::env::args_os().skip(1))
}
