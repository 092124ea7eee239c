//! A root put together from layers in which a command runs with nothing around it: no services, its own processes,
//! mounts and name. Everything ends with the command, also when its parent is killed: what is left is the upper layer.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::UnshareFlags;

use crate::{capabilities, mounts, network, root, sys};

/// What the command finds.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Names of the layers below the changes, topmost first: symlinks in `layers`, so that many fit into what the
    /// kernel takes.
    pub lowers: Vec<String>,
    /// A directory with `layers`, `upper` for the changes, `work` for the overlay and the empty `root`, on which all
    /// is mounted; only the sandbox sees that.
    pub dir: PathBuf,
    /// Files and directories of the machine to be seen inside, at a path that is there (or below /dev).
    pub binds: Vec<(PathBuf, PathBuf)>,
    pub hostname: String,
    /// Whether it uses the machine's network; else it has only a loopback.
    pub network: bool,
}

impl Sandbox {
    /// Whether this process may make one.
    #[must_use]
    pub fn possible() -> bool {
        capabilities::privileged()
    }

    /// A command of the sandbox. Its pipes and exit status are the program's; the calling *thread* must live as long
    /// as it. `current_dir` has no effect.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", "/root").env("LANG", "C.UTF-8").env("USER", "root").env("LOGNAME", "root");
        let plan = self.clone();
        let parent = rustix::process::getpid();
        sys::before_exec(&mut command, move || plan.enter(parent));
        command
    }

    fn enter(&self, parent: Pid) -> io::Result<()> {
        tie(Some(parent))?;
        let mut apart =
            UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC | UnshareFlags::NEWPID;
        if !self.network {
            network::only_loopback()?;
        }
        apart |= UnshareFlags::NEWCGROUP;
        sys::unshare(apart)?;
        sys::block_signals();
        if let sys::Forked::Parent(first) = sys::fork()? {
            reap_until(first)
        }
        tie(None)?;
        self.build()?;
        // What is in the root tells which services it has, not this process.
        rustix::thread::set_name(c"init")?;
        // Process 1 only adopts and reaps; the program is its child.
        if let sys::Forked::Parent(program) = sys::fork()? {
            reap_until(program)
        }
        sys::unblock_signals();
        if rustix::process::chdir("/root").is_err() {
            rustix::process::chdir("/")?;
        }
        capabilities::restrict()
    }

    fn build(&self) -> io::Result<()> {
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        let place = &self.dir.join("root");
        rustix::process::chdir(self.dir.join("layers"))?;
        self.overlay(place)?;
        mounts::mount_few(place)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mut seen = Vec::new();
        for (from, to) in &self.binds {
            seen.push((rustix::mount::open_tree(CWD, from, flags)?, from.is_dir(), to));
        }
        rustix::system::sethostname(self.hostname.as_bytes())?;
        root::enter(place)?;
        // Only now: a link in this root leads to where it leads inside.
        for (tree, is_dir, to) in seen {
            bind(&tree, is_dir, to)?;
        }
        Ok(())
    }

    /// Without `volatile` the kernel brings everything that the whole machine has not yet written to the disk when a
    /// sandbox ends, and whenever a program in it asks for its files: whoever keeps the changes does so once.
    fn overlay(&self, place: &Path) -> io::Result<()> {
        let data = format!(
            "lowerdir={},upperdir=../upper,workdir=../work,index=off,redirect_dir=off,metacopy=off,xino=auto",
            self.lowers.join(":")
        );
        let mount = |data: &str| -> io::Result<()> {
            let data = std::ffi::CString::new(data)?;
            Ok(rustix::mount::mount("theseus-bake", place, "overlay", MountFlags::empty(), data.as_c_str())?)
        };
        match mount(&format!("{data},volatile")) {
            // Before Linux 5.10.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                mount(&data)
            }
            done => done,
        }
    }
}

/// Puts something of the machine where the sandbox sees it.
fn bind(tree: &OwnedFd, is_dir: bool, to: &Path) -> io::Result<()> {
    let to = if fs::symlink_metadata(to).is_ok_and(|found| found.is_symlink()) {
        to.parent().unwrap_or(Path::new("/")).join(fs::read_link(to)?)
    } else {
        to.to_owned()
    };
    if !to.exists() {
        fs::create_dir_all(if is_dir { &to } else { to.parent().unwrap_or(Path::new("/")) })?;
        if !is_dir {
            File::create(&to)?;
        }
    }
    Ok(rustix::mount::move_mount(tree, "", CWD, &to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Ends with whoever made us; `parent`: who that must still be.
fn tie(parent: Option<Pid>) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    match parent {
        Some(parent) if rustix::process::getppid() != Some(parent) => {
            Err(io::Error::other("the program that started this has ended"))
        }
        _ => Ok(()),
    }
}

/// Reaps whatever ends until this child does, and ends as it did.
fn reap_until(child: Pid) -> ! {
    sys::close_except(&[]);
    sys::default_child_signal();
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => sys::exit_now(
                status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0)),
            ),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => sys::exit_now(1),
        }
    }
}
