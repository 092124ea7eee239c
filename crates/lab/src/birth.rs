//! How a host comes to life: a first child takes its place in control groups, namespaces and network, a second
//! one becomes process 1, builds the root, enters it and turns into the init.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::pipe::PipeFlags;
use rustix::process::{Signal, WaitOptions};
use rustix::thread::UnshareFlags;

use crate::cgroup::Layout;
use crate::disk::Template;
use crate::host::{HostOptions, InitKind};
use crate::neutral::Neighbour;
use crate::state::{HostRecord, PoolRecord, Process};
use crate::{capabilities, daemon, init, mounts, network, neutral, root, sshd, sys, systemd};

/// Everything decided beforehand; the children only carry it out.
pub(crate) struct Birth<'a> {
    pub(crate) record: &'a HostRecord,
    pub(crate) options: &'a HostOptions,
    pub(crate) layout: &'a Layout,
    pub(crate) disk: Option<&'a Template>,
    pub(crate) stage: PathBuf,
    pub(crate) neighbours: &'a [Neighbour],
    /// None without root.
    pub(crate) switch: Option<(&'a File, &'a PoolRecord)>,
}

/// What the children tell the creator, a line each.
pub(crate) struct Report {
    pipe: File,
    first: rustix::process::Pid,
}

impl Birth<'_> {
    fn privileged(&self) -> bool {
        self.switch.is_some()
    }

    /// The host's name in control groups and on its disk.
    fn id(&self) -> String {
        format!("{}.{}", self.record.pool, self.record.name)
    }

    /// Starts it and returns at once.
    pub(crate) fn begin(&self) -> io::Result<Report> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        match sys::fork()? {
            sys::Forked::Parent(first) => Ok(Report { pipe: File::from(read), first }),
            sys::Forked::Child => self.first_child(File::from(write)),
        }
    }

    fn first_child(&self, mut report: File) -> ! {
        sys::block_signals();
        let mut keep: Vec<RawFd> = vec![report.as_raw_fd()];
        keep.extend(self.disk.map(|disk| disk.fd().as_raw_fd()));
        keep.extend(self.switch.map(|(switch, _)| switch.as_raw_fd()));
        sys::close_except(&keep);
        if let Err(error) = daemon::quiet_stdio().and_then(|()| self.separate(&mut report)) {
            let _ = writeln!(report, "error {error}");
        }
        sys::exit_now(0)
    }

    /// Leaves the creator's surroundings, and stays until process 1 needs nobody any more.
    fn separate(&self, report: &mut File) -> io::Result<()> {
        rustix::process::setsid()?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(self.record.owner.pid) {
            return Ok(());
        }
        let mut apart =
            UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC | UnshareFlags::NEWPID;
        if let Some((switch, pool)) = self.switch {
            step("joining its control groups", self.layout.join(&self.id()))?;
            step("joining the network", network::join_switch(switch.as_fd(), pool, self.record.number))?;
            apart |= UnshareFlags::NEWCGROUP;
        } else {
            step(NO_ROOT, become_root_of_nothing())?;
            step("making a network of its own", network::only_loopback())?;
        }
        step("making namespaces", sys::unshare(apart))?;
        let (alive, held) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        match sys::fork()? {
            sys::Forked::Child => {
                drop(alive);
                self.process_one(report, File::from(held))
            }
            sys::Forked::Parent(pid) => {
                drop(held);
                writeln!(report, "pid {}", pid.as_raw_nonzero())?;
                let _ = File::from(alive).read(&mut [0]);
                Ok(())
            }
        }
    }

    fn process_one(&self, report: &mut File, held: File) -> ! {
        if let Err(error) = self.prepare(report) {
            let _ = writeln!(report, "error {error}");
            sys::exit_now(1);
        }
        let _ = rustix::process::set_parent_process_death_signal(None);
        let _ = writeln!(report, "ready");
        drop(held);
        if self.record.kind == InitKind::Systemd {
            let error = init::become_systemd();
            let _ = writeln!(report, "error starting systemd: {error}");
            sys::exit_now(1);
        }
        sys::close_except(&[0, 1, 2]);
        init::run_small()
    }

    fn prepare(&self, report: &mut File) -> io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        let base = self.record.base.as_deref();
        let plan = root::Plan {
            base,
            stage: &self.stage,
            disk: self.disk,
            host: &self.id(),
            privileged: self.privileged(),
        };
        let place = step("mounting its root", root::mount(&plan))?;
        let groups = self.privileged().then_some(self.layout);
        step("mounting /proc, /sys and /dev", mounts::mount_all(&place, self.privileged(), groups))?;
        step("entering its root", root::enter(&place))?;
        let (name, own_root) = (&self.record.name, base.is_none());
        step("giving it an identity", neutral::make(name, own_root, self.neighbours))?;
        if self.record.kind == InitKind::Systemd {
            step("preparing systemd", systemd::prepare(own_root))?;
        }
        if self.options.sshd {
            step("preparing sshd", sshd::prepare(self.record.kind))?;
        }
        if let Some(key) = &self.options.authorized_key {
            step("authorizing the key", sshd::authorize(key))?;
        }
        if self.disk.is_none() {
            writeln!(
                report,
                "note its changes are on a tmpfs: file attributes and free space differ from a disk's"
            )?;
        }
        step("giving up capabilities", capabilities::restrict())
    }
}

const NO_ROOT: &str = "making a user namespace, for want of root's capabilities (some systems and containers forbid that to users)";

/// Says at which step an error happened.
fn step<T>(what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))
}

/// Without root: a user namespace in which we are root, of our own files only.
fn become_root_of_nothing() -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    sys::unshare(UnshareFlags::NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// What became of a birth.
pub(crate) struct Outcome {
    pub(crate) init: Process,
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Waits for the end of the preparations.
    pub(crate) fn finish(mut self) -> Result<Outcome, String> {
        let mut text = String::new();
        let read = self.pipe.read_to_string(&mut text);
        let _ =
            rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(self.first), WaitOptions::empty()));
        read.map_err(|error| format!("nothing was heard of it: {error}"))?;
        let part =
            |word: &str| text.lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect();
        let (errors, notes, pids): (Vec<String>, Vec<String>, Vec<String>) =
            (part("error "), part("note "), part("pid "));
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        if !text.lines().any(|line| line == "ready") {
            return Err("it was ended while it was being made".to_owned());
        }
        let pid = pids.first().and_then(|pid| pid.parse().ok());
        let init = pid.and_then(Process::of).ok_or("its process 1 ended at once")?;
        Ok(Outcome { init, notes })
    }
}

/// The address a host without a network has.
pub(crate) const NOWHERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Where the machine's own root is, for looking things up beforehand.
pub(crate) fn base_of(options: &HostOptions) -> &Path {
    options.base.as_deref().unwrap_or(Path::new("/"))
}
