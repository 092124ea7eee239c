//! A connection's traffic after the greeting: calls go out without waiting, answers are matched by number,
//! contents are handed over when asked for, silence is noticed.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use catalog::Map;
use catalog::protocol::{self, AgentId, CallId, FromAgent, Hello, Sealed, ToAgent};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::LinkError;
use crate::frames::Frames;
use crate::wire::Sink;

/// A content is sent in pieces of this size; each piece that gets through is a sign of life.
const PIECE: usize = 64 * 1024;

/// Contents the host may ask for while a call runs.
pub trait Blobs: Send + Sync {
    fn get(&self, digest: &str) -> Option<Arc<[u8]>>;
}

/// For calls without contents.
pub struct NoBlobs;

impl Blobs for NoBlobs {
    fn get(&self, _: &str) -> Option<Arc<[u8]>> {
        None
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEnd {
    Done {
        result: Map,
        paths: Vec<String>,
        micros: u64,
    },
    /// Not done, because a call before it failed.
    Refused,
}

/// A call on its way; await it for its end.
pub struct CallHandle {
    pub id: CallId,
    answer: oneshot::Receiver<Result<CallEnd, LinkError>>,
}

impl Future for CallHandle {
    type Output = Result<CallEnd, LinkError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.unwrap_or_else(|_| Err(dropped())))
    }
}

fn dropped() -> LinkError {
    LinkError::lost("the connection was closed")
}

pub(crate) enum Out {
    Frame(Vec<u8>),
    /// A frame without its body, and the body.
    Blob(Vec<u8>, Arc<[u8]>),
}

type Reply<T> = oneshot::Sender<Result<T, LinkError>>;

struct Pending {
    agent: AgentId,
    reply: Reply<CallEnd>,
    blobs: Arc<dyn Blobs>,
    /// How many answers had to come one after another before this could be sent.
    depth: u64,
}

#[derive(Default)]
struct State {
    calls: BTreeMap<CallId, Pending>,
    opening: HashMap<AgentId, Reply<Hello>>,
    hello: Option<Reply<Hello>>,
    sealed: Option<Reply<Sealed>>,
    /// Why the connection is over.
    over: Option<LinkError>,
    closing: bool,
    depth: u64,
}

type Say = Box<dyn Fn(&str) + Send + Sync>;

/// What the handle and the two tasks share.
pub(crate) struct Shared {
    state: Mutex<State>,
    out: mpsc::UnboundedSender<Out>,
    next_call: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    alive: Mutex<Instant>,
    close: Notify,
    /// Where it is said which other run the host waits for.
    say: OnceLock<Say>,
}

/// When to worry.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) keep_alive: Duration,
    pub(crate) silence: Duration,
}

impl Shared {
    /// Start the two tasks. The agent's hello is answered on the returned channel.
    pub(crate) fn start(
        frames: Frames,
        sink: Sink,
        patience: Patience,
        depth: u64,
    ) -> (Arc<Self>, oneshot::Receiver<Result<Hello, LinkError>>) {
        let (out, queue) = mpsc::unbounded_channel();
        let (hello, greeted) = oneshot::channel();
        let shared = Arc::new(Self {
            state: Mutex::new(State { hello: Some(hello), depth, ..State::default() }),
            out,
            next_call: AtomicU64::new(1),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            alive: Mutex::new(Instant::now()),
            close: Notify::new(),
            say: OnceLock::new(),
        });
        let writer = tokio::spawn(write(sink, queue, Arc::clone(&shared)));
        tokio::spawn(read(frames, Arc::clone(&shared), patience, writer));
        (shared, greeted)
    }

    pub(crate) fn send(&self, message: &ToAgent) -> Result<(), LinkError> {
        let frame = protocol::encode(message, &[])
            .map_err(|e| LinkError::Protocol { reason: format!("a message could not be written: {e}") })?;
        // The queue ends only with the connection, and then `over` says why.
        self.out.send(Out::Frame(frame)).map_err(|_| self.over())
    }

    pub(crate) fn over(&self) -> LinkError {
        self.state.lock().over.clone().unwrap_or_else(dropped)
    }

    pub(crate) fn call(
        &self,
        agent: AgentId,
        epoch: u32,
        call: protocol::Call,
        blobs: Arc<dyn Blobs>,
    ) -> CallHandle {
        let id = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.state.lock();
            if let Some(over) = &state.over {
                let _ = reply.send(Err(over.clone()));
                return CallHandle { id, answer };
            }
            let depth = state.depth + 1;
            state.calls.insert(id, Pending { agent, reply, blobs, depth });
            // Sent under the lock, so that numbers go out in their order.
            if let Err(error) = self.encode_call(id, agent, epoch, call)
                && let Some(pending) = state.calls.remove(&id)
            {
                let _ = pending.reply.send(Err(error));
            }
        }
        CallHandle { id, answer }
    }

    fn encode_call(
        &self,
        id: CallId,
        agent: AgentId,
        epoch: u32,
        call: protocol::Call,
    ) -> Result<(), LinkError> {
        let frame = protocol::encode(&ToAgent::Call { id, agent, epoch, call: Box::new(call) }, &[])
            .map_err(|e| LinkError::Protocol { reason: format!("a task could not be written: {e}") })?;
        let _ = self.out.send(Out::Frame(frame));
        Ok(())
    }

    /// Wait for another user's agent.
    pub(crate) fn expect_open(&self, agent: AgentId) -> oneshot::Receiver<Result<Hello, LinkError>> {
        let (reply, answer) = oneshot::channel();
        let mut state = self.state.lock();
        match &state.over {
            Some(over) => drop(reply.send(Err(over.clone()))),
            None => drop(state.opening.insert(agent, reply)),
        }
        answer
    }

    pub(crate) fn forget_open(&self, agent: AgentId) {
        self.state.lock().opening.remove(&agent);
    }

    pub(crate) fn expect_sealed(&self) -> oneshot::Receiver<Result<Sealed, LinkError>> {
        let (reply, answer) = oneshot::channel();
        let mut state = self.state.lock();
        match &state.over {
            Some(over) => drop(reply.send(Err(over.clone()))),
            None => state.sealed = Some(reply),
        }
        answer
    }

    pub(crate) fn depth(&self) -> u64 {
        self.state.lock().depth
    }

    /// End the connection; what still waits is told so.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.close.notify_one();
    }

    fn fail(&self, error: &LinkError) {
        let mut state = self.state.lock();
        let error = state.over.get_or_insert_with(|| error.clone()).clone();
        let ended =
            State { over: Some(error.clone()), depth: state.depth, closing: true, ..State::default() };
        let state = std::mem::replace(&mut *state, ended);
        for pending in state.calls.into_values() {
            let _ = pending.reply.send(Err(error.clone()));
        }
        for reply in state.opening.into_values().chain(state.hello) {
            let _ = reply.send(Err(error.clone()));
        }
        if let Some(reply) = state.sealed {
            let _ = reply.send(Err(error));
        }
    }

    /// What is to be said about this host goes there from now on.
    pub(crate) fn say_by(&self, say: impl Fn(&str) + Send + Sync + 'static) {
        _ = self.say.set(Box::new(say));
    }

    fn heard(&self) {
        *self.alive.lock() = Instant::now();
    }

    /// What the agent says. An error ends the connection.
    fn take(&self, message: FromAgent) -> Result<(), LinkError> {
        let mut state = self.state.lock();
        match message {
            FromAgent::Hello(hello) => {
                state.depth += 1;
                answer(state.hello.take(), Ok(hello));
            }
            FromAgent::Opened { agent, hello } => {
                state.depth += 1;
                answer(state.opening.remove(&agent), Ok(hello));
            }
            FromAgent::OpenFailed { agent, reason, password, timed_out } => {
                state.depth += 1;
                let error = if timed_out {
                    LinkError::Unreachable { reason, hint: None }
                } else {
                    LinkError::Escalate { reason, password }
                };
                answer(state.opening.remove(&agent), Err(error));
            }
            FromAgent::Need { agent, digest } => self.give(&mut state, agent, digest),
            FromAgent::Done { id, result, paths, micros } => {
                end_call(&mut state, id, CallEnd::Done { result, paths, micros });
            }
            FromAgent::Refused { id } => end_call(&mut state, id, CallEnd::Refused),
            // What is told is for an agent that has another one under watch.
            FromAgent::Alive | FromAgent::Told { .. } => {}
            FromAgent::Sealed(sealed) => {
                state.depth += 1;
                state.closing = true;
                answer(state.sealed.take(), Ok(sealed));
            }
            FromAgent::Waits { holder } => {
                if let Some(say) = self.say.get() {
                    say(&format!("waits for another run that changes it: {holder}"));
                }
            }
            FromAgent::Fatal { reason } => return Err(LinkError::Agent { reason }),
        }
        Ok(())
    }

    /// Send the content, from the oldest call of that agent that has it.
    fn give(&self, state: &mut State, agent: AgentId, digest: String) {
        let mut calls = state.calls.values_mut().filter(|call| call.agent == agent);
        let found = calls.find_map(|call| {
            let bytes = call.blobs.get(&digest)?;
            call.depth += 1;
            Some(bytes)
        });
        let out = match found {
            Some(bytes) => blob_frame(agent, digest, bytes),
            None => {
                let reason = "the controller has no such content".to_owned();
                protocol::encode(&ToAgent::NoBlob { agent, digest, reason }, &[]).map(Out::Frame)
            }
        };
        if let Ok(out) = out {
            let _ = self.out.send(out);
        }
    }

    /// Time for a look: true if the host has been silent for too long.
    fn silent(&self, patience: Patience) -> bool {
        let quiet = self.alive.lock().elapsed();
        if quiet > patience.silence {
            return true;
        }
        if quiet >= patience.keep_alive {
            let _ = self.send(&ToAgent::Ping);
        }
        false
    }
}

fn answer<T>(reply: Option<Reply<T>>, with: Result<T, LinkError>) {
    if let Some(reply) = reply {
        let _ = reply.send(with);
    }
}

fn end_call(state: &mut State, id: CallId, end: CallEnd) {
    // A call that nobody knows was cancelled and forgotten.
    if let Some(pending) = state.calls.remove(&id) {
        state.depth = state.depth.max(pending.depth);
        let _ = pending.reply.send(Ok(end));
    }
}

/// A frame whose body is sent from where it lies.
fn blob_frame(agent: AgentId, digest: String, bytes: Arc<[u8]>) -> std::io::Result<Out> {
    let length = u32::try_from(bytes.len()).ok().filter(|n| *n <= protocol::MAX_FRAME);
    let Some(length) = length else {
        let reason = "contents of more than 1 GiB cannot be sent".to_owned();
        return protocol::encode(&ToAgent::NoBlob { agent, digest, reason }, &[]).map(Out::Frame);
    };
    let mut head = protocol::encode(&ToAgent::Blob { agent, digest }, &[])?;
    head[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(Out::Blob(head, bytes))
}

async fn write(mut sink: Sink, mut queue: mpsc::UnboundedReceiver<Out>, shared: Arc<Shared>) {
    while let Some(out) = queue.recv().await {
        // What waits goes together: forty calls are one packet, not forty.
        let mut batch = Vec::new();
        let mut next = Some(out);
        while let Some(out) = next.take() {
            match out {
                Out::Frame(frame) => batch.extend_from_slice(&frame),
                Out::Blob(head, body) => {
                    batch.extend_from_slice(&head);
                    if !send_blob(&mut sink, std::mem::take(&mut batch), &body, &shared).await {
                        return;
                    }
                }
            }
            if batch.len() < PIECE {
                next = queue.try_recv().ok();
            }
        }
        if !batch.is_empty() && !send(&mut sink, batch, &shared).await {
            return;
        }
    }
}

async fn send(sink: &mut Sink, bytes: Vec<u8>, shared: &Shared) -> bool {
    shared.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    // When writing fails reading ends too, and knows better why.
    sink.send(bytes).await.is_ok()
}

async fn send_blob(sink: &mut Sink, head: Vec<u8>, body: &[u8], shared: &Shared) -> bool {
    if !send(sink, head, shared).await {
        return false;
    }
    for piece in body.chunks(PIECE) {
        if !send(sink, piece.to_vec(), shared).await {
            return false;
        }
        shared.heard();
    }
    true
}

async fn read(
    mut frames: Frames,
    shared: Arc<Shared>,
    patience: Patience,
    writer: tokio::task::JoinHandle<()>,
) {
    let error = conversation(&mut frames, &shared, patience).await;
    shared.fail(&error);
    writer.abort();
    // Without its input the agent ends by itself; it is given a moment before the connection is cut.
    let _ = writer.await;
    frames.source.hang_up().await;
    let rest = async { while matches!(frames.more().await, Ok(true)) {} };
    let _ = tokio::time::timeout(Duration::from_secs(2), rest).await;
}

/// Until the connection ends; why it did.
async fn conversation(frames: &mut Frames, shared: &Shared, patience: Patience) -> LinkError {
    let mut tick = tokio::time::interval((patience.keep_alive / 2).max(Duration::from_millis(20)));
    loop {
        loop {
            match frames.take() {
                Ok(Some((message, size))) => {
                    shared.received.fetch_add(size as u64, Ordering::Relaxed);
                    if let Err(error) = shared.take(message) {
                        return error;
                    }
                }
                Ok(None) => break,
                Err(e) => {
                    return LinkError::Protocol { reason: format!("the agent sent a broken frame: {e}") };
                }
            }
        }
        tokio::select! {
            more = frames.more() => match more {
                Ok(true) => shared.heard(),
                Ok(false) => return ended(frames).await,
                Err(e) => return LinkError::lost(format!("the connection broke: {e}")),
            },
            _ = tick.tick() => if shared.silent(patience) {
                let after = patience.silence.as_secs_f64();
                return LinkError::lost(format!("the host has not answered for {after:.0} s"));
            },
            () = shared.close.notified() => return dropped(),
        }
    }
}

async fn ended(frames: &mut Frames) -> LinkError {
    frames.source.farewell(&frames.said).await;
    let when = if frames.partial() { "in the middle of a message" } else { "by the host" };
    LinkError::lost(format!("the connection was closed {when}{}", frames.said.epilogue()))
}
