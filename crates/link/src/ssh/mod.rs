//! SSH: in-process where the user's configuration can be honoured completely, else by the OpenSSH program.

mod algorithms;
pub mod arguments;
mod askpass;
mod auth;
pub mod config;
mod host_key;
mod keys;
pub mod known_hosts;
mod native;
mod openssh;
mod plan;
mod socket;
mod tokens;
mod words;

pub(crate) use native::Session;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::wire::Wire;
use crate::{LinkError, Notices, SshMode, SshTarget};

/// A host that lets us in.
pub(crate) enum Client {
    Native(native::Session),
    OpenSsh(Box<openssh::Program>),
}

pub(crate) async fn connect(
    target: &SshTarget,
    timeout: Duration,
    notices: &Arc<dyn Notices>,
) -> Result<Client, LinkError> {
    let asked = plan::Asked::new(target)?;
    let program = |asked| Client::OpenSsh(Box::new(openssh::Program::new(target, asked, timeout, notices)));
    if target.mode == SshMode::OpenSsh {
        return Ok(program(asked));
    }
    let planned = asked.plan(target).and_then(|plan| keys::need_hardware(&plan).map_or(Ok(plan), Err));
    match planned {
        Ok(plan) => Ok(Client::Native(native::connect(plan, timeout, notices).await?)),
        Err(plan::Beyond(reason)) if target.mode == SshMode::Native => {
            Err(LinkError::Config { reason: format!("the in-process SSH client cannot be used: {reason}") })
        }
        Err(plan::Beyond(reason)) => {
            once(&reason, || notices.notice(&format!("using the OpenSSH program: {reason}")));
            Ok(program(asked))
        }
    }
}

/// Do this only the first time this text comes up in the program's life.
fn once(text: &str, action: impl FnOnce()) {
    static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let first = SAID.lock().get_or_insert_default().insert(text.to_owned());
    if first {
        action();
    }
}

impl Client {
    pub(crate) async fn run(&self, arguments: &[String]) -> Result<Wire, LinkError> {
        let line = crate::bootstrap::command_line(arguments);
        match self {
            Self::Native(session) => session.exec(&line).await,
            Self::OpenSsh(program) => program.run(&line),
        }
    }

    pub(crate) fn explain(&self, error: LinkError, stderr: &str) -> LinkError {
        match self {
            Self::Native(_) => error,
            Self::OpenSsh(program) => program.explain(error, stderr),
        }
    }
}
