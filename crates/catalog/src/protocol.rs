//! The frames between controller and agent.
//!
//! A frame is two little-endian `u32` lengths, a JSON header of the first length and raw bytes of the second
//! (file contents travel as raw bytes, everything else in the header). The controller speaks first; the
//! agent answers [`FromAgent::Hello`] and from then on tasks may be sent without waiting for results: the
//! agent takes them in order (except [`Beside`]), and after a failure refuses all that follow until [`ToAgent::Resume`].

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::Map;

/// Raised whenever a frame changes its meaning. Controller and agent must agree exactly: the agent is pushed
/// by digest, so they come from one build.
pub const VERSION: u32 = 5;

/// No header and no body is larger than this; a longer length is a broken stream, not a large message.
pub const MAX_FRAME: u32 = 1 << 30;

/// The text after which the stream is frames; whatever a login shell printed before it is skipped.
pub const MAGIC: &[u8; 16] = b"\x00THESEUS-AGENT\x01\n";

/// The epoch of calls that do not depend on the ones before them (delegated from another host's flow).
pub const NEVER_REFUSED: u32 = u32::MAX;

/// Which agent on the host: 0 is the one the connection started, others were opened for other users.
pub type AgentId = u32;
/// Number of a task call, unique within a connection.
pub type CallId = u64;

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ToAgent {
    /// First frame. `run` names the run in the host's own history.
    Hello { version: u32, run: RunInfo },
    /// Start another agent as another user, through the agent that reads this.
    Open { agent: AgentId, escalate: Escalate },
    /// Do this task, on that agent. `epoch`: see [`ToAgent::Resume`]; [`NEVER_REFUSED`]: whatever happened before.
    Call { id: CallId, agent: AgentId, epoch: u32, call: Box<Call> },
    /// The controller knows of the failure: calls of this epoch are done again.
    Resume { epoch: u32 },
    /// Content asked for by [`FromAgent::Need`]; the bytes are the frame's body. An empty `digest` is never sent.
    Blob { agent: AgentId, digest: String },
    /// The controller cannot give that content.
    NoBlob { agent: AgentId, digest: String, reason: String },
    /// Stop this call (a timeout or Ctrl-C): its processes are ended.
    Cancel { id: CallId },
    /// Are you there? Answered by [`FromAgent::Alive`] even while a task runs.
    Ping,
    /// Seal the layer and end; `undo`: and put everything back that this run changed. Answered by [`FromAgent::Sealed`].
    Bye { failed: bool, undo: bool },
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum FromAgent {
    Hello(Hello),
    Opened {
        agent: AgentId,
        hello: Hello,
    },
    /// Why another user's agent could not be started; `password`: the password was refused or is missing.
    OpenFailed {
        agent: AgentId,
        reason: String,
        password: bool,
        #[serde(default)]
        timed_out: bool,
    },
    /// Send this content.
    Need {
        agent: AgentId,
        digest: String,
    },
    /// The call has ended. `result` is what Ansible's module would have returned.
    Done {
        id: CallId,
        result: Map,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        paths: Vec<String>,
        micros: u64,
    },
    /// Not done, because a call before it failed.
    Refused {
        id: CallId,
    },
    Alive,
    /// What another user's agent did that cannot be watched, or that no undo takes back: for the record of the one that
    /// started it.
    Told {
        what: String,
        irreversible: bool,
    },
    /// Another run changes this host: it is waited for.
    Waits {
        holder: String,
    },
    /// The layer is sealed.
    Sealed(Sealed),
    /// The agent cannot go on (lock held, store broken); the stream ends after this.
    Fatal {
        reason: String,
    },
}

/// Who does this run, for the host's history, and what holds for the whole of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct RunInfo {
    pub run: String,
    pub person: String,
    pub command: String,
    pub project: String,
    /// RFC 3339, by the controller's clock.
    pub started: String,
    pub check: bool,
    /// Programs are run without being watched: their layer cannot be undone.
    #[serde(default)]
    pub unwatched: bool,
    /// Of another user's agent: the one that started it records what it changes.
    #[serde(default)]
    pub witnessed: bool,
    /// When the controller is lost in the middle, what was done is put back.
    #[serde(default)]
    pub undo_when_lost: bool,
    /// After a change to the ways in (network, ssh, firewall) the host goes back by itself unless the controller
    /// connects anew within so many seconds. 0: no guard.
    #[serde(default)]
    pub guard_seconds: u64,
    /// On the controller itself: where relative paths of tasks begin. Empty: in the home folder.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// Say before the first change which files of earlier runs somebody has changed since.
    #[serde(default)]
    pub tell_drift: bool,
    /// What somebody has changed since stays as it is now, whatever tasks do to it.
    #[serde(default)]
    pub keep_drifted: bool,
    /// How much of the host's history is kept after this run; nothing said: all.
    #[serde(default)]
    pub keep: Keep,
}

/// Bounds on a host's history: the oldest generations go when one of them is passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generations: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// How a run ended on a host.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Sealed {
    /// The host's generation now; `None`: never changed.
    pub generation: Option<u64>,
    /// Whether this run made it.
    pub made: bool,
    /// What was put back, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Undone>,
    /// The guard waits for the controller's confirmation by a new connection.
    #[serde(default)]
    pub guarded: bool,
}

/// What putting back came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Undone {
    /// The generation whose state the host has now.
    pub to: u64,
    #[serde(default)]
    pub paths: Vec<String>,
    /// Restarted, started, stopped: `restarted nginx.service`.
    #[serde(default)]
    pub services: Vec<String>,
    /// What no undo takes back.
    #[serde(default)]
    pub irreversible: Vec<String>,
    /// Why it could not be done, or not wholly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Hello {
    /// A run before this one never ended; what was done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovered: Vec<String>,
    pub version: u32,
    pub pid: u32,
    pub uid: u32,
    pub user: String,
    pub home: String,
    pub host: String,
    /// `uname -r`
    pub kernel: String,
    /// Where its own notes are.
    #[serde(default)]
    pub state_dir: String,
    /// It can watch what programs of other users do.
    #[serde(default)]
    pub watches: bool,
}

/// How to become another user on the host.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq, Hash)]
pub struct Escalate {
    /// `sudo`, `su`, `doas`.
    pub method: String,
    pub user: String,
    /// Travels inside the encrypted connection only; never an argument of a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Another program for the method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// Flags in place of the method's usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
    /// Where the method's program is started, and the other user's tasks are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chdir: Option<String>,
    /// Root's agent is asked on behalf of this user, who is to be seen as the one that asked `sudo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalfOf>,
    /// What `su` asks for a password with, where that is not one of the usual ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    pub timeout_seconds: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, Hash)]
pub struct OnBehalfOf {
    pub user: String,
    pub uid: u32,
    pub gid: u32,
}

/// One task for one host, all templates resolved.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Call {
    /// Short name of a native module: `file`.
    pub module: String,
    pub args: Map,
    #[serde(default)]
    pub check: bool,
    #[serde(default)]
    pub diff: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The result tells with which arguments the module was called.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub invocation: bool,
    /// Nobody reads more of the result than what the task did: no variable keeps it, nothing shows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brief: bool,
    /// Neither arguments nor result may be written readable anywhere on the host.
    #[serde(default)]
    pub no_log: bool,
    /// Something in it came out of a vault: what it writes is kept encrypted on the host.
    #[serde(default)]
    pub secret: bool,
    /// A failure of this call does not stop the ones after it.
    #[serde(default)]
    pub keep_going: bool,
    /// Items of one loop share a group: a failure stops the calls of other groups, never those of its own.
    /// 0: alone.
    #[serde(default)]
    pub group: u64,
    /// Other calls may be done at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    /// After so long the call's processes are ended and it fails. 0: no limit.
    #[serde(default)]
    pub timeout_seconds: u64,
    /// Run detached for at most so long; the result is read by `async_status`. 0: wait for it.
    #[serde(default)]
    pub async_seconds: u64,
    #[serde(default)]
    pub async_id: String,
    pub cause: Cause,
}

/// Calls of one step for different names of one machine may be done at the same time: on the controller, say, where many
/// hosts delegate to it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Beside {
    /// Nothing of another step is done meanwhile.
    pub step: u64,
    /// The calls of one name are done in order.
    pub lane: u32,
}

/// Why a change was made: kept in the layer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Cause {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub play: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    pub task: String,
    /// file:line of the task.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub item: String,
}

/// Write one frame.
pub fn write_frame<M: Serialize>(to: &mut impl Write, message: &M, body: &[u8]) -> io::Result<()> {
    to.write_all(&encode(message, body)?)?;
    to.flush()
}

/// One frame as bytes.
pub fn encode<M: Serialize>(message: &M, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 8];
    serde_json::to_writer(&mut frame, message)?;
    let header = u32::try_from(frame.len() - 8).map_err(|_| too_long())?;
    let length = u32::try_from(body.len()).map_err(|_| too_long())?;
    if header > MAX_FRAME || length > MAX_FRAME {
        return Err(too_long());
    }
    frame[..4].copy_from_slice(&header.to_le_bytes());
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Read one frame; `None` when the stream ended between frames.
pub fn read_frame<M: for<'de> Deserialize<'de>>(from: &mut impl Read) -> io::Result<Option<(M, Vec<u8>)>> {
    let mut lengths = [0; 8];
    let mut have = 0;
    while have < 8 {
        match from.read(&mut lengths[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let (header, body) = frame_lengths(lengths)?;
    let header = read_exactly(from, header)?;
    let body = read_exactly(from, body)?;
    Ok(Some((serde_json::from_slice(&header)?, body)))
}

/// The two lengths at a frame's start, checked. For readers that do their own waiting.
pub fn frame_lengths(lengths: [u8; 8]) -> io::Result<(usize, usize)> {
    let [a, b, c, d, e, f, g, h] = lengths;
    let header = u32::from_le_bytes([a, b, c, d]);
    let body = u32::from_le_bytes([e, f, g, h]);
    if header > MAX_FRAME || body > MAX_FRAME || header < 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not a stream of frames"));
    }
    Ok((header as usize, body as usize))
}

/// Grows as bytes come, so that a false length costs no memory.
fn read_exactly(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(1 << 20));
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a message of more than 1 GiB cannot be sent")
}
