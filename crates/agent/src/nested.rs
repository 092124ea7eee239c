//! A run that a task of another run on the same host started: the agent tells the programs of its tasks who it is, and
//! an agent that finds itself below such a one does not wait for it, which would never end.

use std::ffi::OsString;

/// The process whose task it is.
const VARIABLE: &str = "THESEUS_INSIDE";
/// Process trees are not deeper; one that seems so goes in a circle (a process id was given again).
const DEEPEST: usize = 1000;

/// What programs of tasks get in their environment.
pub(crate) fn mark() -> (&'static str, OsString) {
    (VARIABLE, std::process::id().to_string().into())
}

/// Whether that agent is one of our ancestors: a program that outlived its task is on its own.
pub(crate) fn is_inside() -> bool {
    let Some(outer) = std::env::var(VARIABLE).ok().and_then(|pid| pid.parse().ok()) else { return false };
    below(outer, std::process::id())
}

fn below(outer: u32, own: u32) -> bool {
    std::iter::successors(Some(own), |pid| parent(*pid)).skip(1).take(DEEPEST).any(|pid| pid == outer)
}

/// A process below this one, with all that are between them.
pub(crate) fn line_to_us(pid: u32) -> impl Iterator<Item = u32> {
    let own = std::process::id();
    std::iter::successors(Some(pid), |pid| parent(*pid)).take(DEEPEST).take_while(move |pid| *pid != own)
}

fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|pid| *pid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ancestor_is_around_us() {
        let own = std::process::id();
        assert!(below(parent(own).unwrap(), own));
        assert!(!below(own, own));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(below(own, child.id()));
        assert!(!below(child.id(), own));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
