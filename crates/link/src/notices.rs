//! What a link says to, and asks of, the person in front of it.

use crate::Secret;

/// Implemented by whoever has the terminal. The two questions may block; they are asked from a thread made for it.
pub trait Notices: Send + Sync {
    /// Something a person should know, once: why the OpenSSH program is used, a host key that was learnt.
    fn notice(&self, text: &str);

    /// A passphrase or one-time code. `None`: nobody can answer. `echo`: what is typed may be seen.
    fn secret(&self, prompt: &str, echo: bool) -> Option<Secret> {
        let _ = (prompt, echo);
        None
    }

    /// Whether to go on, for `StrictHostKeyChecking ask`. `None`: nobody can answer.
    fn confirm(&self, question: &str) -> Option<bool> {
        let _ = question;
        None
    }
}

/// Nobody is there.
pub struct Silent;

impl Notices for Silent {
    fn notice(&self, _: &str) {}
}
