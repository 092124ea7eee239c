//! The agent's end of the protocol: one thread reads frames (and answers at once what can be answered at once),
//! another does the tasks, in order (those of one step for several names of this machine at once). When the controller
//! is gone, so is the agent.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::protocol::{self, FromAgent, Hello, MAGIC, RunInfo, ToAgent, VERSION};
use layer::Recorder;

use crate::accounts::Accounts;
use crate::cache::Cache;

mod around;
mod blobs;
mod call;
mod desk;
mod executor;
mod masking;
mod overseen;
mod record;
mod relay;
mod shared;
mod worker;

pub(crate) use call::{Tools, expand_path, perform};
pub use desk::Desk;
use executor::Executor;
pub(crate) use executor::failure;
use shared::{Item, Shared};

/// When the controller is gone and the current task does not stop, the agent ends anyway after so long.
const LAST_GRACE: Duration = Duration::from_secs(30);

/// How an agent serves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the host's history is.
    pub state_dir: PathBuf,
    /// How long to wait for another run that changes this host.
    pub lock_wait: Duration,
    /// End the process when the controller is gone and the current task cannot be stopped.
    pub may_exit: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { state_dir: state_dir(), lock_wait: Duration::from_secs(60), may_exit: false }
    }
}

/// `/var/lib/theseus` for root, `~/.local/state/theseus` for others; those without a home that they can write to
/// (`nobody`, `www-data`) have theirs in /var/tmp.
pub fn state_dir() -> PathBuf {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return "/var/lib/theseus".into();
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let dir = state.unwrap_or_else(|| home().join(".local/state")).join("theseus");
    let there = dir.ancestors().find(|p| p.exists()).unwrap_or(&dir);
    if rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_ok() {
        return dir;
    }
    format!("/var/tmp/theseus-{}", uid.as_raw()).into()
}

pub(crate) fn home() -> PathBuf {
    match std::env::var_os("HOME").filter(|h| !h.is_empty()) {
        Some(home) => home.into(),
        None => Accounts::read()
            .user_by_uid(rustix::process::geteuid().as_raw())
            .map_or_else(|| "/".into(), |u| u.home.into()),
    }
}

/// Serve one controller until it says goodbye or is gone.
pub fn serve(
    mut input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    options: Options,
) -> io::Result<()> {
    let mut output: Box<dyn Write + Send> = Box::new(output);
    output.write_all(MAGIC)?;
    output.flush()?;
    let Some(run) = greet(&mut input, &mut output, &options.state_dir)? else { return Ok(()) };
    if !run.directory.is_empty() {
        // Another user may not be allowed in there: then it stays the home folder.
        _ = std::env::set_current_dir(&run.directory);
    }
    let shared = Arc::new(Shared::new(output, options.state_dir.clone()));
    let for_waiting = shared.clone();
    let recorder = Recorder::new(options.state_dir.clone(), layer_run(&run))
        .lock_wait(options.lock_wait)
        .when_waiting(move |holder| for_waiting.send(&FromAgent::Waits { holder: holder.to_owned() }))
        .nested(crate::nested::is_inside())
        .witnessed(run.witnessed);
    let for_reader = shared.clone();
    std::thread::Builder::new().name("reader".to_owned()).spawn(move || {
        read_all(&mut input, &for_reader);
        if options.may_exit {
            std::thread::sleep(LAST_GRACE);
            std::process::exit(1);
        }
    })?;
    let result = Executor::new(shared.clone(), recorder, Cache::default(), run).run();
    // The stream ends now, also where the reading thread still waits.
    shared.hang_up();
    result
}

pub(crate) fn layer_run(run: &RunInfo) -> layer::Run {
    layer::Run {
        run: run.run.clone(),
        person: run.person.clone(),
        command: run.command.clone(),
        project: run.project.clone(),
        started: run.started.clone(),
    }
}

/// Whether this run watches the programs that it starts.
pub(crate) fn watch_mode(run: &RunInfo) -> witness::Mode {
    if run.unwatched { witness::Mode::Off } else { witness::Mode::Watch }
}

/// The first frame and its answer. `None`: there is no controller that we could serve.
fn greet(input: &mut impl Read, output: &mut impl Write, state_dir: &Path) -> io::Result<Option<RunInfo>> {
    let fatal = |reason: String| FromAgent::Fatal { reason };
    let Some((message, _)) = protocol::read_frame::<ToAgent>(input)? else { return Ok(None) };
    let ToAgent::Hello { version, run } = message else {
        protocol::write_frame(output, &fatal("the first message was no greeting".to_owned()), &[])?;
        return Ok(None);
    };
    if version != VERSION {
        let reason = format!(
            "the controller speaks version {version} of the protocol and this agent version {VERSION}"
        );
        protocol::write_frame(output, &fatal(reason), &[])?;
        return Ok(None);
    }
    // Whoever comes in can come in: the guard has nothing to do any more.
    crate::host::guard::disarm(state_dir);
    let recovered = crate::host::undo::recover_if_free(state_dir);
    let state_dir = state_dir.to_string_lossy().into_owned();
    let watches = rustix::process::geteuid().is_root() && witness::ready(watch_mode(&run)).is_ok();
    let hello = Hello { recovered, state_dir, watches, ..hello() };
    protocol::write_frame(output, &FromAgent::Hello(hello), &[])?;
    Ok(Some(run))
}

/// Who we are.
pub(crate) fn hello() -> Hello {
    let uid = rustix::process::geteuid().as_raw();
    let names = rustix::system::uname();
    Hello {
        recovered: Vec::new(),
        state_dir: String::new(),
        watches: false,
        version: VERSION,
        pid: std::process::id(),
        uid,
        user: crate::accounts::own_name(),
        home: home().to_string_lossy().into_owned(),
        host: names.nodename().to_string_lossy().into_owned(),
        kernel: names.release().to_string_lossy().into_owned(),
    }
}

/// Read frames until the stream ends.
fn read_all(input: &mut impl Read, shared: &Shared) {
    loop {
        match protocol::read_frame::<ToAgent>(input) {
            Ok(Some((message, body))) => {
                shared.heard();
                take(message, body, shared);
            }
            Ok(None) => return shared.close(None),
            Err(error) => {
                return shared.close(Some(format!("what came from the controller cannot be read: {error}")));
            }
        }
    }
}

fn take(message: ToAgent, body: Vec<u8>, shared: &Shared) {
    match message {
        ToAgent::Ping => shared.send(&FromAgent::Alive),
        ToAgent::Cancel { id } => shared.cancel(id),
        ToAgent::Blob { agent: 0, digest } => shared.blobs.arrived(&digest, Ok(body.into())),
        ToAgent::NoBlob { agent: 0, digest, reason } => shared.blobs.arrived(&digest, Err(reason)),
        ToAgent::Blob { agent, digest } => shared.to_child(agent, &ToAgent::Blob { agent: 0, digest }, &body),
        ToAgent::NoBlob { agent, digest, reason } => {
            shared.to_child(agent, &ToAgent::NoBlob { agent: 0, digest, reason }, &[]);
        }
        ToAgent::Call { id, agent, epoch, call } => {
            if agent == 0 {
                shared.look_ahead(&call);
            }
            shared.push(Item::Call { id, agent, epoch, call });
        }
        ToAgent::Open { agent, escalate } => {
            shared.push(Item::Open { agent, escalate, through_root: true });
        }
        ToAgent::Resume { epoch } => shared.push(Item::Resume { epoch }),
        ToAgent::Bye { failed, undo } => shared.push(Item::Bye { failed, undo }),
        ToAgent::Hello { .. } => shared.close(Some("the controller greeted twice".to_owned())),
    }
}
