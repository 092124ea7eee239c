//! A container, through the docker program.

use tokio::process::Command;

use super::local;
use crate::wire::{Wire, plain};
use crate::{DockerTarget, LinkError};

pub(super) fn run(target: &DockerTarget, arguments: &[String]) -> Result<Wire, LinkError> {
    let mut command = Command::new("docker");
    command.args(["exec", "-i"]);
    if let Some(user) = &target.user {
        command.arg("--user").arg(user);
    }
    command.args(["--", &target.container, "/bin/sh"]).args(arguments);
    local::spawn(command, "docker")
}

/// The docker program's own complaint is the reason, when there is one.
pub(super) fn explain(target: &DockerTarget, error: LinkError, stderr: &str) -> LinkError {
    let said = stderr.lines().map(plain).find(|line| !line.is_empty());
    match said {
        Some(said) => {
            let hint = if said.contains("No such container") || said.contains("is not running") {
                "is it running? `docker ps` lists the containers"
            } else if said.contains("Cannot connect to the Docker daemon") {
                "is Docker running, and may this user use it?"
            } else {
                return error;
            };
            LinkError::unreachable(format!("the container {} cannot be used: {said}", target.container), hint)
        }
        None => error,
    }
}
