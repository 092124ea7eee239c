//! The agent in a sandbox: started on the layers so far, ended before its changes become the next one.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::protocol::{self, FromAgent, MAGIC, RunInfo, ToAgent, VERSION};
use lab::Sandbox;
use parking_lot::Mutex;

use crate::error::{Doing, Error, Result};
use crate::plan::Plan;
use crate::store::Store;

/// Where the agent's own things are, inside; nothing below /dev is kept.
const AGENT: &str = "/dev/theseus/agent";
const PROGRAM: &str = "/dev/theseus/program";
const STATE: &str = "/dev/theseus/state";

pub(crate) struct Room {
    child: Child,
    input: ChildStdin,
    dir: PathBuf,
    said: Arc<Mutex<String>>,
}

/// What it is started with.
pub(crate) struct Ground<'a> {
    pub(crate) store: &'a Store,
    pub(crate) plan: &'a Plan,
    pub(crate) rootfs: &'a Path,
    pub(crate) epoch: i64,
    /// The newest last.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) number: usize,
}

impl Room {
    /// Starts it and greets the agent; what it says from then on comes from the second value.
    pub(crate) fn open(ground: &Ground<'_>, run: &RunInfo) -> Result<(Self, BufReader<ChildStdout>)> {
        let dir = ground.store.path("work").join(format!("room.{}.{}", std::process::id(), ground.number));
        let sandbox = prepare(ground, &dir)?;
        let mut command = sandbox.command(AGENT);
        command.args(["serve", "--state-dir", STATE]);
        command.env("THESEUS_BAKE", "1").env("SYSTEMD_OFFLINE", "1").env("DEBIAN_FRONTEND", "noninteractive");
        command.env("SOURCE_DATE_EPOCH", ground.epoch.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().doing("the sandbox could not be started")?;
        let (Some(input), Some(output), Some(mut error)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::wrong("the sandbox has no pipes"));
        };
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = error.read(&mut buffer) {
                let mut text = heard.lock();
                if text.len() < 64 * 1024 {
                    text.push_str(&String::from_utf8_lossy(&buffer[..length]));
                }
            }
        });
        let mut room = Self { child, input, dir, said };
        let mut output = BufReader::new(output);
        match room.greet(&mut output, run) {
            Ok(()) => Ok((room, output)),
            Err(error) => {
                let said = room.said.lock().trim().to_owned();
                room.end();
                Err(Error::wrong(format!(
                    "the agent did not start in the sandbox: {error}{}{said}",
                    if said.is_empty() { "" } else { ": " }
                )))
            }
        }
    }

    fn greet(&mut self, output: &mut impl Read, run: &RunInfo) -> io::Result<()> {
        let mut magic = [0; MAGIC.len()];
        output.read_exact(&mut magic)?;
        let run = RunInfo { unwatched: true, undo_when_lost: false, guard_seconds: 0, ..run.clone() };
        self.send(&ToAgent::Hello { version: VERSION, run }, &[])?;
        match protocol::read_frame::<FromAgent>(output)? {
            Some((FromAgent::Hello(_), _)) => Ok(()),
            Some((FromAgent::Fatal { reason }, _)) => Err(io::Error::other(reason)),
            _ => Err(io::Error::other("it did not greet")),
        }
    }

    pub(crate) fn send(&mut self, message: &ToAgent, body: &[u8]) -> io::Result<()> {
        protocol::write_frame(&mut self.input, message, body)
    }

    /// What it printed on its standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().trim().to_owned()
    }

    /// Whether anything was written.
    pub(crate) fn is_changed(&self) -> bool {
        fs::read_dir(self.dir.join("upper")).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Ends everything in it. Afterwards nobody writes into its changes.
    pub(crate) fn end(mut self) -> PathBuf {
        // Process 1 of the sandbox: with it go all the others, and the process that we started only then.
        let pid = self.child.id();
        let first = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for first in first
            .split_whitespace()
            .filter_map(|first| first.parse().ok())
            .filter_map(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(first, rustix::process::Signal::KILL);
        }
        let began = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if began.elapsed() > Duration::from_secs(20) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.dir.clone()
    }
}

/// Directories, names for the layers, and what is seen of the machine.
fn prepare(ground: &Ground<'_>, dir: &Path) -> Result<Sandbox> {
    let (store, plan) = (ground.store, ground.plan);
    let _ = fs::remove_dir_all(dir);
    for name in ["upper", "work", "root", "layers"] {
        fs::create_dir_all(dir.join(name)).at(dir)?;
    }
    let (upper, links) = (dir.join("upper"), dir.join("layers"));
    let like = fs::metadata(ground.rootfs).at(ground.rootfs)?;
    lchown(&upper, Some(like.uid()), Some(like.gid())).at(&upper)?;
    fs::set_permissions(&upper, fs::Permissions::from_mode(like.mode() & 0o7777)).at(&upper)?;
    let mut lowers = Vec::new();
    let scaffold = store.scaffold_dir();
    let below = [ground.rootfs, scaffold.as_path()];
    for (number, layer) in ground.layers.iter().rev().map(PathBuf::as_path).chain(below).enumerate() {
        let name = number.to_string();
        symlink(layer, links.join(&name)).at(&links)?;
        lowers.push(name);
    }
    let packages = store.path("apt");
    fs::create_dir_all(packages.join("partial")).at(&packages)?;
    fs::set_permissions(&packages, fs::Permissions::from_mode(0o755)).at(&packages)?;
    let mut binds = vec![(plan.agent.clone(), AGENT.into())];
    if ground.rootfs.join("etc/apt").is_dir() {
        binds.push((packages, "/var/cache/apt/archives".into()));
    }
    if plan.network && Path::new("/etc/resolv.conf").exists() {
        binds.push(("/etc/resolv.conf".into(), "/etc/resolv.conf".into()));
    }
    Ok(Sandbox { lowers, dir: dir.to_owned(), binds, hostname: plan.name.clone(), network: plan.network })
}

/// A sandbox of one root and this program in it; `dir` gets what it changes.
pub(crate) fn alone(store: &Store, rootfs: &Path, dir: &Path) -> Result<Sandbox> {
    for name in ["upper", "work", "root", "layers"] {
        fs::create_dir_all(dir.join(name)).at(dir)?;
    }
    let links = dir.join("layers");
    for (name, layer) in [("0", rootfs), ("1", store.scaffold_dir().as_path())] {
        symlink(layer, links.join(name)).at(&links)?;
    }
    let program = std::env::current_exe().doing("this program cannot find itself")?;
    Ok(Sandbox {
        lowers: vec!["0".to_owned(), "1".to_owned()],
        dir: dir.to_owned(),
        binds: vec![(program, PROGRAM.into())],
        hostname: "localhost".to_owned(),
        network: false,
    })
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.input.flush();
        let _ = self.child.kill();
    }
}
