//! This machine.

use std::process::Stdio;

use tokio::process::Command;

use crate::LinkError;
use crate::wire::Wire;

pub(super) fn run(arguments: &[String]) -> Result<Wire, LinkError> {
    let mut command = Command::new("/bin/sh");
    command.args(arguments);
    spawn(command, "/bin/sh")
}

/// Start a child with pipes, in a process group of its own: a Ctrl-C is ours to handle.
pub(crate) fn spawn(mut command: Command, what: &str) -> Result<Wire, LinkError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).process_group(0);
    let child = command
        .spawn()
        .map_err(|e| LinkError::unreachable(format!("the program {what} could not be started: {e}"), None))?;
    Wire::child(child).map_err(|e| LinkError::unreachable(e.to_string(), None))
}
