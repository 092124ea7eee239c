//! Customers: wrk, at a steady pace, on connections that stay open.

use std::fmt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// Each of eight connections thinks for a moment after each answer.
const PACE: &str = "function delay() return math.random(10, 30) end\n";

pub(super) struct Load {
    child: Child,
    pace: PathBuf,
}

#[derive(Default)]
pub(super) struct Answered {
    pub(super) requests: u64,
    pub(super) failed: u64,
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, {} failed", self.requests, self.failed)
    }
}

impl Load {
    pub(super) fn on(port: u16) -> Result<Self> {
        let pace = std::env::temp_dir().join(format!("theseus-pace-{port}.lua"));
        std::fs::write(&pace, PACE)?;
        let child = Command::new("wrk")
            .args(["-t1", "-c8", "-d3600s", "--timeout", "20s", "-s"])
            .arg(&pace)
            .arg(format!("http://127.0.0.1:{port}/"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start wrk")?;
        Ok(Self { child, pace })
    }

    pub(super) fn end(self) -> Result<Answered> {
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        let output = self.child.wait_with_output()?;
        let _ = std::fs::remove_file(&self.pace);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        answered(&text).with_context(|| format!("wrk says something else: {text}"))
    }
}

/// wrk's own summary.
fn answered(text: &str) -> Option<Answered> {
    let mut all = Answered::default();
    let numbers = |text: &str| -> Vec<u64> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
    };
    for line in text.lines().map(str::trim) {
        if line.contains(" requests in ") {
            all.requests = *numbers(line).first()?;
        } else if line.starts_with("Socket errors:") || line.starts_with("Non-2xx") {
            // `Non-2xx or 3xx responses: N`
            let (_, counts) = line.split_once(':')?;
            all.failed += numbers(counts).iter().sum::<u64>();
        }
    }
    text.contains(" requests in ").then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_failures_count() {
        let text = "  1200 requests in 3.00s, 1.2MB read\n  Socket errors: connect 1, read 2, write 0, timeout 3\n  Non-2xx or 3xx responses: 7\nRequests/sec: 400.00\n";
        let found = answered(text).unwrap_or_default();
        assert_eq!((found.requests, found.failed), (1200, 13));
        assert!(answered("unable to connect").is_none());
    }
}
