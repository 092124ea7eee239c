//! Why a host could not be used, each in one clear sentence.

use std::time::Duration;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// Nothing answers there, or not as it should.
    #[error("{reason}{}", hint_text(hint))]
    Unreachable { reason: String, hint: Option<String> },
    /// The host's key is not the one we know, is revoked, or is unknown and must be known.
    #[error("{reason}{}", hint_text(hint))]
    HostKey { reason: String, hint: Option<String> },
    /// The host answers but does not let us in.
    #[error("{reason}{}", hint_text(hint))]
    Auth { reason: String, hint: Option<String> },
    /// Could not become the other user. `password`: it was wrong or missing.
    #[error("{reason}")]
    Escalate { reason: String, password: bool },
    /// The connection was there and is not any more.
    #[error("{reason}")]
    Lost { reason: String },
    #[error("{what} took longer than {}", seconds(after))]
    Timeout { what: String, after: Duration },
    /// The agent said it cannot go on.
    #[error("{reason}")]
    Agent { reason: String },
    /// What came is not what the agent says.
    #[error("{reason}")]
    Protocol { reason: String },
    /// The configuration cannot be used.
    #[error("{reason}")]
    Config { reason: String },
}

impl LinkError {
    pub(crate) fn unreachable(reason: impl Into<String>, hint: impl Into<Option<&'static str>>) -> Self {
        Self::Unreachable { reason: reason.into(), hint: hint.into().map(str::to_owned) }
    }

    pub(crate) fn lost(reason: impl Into<String>) -> Self {
        Self::Lost { reason: reason.into() }
    }

    /// Whether another attempt may go better: nothing was refused, the host was not there.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. } | Self::Lost { .. })
    }
}

fn hint_text(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default()
}

fn seconds(after: &Duration) -> String {
    let seconds = after.as_secs_f64();
    if seconds.fract() == 0.0 { format!("{seconds:.0} s") } else { format!("{seconds:.1} s") }
}
