//! Seeded schedules of rollouts in the simulator: `cargo xtask rollouts --schedules 100000`.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::shell;

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--package", "theseus-fleet", "--example", "rollouts", "--"]);
    let status = command.args(arguments).status().context("the simulator")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
