//! Why another user's agent could not be started: each in one clear sentence.

use std::process::ExitStatus;

use catalog::protocol::Escalate;

use super::Refused;

pub(super) fn wrong_password(how: &Escalate) -> Refused {
    let method = &how.method;
    Refused {
        reason: format!("Incorrect {method} password: the one for user {} was refused", who(how)),
        password: true,
        timed_out: false,
    }
}

pub(super) fn no_password(how: &Escalate) -> Refused {
    Refused {
        reason: format!("{} asks for a password to become user {}, and none was given", how.method, how.user),
        password: true,
        timed_out: false,
    }
}

pub(super) fn timeout(how: &Escalate, screen: &str) -> Refused {
    let said = last_line(screen).map(|line| format!("; it said last: {line}")).unwrap_or_default();
    let reason = format!(
        "Timed out waiting for become success or become password prompt: {} did not start the agent of user {} \
         within {} seconds{said}",
        how.method, how.user, how.timeout_seconds
    );
    Refused { reason, password: false, timed_out: true }
}

/// It ended without an agent: what did it say?
pub(super) fn ended(how: &Escalate, screen: &str, data: &str, status: ExitStatus, answered: bool) -> Refused {
    let said = format!("{screen}\n{data}");
    let has = |words: &[&str]| words.iter().any(|w| said.to_lowercase().contains(w));
    if has(&["not in the sudoers", "is not allowed to", "may not run", "operation not permitted"]) {
        let line = last_line(&said).unwrap_or_default();
        let reason = format!(
            "user {} may not become user {} by {}: {line}",
            crate::accounts::own_name(),
            how.user,
            how.method
        );
        return Refused::new(reason);
    }
    if has(&["unknown user", "does not exist", "no passwd entry", "not known"]) {
        return Refused::new(format!("there is no user {} on this host", how.user));
    }
    if has(&[
        "password is required",
        "terminal is required",
        "authentication required",
        "authorization required",
    ]) {
        return no_password(how);
    }
    if answered
        && has(&["incorrect password", "authentication fail", "sorry, try again", "permission denied"])
    {
        return wrong_password(how);
    }
    if !answered && has(&["authentication fail"]) {
        return no_password(how);
    }
    let line = last_line(&said).unwrap_or_else(|| format!("it ended with {status} and said nothing"));
    Refused::new(format!("{} could not start the agent of user {}: {line}", how.method, how.user))
}

fn who(how: &Escalate) -> String {
    // su asks for the other user's password, sudo and doas for one's own.
    if how.method == "su" { how.user.clone() } else { crate::accounts::own_name() }
}

fn last_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}
