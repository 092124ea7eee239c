//! The guard: a small process that puts the host back when a run changed the ways into it (network, ssh, firewall,
//! accounts) and nobody came in anew in time. The agent pushes its deadline on while the controller is heard; after
//! the run a new connection ends it. It does not outlive a reboot.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use layer::Notes;
use serde::{Deserialize, Serialize};

use crate::spawn::{Start, prepare};

/// The order, in the state directory; under the other name, while it is carried out.
const NOTE: &str = "guard";
const ACTING: &str = "guard.acting";

/// Where a mistake locks everybody out.
const WAYS_IN: &[&str] = &[
    "/etc/ssh/",
    "/etc/network/",
    "/etc/netplan/",
    "/etc/systemd/network/",
    "/etc/systemd/resolved.conf",
    "/etc/NetworkManager/",
    "/etc/sysconfig/network",
    "/etc/nftables",
    "/etc/iptables",
    "/etc/sysconfig/iptables",
    "/etc/ufw/",
    "/etc/firewalld/",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/etc/pam.d/",
    "/etc/security/access.conf",
    "/etc/sudoers",
    "/etc/nsswitch.conf",
    "/lib/systemd/system/ssh",
    "/usr/lib/systemd/system/ssh",
    "/etc/systemd/system/ssh",
];

pub(crate) fn is_way_in(path: &str) -> bool {
    WAYS_IN.iter().any(|start| path.starts_with(start)) || path.ends_with("/.ssh/authorized_keys")
}

/// What the file of the guard says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    run: String,
    /// The generation to go back to.
    to: u64,
    /// Seconds since 1970.
    deadline: f64,
    seconds: u64,
    /// The agent that does the run: it may hang on a dead connection.
    agent: u32,
    person: String,
    project: String,
}

/// An armed guard, as its agent sees it.
pub(crate) struct Guard {
    state_dir: PathBuf,
    order: Order,
    written: Instant,
}

impl Guard {
    /// Start the guarding process.
    pub(crate) fn arm(state_dir: &Path, run: &layer::Run, to: u64, seconds: u64) -> io::Result<Self> {
        let order = Order {
            run: run.run.clone(),
            to,
            deadline: now() + seconds as f64,
            seconds,
            agent: std::process::id(),
            person: run.person.clone(),
            project: run.project.clone(),
        };
        write(state_dir, &order)?;
        let mut command = Command::new("/proc/self/exe");
        command.args(crate::escalate::own_args("guard")).arg(state_dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        prepare(&mut command, Start { session: true, ..Start::default() });
        let mut child = command.spawn()?;
        // It starts the one that stays, and ends.
        child.wait()?;
        Ok(Self { state_dir: state_dir.to_owned(), order, written: Instant::now() })
    }

    /// The controller was heard: the time begins anew. Cheap when it was only just heard.
    pub(crate) fn heard(&mut self) {
        if self.written.elapsed() >= Duration::from_secs(1) {
            self.extend();
        }
    }

    /// From now on the full time counts.
    pub(crate) fn extend(&mut self) {
        self.order.deadline = now() + self.order.seconds as f64;
        self.written = Instant::now();
        // If this fails the guard acts early, which is safe.
        _ = write(&self.state_dir, &self.order);
    }
}

/// Somebody came in: there is nothing to put back. Returns what the guard waited for.
pub(crate) fn disarm(state_dir: &Path) -> Option<String> {
    let order = read(state_dir)?;
    Notes::of(state_dir).remove(NOTE).ok()?;
    Some(order.run)
}

/// `guard DIR`: start the process that stays, which belongs to nobody.
pub(crate) fn detach(state_dir: &str) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.args(crate::escalate::own_args("guard-stay")).arg(state_dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    prepare(&mut command, Start { session: true, ..Start::default() });
    command.spawn().map(drop)
}

/// `guard-stay DIR`: wait for the deadline or for the end of the order.
pub(crate) fn stay(state_dir: &str) -> Result<(), String> {
    let state_dir = Path::new(state_dir);
    let notes = Notes::of(state_dir);
    loop {
        let Some(order) = read(state_dir) else { return Ok(()) };
        let left = order.deadline - now();
        if left > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(left.clamp(0.01, 1.0)));
            continue;
        }
        // Whoever takes the file away decides: an agent that just came in, or we.
        if notes.rename(NOTE, ACTING).is_err() {
            return Ok(());
        }
        let result = put_back(state_dir, &order);
        _ = notes.remove(ACTING);
        return result;
    }
}

fn put_back(state_dir: &Path, order: &Order) -> Result<(), String> {
    end_agent(order.agent);
    let run = layer::Run {
        run: format!("{}-guard", order.run),
        person: order.person.clone(),
        command: format!("guard: nobody came back within {} s", order.seconds),
        project: order.project.clone(),
        started: super::undo::rfc3339(),
    };
    super::undo::recover(state_dir)?;
    super::undo::back_to(state_dir, order.to, run).map(drop)
}

/// The agent of that run, if it still hangs there: it is the same program as we are.
fn end_agent(pid: u32) {
    let same = |a: &str, b: &str| {
        let id = |path: &str| {
            std::fs::metadata(path).ok().map(|m| {
                use std::os::unix::fs::MetadataExt;
                (m.dev(), m.ino())
            })
        };
        id(a).is_some() && id(a) == id(b)
    };
    if !same(&format!("/proc/{pid}/exe"), "/proc/self/exe") {
        return;
    }
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        // The kernel lets go of its lock with it.
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn read(state_dir: &Path) -> Option<Order> {
    serde_json::from_slice(&std::fs::read(state_dir.join(NOTE)).ok()?).ok()
}

fn write(state_dir: &Path, order: &Order) -> io::Result<()> {
    Notes::of(state_dir).write(NOTE, &serde_json::to_vec(order)?).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::is_way_in;

    #[test]
    fn ways_in_are_known() {
        for path in [
            "/etc/ssh/sshd_config",
            "/etc/network/interfaces",
            "/etc/nftables.conf",
            "/home/a/.ssh/authorized_keys",
            "/etc/sudoers.d/x",
        ] {
            assert!(is_way_in(path), "{path}");
        }
        for path in ["/etc/motd", "/etc/nginx/nginx.conf", "/home/a/.ssh/config"] {
            assert!(!is_way_in(path), "{path}");
        }
    }
}
