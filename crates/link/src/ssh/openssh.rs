//! The OpenSSH program, for what only it can do.

use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use super::askpass::Askpass;
use super::plan::Asked;
use crate::wire::{Wire, plain};
use crate::{LinkError, Notices, SshTarget, transport};

/// How the program is to be called for one host.
pub(crate) struct Program {
    target: SshTarget,
    words: Vec<String>,
    timeout: Duration,
    askpass: Result<Askpass, String>,
}

impl Program {
    pub(super) fn new(
        target: &SshTarget,
        asked: Asked,
        timeout: Duration,
        notices: &Arc<dyn Notices>,
    ) -> Self {
        let askpass = Askpass::new(target.password.clone(), Arc::clone(notices)).map_err(|e| e.to_string());
        Self { target: target.clone(), words: asked.words, timeout, askpass }
    }

    pub(crate) fn run(&self, line: &str) -> Result<Wire, LinkError> {
        let mut command = Command::new("ssh");
        command.args(self.options()).arg("--").arg(&self.target.host).arg(line);
        match &self.askpass {
            Ok(askpass) => {
                command.env("SSH_ASKPASS", askpass.script()).env("SSH_ASKPASS_REQUIRE", "force");
                if std::env::var_os("DISPLAY").is_none() {
                    // Older versions ask the script only where there is a display.
                    command.env("DISPLAY", ":none");
                }
            }
            Err(reason) if self.target.password.is_some() => {
                return Err(LinkError::Config {
                    reason: format!("the password cannot be given to ssh: {reason}"),
                });
            }
            Err(_) => drop(command.arg("-oBatchMode=yes")),
        }
        transport::spawn(command, "ssh")
    }

    fn options(&self) -> Vec<String> {
        let target = &self.target;
        let mut options = vec!["-T".to_owned()];
        let mut set = |keyword: &str, value: &str| {
            options.push("-o".to_owned());
            options.push(format!("{keyword}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
        };
        if let Some(port) = target.port {
            set("Port", &port.to_string());
        }
        if let Some(user) = &target.user {
            set("User", user);
        }
        if let Some(key) = &target.key_file {
            set("IdentityFile", &key.to_string_lossy());
        }
        if target.host_key_checking == Some(false) {
            set("StrictHostKeyChecking", "no");
        }
        let own = |keyword: &str| self.words.iter().any(|word| word.to_lowercase().contains(keyword));
        if !own("connecttimeout") {
            set("ConnectTimeout", &self.timeout.as_secs().max(1).to_string());
        }
        set("ForwardX11", "no");
        set("RequestTTY", "no");
        options.extend(self.words.iter().cloned());
        if let Some(config) = &target.config
            && !self.words.iter().any(|word| word.starts_with("-F"))
        {
            options.push("-F".into());
            options.push(config.to_string_lossy().into_owned());
        }
        options
    }

    /// What the program says on standard error is the reason.
    pub(crate) fn explain(&self, error: LinkError, stderr: &str) -> LinkError {
        let host = &self.target.host;
        let lines: Vec<String> = stderr.lines().map(plain).filter(|line| !line.is_empty()).collect();
        let Some(line) = lines.iter().rev().find(|line| kind(line).is_some()) else { return error };
        let last = line.trim_end_matches('.');
        match kind(line) {
            Some(Kind::Auth) => LinkError::Auth {
                reason: format!("{host} does not let us in: {last}"),
                hint: Some("is the user right, and is the key in its authorized_keys?".into()),
            },
            Some(Kind::HostKey) => {
                // `Offending ED25519 key in FILE:LINE`
                let known =
                    lines.iter().find_map(|line| line.strip_prefix("Offending ")?.split_once(" key in "));
                let hint = match known.and_then(|(_, place)| place.rsplit_once(':')) {
                    Some((file, _)) => super::host_key::forget(file, host),
                    None => "connect once with ssh to see and decide".to_owned(),
                };
                let detail =
                    known.map(|(_, place)| format!(": another is known in {place}")).unwrap_or_default();
                LinkError::HostKey {
                    reason: format!("the host key of {host} is not accepted{detail}"),
                    hint: Some(hint),
                }
            }
            Some(Kind::Way) => {
                LinkError::Unreachable { reason: format!("{host} cannot be reached: {last}"), hint: None }
            }
            None => error,
        }
    }
}

enum Kind {
    Auth,
    HostKey,
    Way,
}

fn kind(line: &str) -> Option<Kind> {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    if has(&["Host key verification failed", "host key is known for", "REMOTE HOST IDENTIFICATION"]) {
        Some(Kind::HostKey)
    } else if has(&[
        "Permission denied (",
        "Too many authentication failures",
        "No more authentication methods",
    ]) {
        Some(Kind::Auth)
    } else if has(&[
        "Connection refused",
        "No route to host",
        "Network is unreachable",
        "timed out",
        "Could not resolve",
        "Name or service not known",
        "Connection closed by",
        "Connection reset",
        "kex_exchange_identification",
        "Bad configuration option",
    ]) {
        Some(Kind::Way)
    } else {
        None
    }
}
