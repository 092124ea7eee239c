//! What the reading and the working thread share.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use catalog::protocol::{self, AgentId, Beside, Call, CallId, Escalate, FromAgent, Sealed, ToAgent};
use layer::Doer;

use super::blobs::BlobRoom;
use crate::host::guard::Guard;

/// Work, in the order in which it came.
pub(super) enum Item {
    Call {
        id: CallId,
        agent: AgentId,
        epoch: u32,
        call: Box<Call>,
    },
    /// `through_root`: by root's agent, where we are not root and have it.
    Open {
        agent: AgentId,
        escalate: Escalate,
        through_root: bool,
    },
    Resume {
        epoch: u32,
    },
    Bye {
        failed: bool,
        undo: bool,
    },
}

pub(super) struct Shared {
    pub(super) blobs: BlobRoom,
    /// All is to stop.
    pub(super) cancelled: AtomicBool,
    queue: Mutex<Queue>,
    changed: Condvar,
    output: Mutex<Box<dyn Write + Send>>,
    /// What puts the host back if nobody is heard any more.
    guard: Mutex<Option<Guard>>,
    /// Other users' agents: where their frames go.
    children: Mutex<HashMap<AgentId, Box<dyn Write + Send>>>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// The calls that are being done by ourselves.
    running: Vec<Running>,
    cancelled: HashSet<CallId>,
    closed: bool,
    /// This run may not change the host.
    blocked: bool,
    /// Calls that other users' agents are doing.
    outstanding: HashMap<CallId, Outstanding>,
    /// By epoch, the group of the call that stopped those after it.
    stopped: HashMap<u32, u64>,
    /// Agents that ended, and why.
    dead: HashMap<AgentId, String>,
    /// Agents that root's agent has: which one that is.
    through: HashMap<AgentId, AgentId>,
    /// Agents that root's agent was asked for.
    asked: HashMap<AgentId, (AgentId, Escalate)>,
    sealed: HashMap<AgentId, Sealed>,
}

/// So many calls of our own are done at the same time at most.
const MOST: usize = 60;

struct Running {
    id: CallId,
    beside: Option<Beside>,
    doer: Doer,
    cancelled: Arc<AtomicBool>,
}

impl Running {
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// A call of our own that is being done, until this is dropped.
pub(super) struct Begun {
    shared: Arc<Shared>,
    pub(super) id: CallId,
    /// Who does it, among those that are done at the same time.
    pub(super) doer: Doer,
    pub(super) cancelled: Arc<AtomicBool>,
    /// It was cancelled before it began.
    pub(super) too_late: bool,
}

impl Drop for Begun {
    fn drop(&mut self) {
        lock(&self.shared.queue).running.retain(|running| running.id != self.id);
        self.shared.changed.notify_all();
    }
}

#[derive(Clone, Copy)]
pub(super) struct Outstanding {
    pub(super) agent: AgentId,
    pub(super) stop: Option<Stopped>,
}

/// A failed call: the calls of its epoch are refused, unless they are of its own group.
#[derive(Clone, Copy)]
pub(super) struct Stopped {
    pub(super) epoch: u32,
    pub(super) group: u64,
}

impl Queue {
    /// To whom the frames for this agent go.
    fn way(&self, agent: AgentId) -> AgentId {
        self.through.get(&agent).copied().unwrap_or(agent)
    }

    /// Where the next piece of work is: the first, if nothing is being done; otherwise one of the same step for another
    /// name, as long as everything before it is of that step, too.
    fn next(&self) -> Option<usize> {
        let Some(first) = self.running.first() else { return (!self.items.is_empty()).then_some(0) };
        let step = first.beside?.step;
        let mut lanes: HashSet<u32> =
            self.running.iter().filter_map(|r| r.beside).map(|beside| beside.lane).collect();
        let may = |item: &Item| match item {
            Item::Call { agent: 0, call, .. } => call.beside.filter(|beside| beside.step == step),
            _ => None,
        };
        let same_step = self.items.iter().map_while(may);
        let free = same_step.enumerate().find(|(_, beside)| lanes.insert(beside.lane));
        free.map(|(at, _)| at).filter(|_| self.running.len() < MOST)
    }

    /// A number that nobody has who does something now; 0 for one that is alone.
    fn free_doer(&self, beside: Option<Beside>) -> Doer {
        let is_free = |doer: &Doer| self.running.iter().all(|running| running.doer != *doer);
        beside.and_then(|_| (1..).find(is_free)).unwrap_or(0)
    }
}

/// A thread that panicked while it held a lock left the data whole: every change is one assignment or insertion.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(output: Box<dyn Write + Send>, state_dir: PathBuf) -> Self {
        Self {
            blobs: BlobRoom::new(state_dir),
            cancelled: AtomicBool::new(false),
            queue: Mutex::default(),
            changed: Condvar::new(),
            output: Mutex::new(output),
            guard: Mutex::default(),
            children: Mutex::default(),
        }
    }

    pub(super) fn guard_with(&self, guard: Guard) {
        *lock(&self.guard) = Some(guard);
    }

    pub(super) fn is_guarded(&self) -> bool {
        lock(&self.guard).is_some()
    }

    /// The controller is there.
    pub(super) fn heard(&self) {
        if let Some(guard) = lock(&self.guard).as_mut() {
            guard.heard();
        }
    }

    /// The run is over: from now on its full time counts, and only a new connection ends it. False: there is none.
    pub(super) fn extend_guard(&self) -> bool {
        lock(&self.guard).take().is_some_and(|mut guard| {
            guard.extend();
            true
        })
    }

    /// A controller that does not listen any more is noticed by the reading thread.
    pub(super) fn send(&self, message: &FromAgent) {
        self.send_with(message, &[]);
    }

    pub(super) fn send_with(&self, message: &FromAgent, body: &[u8]) {
        if let Ok(frame) = protocol::encode(message, body) {
            let mut output = lock(&self.output);
            _ = output.write_all(&frame).and_then(|()| output.flush());
        }
    }

    /// Nothing more is said.
    pub(super) fn hang_up(&self) {
        *lock(&self.output) = Box::new(std::io::sink());
    }

    pub(super) fn push(&self, item: Item) {
        lock(&self.queue).items.push_back(item);
        self.changed.notify_all();
    }

    /// The next piece of work; `None` when the controller is gone.
    pub(super) fn next(&self) -> Option<Item> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed || queue.blocked {
                return None;
            }
            if let Some(at) = queue.next() {
                return queue.items.remove(at);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The stream has ended: stop what is going on.
    pub(super) fn close(&self, reason: Option<String>) {
        if let Some(reason) = reason {
            self.send(&FromAgent::Fatal { reason });
        }
        lock(&self.queue).closed = true;
        self.cancel_all();
        self.blobs.close();
        lock(&self.children).clear();
        self.changed.notify_all();
    }

    /// Nothing more is begun: another run changes this host.
    pub(super) fn block(&self) {
        lock(&self.queue).blocked = true;
        self.changed.notify_all();
    }

    pub(super) fn is_blocked(&self) -> bool {
        lock(&self.queue).blocked
    }

    pub(super) fn cancel_all(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        lock(&self.queue).running.iter().for_each(Running::cancel);
    }

    /// Begin a call of our own.
    pub(super) fn begin(self: &Arc<Self>, id: CallId, beside: Option<Beside>) -> Begun {
        let mut queue = lock(&self.queue);
        let (doer, too_late) = (queue.free_doer(beside), queue.cancelled.remove(&id));
        let cancelled = Arc::new(AtomicBool::new(queue.closed));
        queue.running.push(Running { id, beside, doer, cancelled: cancelled.clone() });
        Begun { shared: self.clone(), id, doer, cancelled, too_late }
    }

    /// Wait until nothing is being done by ourselves.
    pub(super) fn wait_for_ours(&self) {
        let mut queue = lock(&self.queue);
        while !queue.running.is_empty() {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn cancel(&self, id: CallId) {
        let mut queue = lock(&self.queue);
        let agent = queue.outstanding.get(&id).map(|o| o.agent);
        if let Some(running) = queue.running.iter().find(|running| running.id == id) {
            running.cancel();
            self.blobs.wake();
        } else if agent.is_none()
            && queue.items.iter().any(|i| matches!(i, Item::Call { id: i, .. } if *i == id))
        {
            queue.cancelled.insert(id);
        }
        drop(queue);
        if let Some(agent) = agent {
            self.to_child(agent, &ToAgent::Cancel { id }, &[]);
        }
    }

    /// A call has failed that stops others; what failed first in an epoch counts.
    pub(super) fn stop(&self, stopped: Option<Stopped>) {
        if let Some(Stopped { epoch, group }) = stopped {
            lock(&self.queue).stopped.entry(epoch).or_insert(group);
        }
    }

    /// The controller knows of failures.
    pub(super) fn resume(&self, epoch: u32) {
        lock(&self.queue).stopped.remove(&epoch);
    }

    pub(super) fn refuses(&self, epoch: u32, group: u64) -> bool {
        let stopped = lock(&self.queue).stopped.get(&epoch).copied();
        stopped.is_some_and(|by| group == 0 || group != by)
    }

    // Other users' agents.

    pub(super) fn add_child(&self, agent: AgentId, input: Box<dyn Write + Send>) {
        lock(&self.queue).dead.remove(&agent);
        lock(&self.children).insert(agent, input);
    }

    pub(super) fn has_child(&self, agent: AgentId) -> bool {
        let way = lock(&self.queue).way(agent);
        lock(&self.children).contains_key(&way)
    }

    /// Root's agent shall start this one.
    pub(super) fn ask_root(&self, root: AgentId, agent: AgentId, escalate: Escalate) {
        lock(&self.queue).asked.insert(agent, (root, escalate.clone()));
        self.to_child(root, &ToAgent::Open { agent, escalate }, &[]);
    }

    /// It did.
    pub(super) fn root_opened(&self, agent: AgentId) {
        let mut queue = lock(&self.queue);
        if let Some((root, _)) = queue.asked.remove(&agent) {
            queue.through.insert(agent, root);
        }
    }

    /// It cannot, or has ended: then it is done without.
    pub(super) fn root_refused(&self, agent: AgentId) {
        let asked = lock(&self.queue).asked.remove(&agent);
        if let Some((_, escalate)) = asked {
            let escalate = Escalate { on_behalf_of: None, ..escalate };
            self.push(Item::Open { agent, escalate, through_root: false });
        }
    }

    pub(super) fn children(&self) -> Vec<AgentId> {
        lock(&self.children).keys().copied().collect()
    }

    pub(super) fn to_child(&self, agent: AgentId, message: &ToAgent, body: &[u8]) {
        let way = lock(&self.queue).way(agent);
        let message = if way == agent { Some(message.clone()) } else { readdressed(message, agent) };
        let Some(frame) = message.and_then(|message| protocol::encode(&message, body).ok()) else { return };
        if let Some(child) = lock(&self.children).get_mut(&way) {
            // If it has ended, the thread that listens to it tells.
            _ = child.write_all(&frame).and_then(|()| child.flush());
        }
    }

    /// A call goes to another agent. Fails when that has ended.
    pub(super) fn hand_over(&self, id: CallId, outstanding: Outstanding) -> Result<(), String> {
        let mut queue = lock(&self.queue);
        if let Some(reason) = queue.dead.get(&queue.way(outstanding.agent)) {
            return Err(reason.clone());
        }
        queue.outstanding.insert(id, outstanding);
        Ok(())
    }

    /// A call that another agent had has ended.
    pub(super) fn handed_back(&self, id: CallId, failed: bool) {
        let mut queue = lock(&self.queue);
        if let Some(Outstanding { stop: Some(stop), .. }) = queue.outstanding.remove(&id)
            && failed
        {
            queue.stopped.entry(stop.epoch).or_insert(stop.group);
        }
        self.changed.notify_all();
    }

    /// Wait until no other agent works, except `agent`.
    pub(super) fn wait_for_others(&self, agent: Option<AgentId>) {
        let mut queue = lock(&self.queue);
        while !queue.closed
            && queue.outstanding.values().any(|o| Some(queue.way(o.agent)) != agent.map(|a| queue.way(a)))
        {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// An agent has ended: its calls, and that of ours that stopped.
    pub(super) fn died(&self, agent: AgentId, reason: &str) -> Vec<CallId> {
        lock(&self.children).remove(&agent);
        let mut queue = lock(&self.queue);
        queue.dead.insert(agent, reason.to_owned());
        let lost = queue.outstanding.iter().filter(|(_, o)| queue.way(o.agent) == agent);
        let lost = lost.map(|(id, _)| *id).collect();
        let asked: Vec<AgentId> =
            queue.asked.iter().filter(|(_, (root, _))| *root == agent).map(|(asked, _)| *asked).collect();
        drop(queue);
        self.changed.notify_all();
        asked.into_iter().for_each(|agent| self.root_refused(agent));
        lost
    }

    pub(super) fn child_sealed(&self, agent: AgentId, sealed: Sealed) {
        lock(&self.queue).sealed.insert(agent, sealed);
        self.changed.notify_all();
    }

    /// Wait until each of these has sealed its layer or has ended.
    pub(super) fn wait_for_seals(&self, agents: &[AgentId]) -> HashMap<AgentId, Sealed> {
        let mut queue = lock(&self.queue);
        let waiting = |q: &Queue| agents.iter().any(|a| !q.sealed.contains_key(a) && !q.dead.contains_key(a));
        while waiting(&queue) {
            let wait =
                self.changed.wait_timeout(queue, super::LAST_GRACE).unwrap_or_else(PoisonError::into_inner);
            queue = wait.0;
            if wait.1.timed_out() && queue.closed {
                break;
            }
        }
        queue.sealed.clone()
    }

    /// Ask now for the content that a call will need, as far as that can be told cheaply.
    pub(super) fn look_ahead(&self, call: &Call) {
        for digest in self.blobs.wanted_by(call) {
            if self.blobs.expect(&digest) {
                self.send(&FromAgent::Need { agent: 0, digest });
            }
        }
    }
}

/// How a task gets at contents.
pub(super) struct Contents {
    pub(super) shared: Arc<Shared>,
    /// The task shall stop.
    pub(super) cancelled: Arc<AtomicBool>,
}

impl crate::module::Blobs for Contents {
    fn fetch(&self, digest: &str) -> Result<Arc<[u8]>, String> {
        if self.shared.blobs.ask(digest) {
            self.shared.send(&FromAgent::Need { agent: 0, digest: digest.to_owned() });
        }
        self.shared.blobs.wait(digest, &self.cancelled)
    }
}

/// For another agent's own: what is for that one alone is not passed on.
fn readdressed(message: &ToAgent, to: AgentId) -> Option<ToAgent> {
    let mut message = message.clone();
    match &mut message {
        ToAgent::Call { agent, .. } | ToAgent::Blob { agent, .. } | ToAgent::NoBlob { agent, .. } => {
            *agent = to;
        }
        ToAgent::Cancel { .. } => {}
        _ => return None,
    }
    Some(message)
}
