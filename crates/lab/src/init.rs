//! Process 1 of a host: the root's own systemd, or a loop that adopts and reaps, in no need of any file.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, WaitOptions};

use crate::cgroup::Layout;
use crate::error::{Error, Result};
use crate::host::InitKind;
use crate::sys;

const SYSTEMD: [&str; 2] = ["usr/lib/systemd/systemd", "lib/systemd/systemd"];

/// Which init a host on this base will have.
pub(crate) fn decide(asked: InitKind, base: &Path, layout: &Layout, privileged: bool) -> Result<InitKind> {
    if asked == InitKind::Small {
        return Ok(InitKind::Small);
    }
    let why_not = if !SYSTEMD.iter().any(|path| base.join(path).exists()) {
        Some("its root has no systemd")
    } else if !privileged {
        Some("systemd as process 1 needs root on this machine")
    } else if !layout.carries_systemd() {
        Some("this machine has no control group hierarchy for it")
    } else {
        None
    };
    match (asked, why_not) {
        (_, None) => Ok(InitKind::Systemd),
        (InitKind::Systemd, Some(reason)) => {
            Err(Error::Impossible(format!("a lab host with systemd is not possible here: {reason}")))
        }
        _ => Ok(InitKind::Small),
    }
}

/// Becomes systemd; returns only if that failed.
pub(crate) fn become_systemd() -> io::Error {
    let program = SYSTEMD.iter().map(|path| Path::new("/").join(path)).find(|path| path.exists());
    let Some(program) = program else { return io::ErrorKind::NotFound.into() };
    Command::new(program)
        .arg("--log-target=journal")
        .arg("--show-status=no")
        .env_clear()
        .env("container", "theseus-lab")
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .exec()
}

/// Adopts and reaps until told to stop; then all processes of the namespace end with it.
pub(crate) fn run_small() -> ! {
    let _ = rustix::thread::set_name(c"lab-init");
    sys::default_child_signal();
    loop {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        let signal = sys::next_signal();
        if [Signal::TERM, Signal::INT, Signal::POWER].iter().any(|stop| stop.as_raw() == signal) {
            sys::exit_now(0);
        }
    }
}
