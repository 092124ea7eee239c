//! What a run finds in place of a host: it speaks the agent's protocol, answers steps that were done before on the same
//! chain from memory, and hands the others to the agent in a sandbox, one after the other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use catalog::Map;
use catalog::protocol::{
    self, AgentId, Call, CallId, Escalate, FromAgent, Hello, MAGIC, NEVER_REFUSED, RunInfo, Sealed, ToAgent,
    VERSION,
};
use parking_lot::Mutex;

use crate::base::Base;
use crate::chain::{self, Chain, Entry, Greetings};
use crate::error::Result;
use crate::plan::Plan;
use crate::sandbox::{Ground, Room};
use crate::store::Store;

/// An image that is being made. Shared by the run that makes it and whoever waits for the result.
pub struct Bake {
    pub(crate) store: Store,
    pub(crate) plan: Plan,
    pub(crate) base: Base,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    chain: Chain,
    greetings: Greetings,
    rooms: usize,
}

impl fmt::Debug for Bake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bake({})", self.plan.name)
    }
}

impl Bake {
    #[must_use]
    pub fn new(store: Store, plan: Plan, base: Base) -> Arc<Self> {
        let kind = format!("{} {} {}", plan.agent_digest, plan.name, plan.network);
        let greetings = store.read_json(&store.path("greetings.json")).unwrap_or_default();
        let state = State { chain: Chain::begin(&base.digest, &kind), greetings, rooms: 0 };
        Arc::new(Self { store, plan, base, state: Mutex::new(state) })
    }

    /// How far it has come.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.state.lock().chain.clone()
    }

    /// The run ended with a failure: failed steps are tried again next time, everything before them is kept.
    pub fn give_up(&self) {
        let state = self.state.lock();
        state.chain.failed.iter().for_each(|key| self.store.forget(key));
        drop(state);
        let _ = self.keep_greetings();
    }

    pub(crate) fn keep_greetings(&self) -> Result<()> {
        self.store.note_json(&self.store.path("greetings.json"), &self.state.lock().greetings)
    }
}

/// The run's end of a bake.
#[derive(Clone, Debug)]
pub struct Door(pub Arc<Bake>);

impl link::Place for Door {
    fn name(&self) -> String {
        format!("the image {}", self.0.plan.name)
    }

    fn enter(&self) -> io::Result<UnixStream> {
        let (theirs, ours) = UnixStream::pair()?;
        let bake = Arc::clone(&self.0);
        std::thread::Builder::new().name("bake".to_owned()).spawn(move || {
            // The stream's end says to the run that something is wrong; why was said before.
            let _ = serve(&bake, ours);
        })?;
        Ok(theirs)
    }
}

enum Said {
    Run(ToAgent, Vec<u8>),
    RunEnded,
    /// Of the agent in the sandbox of that number.
    Agent(usize, FromAgent),
    AgentEnded(usize),
}

/// What the agent is busy with.
enum Busy {
    Call { id: CallId, key: String, call: Box<Call> },
    Open { tell: bool },
}

struct Conversation<'a> {
    bake: &'a Bake,
    run: RunInfo,
    output: UnixStream,
    events: Sender<Said>,
    queue: VecDeque<ToAgent>,
    busy: Option<Busy>,
    room: Option<(usize, Room)>,
    /// Other users' agents that the run asked for, and those that the present sandbox has.
    users: HashMap<AgentId, Escalate>,
    opened: HashSet<AgentId>,
    /// Epoch and group of a failure the run does not know of yet.
    stopped: Option<(u32, u64)>,
    /// Epochs and groups of the calls on their way.
    told: HashMap<CallId, (u32, u64, AgentId)>,
}

fn serve(bake: &Bake, mut stream: UnixStream) -> io::Result<()> {
    stream.write_all(MAGIC)?;
    let mut input = stream.try_clone()?;
    let Some((ToAgent::Hello { version, run }, _)) = protocol::read_frame(&mut input)? else { return Ok(()) };
    if version != VERSION {
        let reason = "the run and the bake are of different versions".to_owned();
        return protocol::write_frame(&mut stream, &FromAgent::Fatal { reason }, &[]);
    }
    protocol::write_frame(&mut stream, &FromAgent::Hello(hello(bake)), &[])?;
    let (events, said) = mpsc::channel();
    let to = events.clone();
    std::thread::spawn(move || {
        while let Ok(Some((message, body))) = protocol::read_frame(&mut input) {
            if to.send(Said::Run(message, body)).is_err() {
                return;
            }
        }
        let _ = to.send(Said::RunEnded);
    });
    let mut conversation = Conversation {
        bake,
        run,
        output: stream,
        events,
        queue: VecDeque::new(),
        busy: None,
        room: None,
        users: HashMap::new(),
        opened: HashSet::new(),
        stopped: None,
        told: HashMap::new(),
    };
    let ended = conversation.hold(&said);
    if let Some((_, room)) = conversation.room.take() {
        let dir = room.end();
        let _ = fs::remove_dir_all(dir);
    }
    ended
}

/// Root of a machine that nothing is known of.
fn hello(bake: &Bake) -> Hello {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    Hello {
        recovered: Vec::new(),
        state_dir: String::new(),
        watches: false,
        version: VERSION,
        pid: std::process::id(),
        uid: 0,
        user: "root".to_owned(),
        home: "/root".to_owned(),
        host: bake.plan.name.clone(),
        kernel,
    }
}

impl Conversation<'_> {
    fn tell(&mut self, message: &FromAgent) -> io::Result<()> {
        protocol::write_frame(&mut self.output, message, &[])
    }

    fn fatal(&mut self, reason: String) -> io::Result<()> {
        self.tell(&FromAgent::Fatal { reason })
    }

    fn hold(&mut self, said: &Receiver<Said>) -> io::Result<()> {
        while let Ok(event) = said.recv() {
            let more = match event {
                Said::Run(message, body) => self.hear_run(message, &body)?,
                Said::RunEnded => return Ok(()),
                Said::Agent(number, message) => {
                    if self.room.as_ref().is_some_and(|(present, _)| *present == number) {
                        self.hear_agent(message)?;
                    }
                    true
                }
                Said::AgentEnded(number) => match &self.room {
                    Some((present, room)) if *present == number => {
                        let words = room.said();
                        let why = words.lines().last().unwrap_or("without a word");
                        return self.fatal(format!("the agent in the sandbox ended: {why}"));
                    }
                    _ => true,
                },
            };
            if !more || !self.go_on()? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What cannot wait is done at once, the rest in its turn.
    fn hear_run(&mut self, message: ToAgent, body: &[u8]) -> io::Result<bool> {
        match message {
            ToAgent::Ping => self.tell(&FromAgent::Alive)?,
            ToAgent::Cancel { .. } | ToAgent::Blob { .. } | ToAgent::NoBlob { .. } => {
                if let Some((_, room)) = &mut self.room {
                    room.send(&message, body)?;
                }
            }
            ToAgent::Hello { .. } => return Ok(false),
            other => self.queue.push_back(other),
        }
        Ok(true)
    }

    /// Takes what is next, until the agent has to be waited for. False: that was all.
    fn go_on(&mut self) -> io::Result<bool> {
        while self.busy.is_none() {
            let Some(next) = self.queue.pop_front() else { return Ok(true) };
            match next {
                ToAgent::Resume { .. } => self.stopped = None,
                ToAgent::Open { agent, escalate } => self.open(agent, escalate)?,
                ToAgent::Call { id, agent, epoch, call } => self.call(id, agent, epoch, call)?,
                ToAgent::Bye { .. } => {
                    if let Err(error) = self.keep_the_rest() {
                        self.fatal(error.to_string())?;
                        return Ok(false);
                    }
                    self.tell(&FromAgent::Sealed(Sealed::default()))?;
                    return Ok(false);
                }
                _ => {}
            }
        }
        Ok(true)
    }

    fn open(&mut self, agent: AgentId, escalate: Escalate) -> io::Result<()> {
        let key = chain::key(&[&self.bake.state.lock().chain.key, "open", &escalate.method, &escalate.user]);
        let known = self.bake.state.lock().greetings.get(&key).cloned();
        self.users.insert(agent, escalate);
        match known.filter(|_| !self.bake.plan.from_scratch) {
            Some(hello) => self.tell(&FromAgent::Opened { agent, hello }),
            None => self.open_now(agent, true),
        }
    }

    fn open_now(&mut self, agent: AgentId, tell: bool) -> io::Result<()> {
        let Some(escalate) = self.users.get(&agent).cloned() else {
            return self.fatal(format!("there is no agent {agent} here"));
        };
        if self.ensure_room()? {
            self.send(&ToAgent::Open { agent, escalate })?;
            self.busy = Some(Busy::Open { tell });
        }
        Ok(())
    }

    fn send(&mut self, message: &ToAgent) -> io::Result<()> {
        match &mut self.room {
            Some((_, room)) => room.send(message, &[]),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn call(&mut self, id: CallId, agent: AgentId, epoch: u32, call: Box<Call>) -> io::Result<()> {
        let refused = self.stopped.is_some_and(|(stopped, group)| {
            epoch != NEVER_REFUSED && epoch == stopped && (call.group == 0 || call.group != group)
        });
        if refused {
            return self.tell(&FromAgent::Refused { id });
        }
        let user = self.users.get(&agent).map_or_else(String::new, |e| format!("{} {}", e.method, e.user));
        let key = self.bake.state.lock().chain.next(&user, &call);
        self.told.insert(id, (epoch, call.group, agent));
        let pinned = self.bake.state.lock().chain.pinned;
        let known = if self.bake.plan.from_scratch || pinned || self.room_is_dirty() {
            None
        } else {
            self.bake.store.entry(&key)
        };
        if let Some(entry) = known {
            if entry.layer {
                self.leave_room();
            }
            let mut state = self.bake.state.lock();
            state.chain.cached += 1;
            state.chain.seconds_saved += entry.micros as f64 / 1e6;
            drop(state);
            return self.done(id, key, &call, entry);
        }
        self.perform(id, agent, key, call)
    }

    fn perform(&mut self, id: CallId, agent: AgentId, key: String, call: Box<Call>) -> io::Result<()> {
        if agent != 0 && !(self.room.is_some() && self.opened.contains(&agent)) {
            // First the other user's agent, then this again.
            let (epoch, ..) = self.told.remove(&id).unwrap_or_default();
            self.queue.push_front(ToAgent::Call { id, agent, epoch, call });
            return self.open_now(agent, false);
        }
        if self.ensure_room()? {
            self.send(&ToAgent::Call { id, agent, epoch: NEVER_REFUSED, call: call.clone() })?;
            self.busy = Some(Busy::Call { id, key, call });
        }
        Ok(())
    }

    /// False: there is none, and the run was told.
    fn ensure_room(&mut self) -> io::Result<bool> {
        if self.room.is_some() {
            return Ok(true);
        }
        let (layers, number) = {
            let mut state = self.bake.state.lock();
            state.rooms += 1;
            (state.chain.links.iter().map(|link| self.bake.store.layer(&link.key)).collect(), state.rooms)
        };
        let ground = Ground {
            store: &self.bake.store,
            plan: &self.bake.plan,
            rootfs: &self.bake.base.rootfs,
            epoch: self.bake.base.epoch,
            layers,
            number,
        };
        let (room, mut output) = match Room::open(&ground, &self.run) {
            Ok(opened) => opened,
            Err(error) => {
                self.fatal(error.to_string())?;
                return Ok(false);
            }
        };
        let events = self.events.clone();
        std::thread::spawn(move || {
            while let Ok(Some((message, _))) = protocol::read_frame(&mut output) {
                if events.send(Said::Agent(number, message)).is_err() {
                    return;
                }
            }
            let _ = events.send(Said::AgentEnded(number));
        });
        self.room = Some((number, room));
        self.opened.clear();
        Ok(true)
    }

    /// Whether there are changes that no layer holds: after a step that runs in the background.
    fn room_is_dirty(&self) -> bool {
        self.room.as_ref().is_some_and(|(_, room)| room.is_changed())
    }

    /// The sandbox stands on fewer layers than there are now.
    fn leave_room(&mut self) {
        if let Some((_, room)) = self.room.take() {
            let _ = fs::remove_dir_all(room.end());
        }
    }

    fn hear_agent(&mut self, message: FromAgent) -> io::Result<()> {
        match message {
            FromAgent::Need { .. } => self.tell(&message),
            FromAgent::Fatal { .. } => self.tell(&message),
            FromAgent::Done { id, result, paths, micros } => match self.busy.take() {
                Some(Busy::Call { id: asked, key, call }) if asked == id => {
                    let entry = Entry { result, paths, micros, layer: false, boot: String::new() };
                    match self.keep(&key, &call, entry) {
                        Ok(entry) => self.done(id, key, &call, entry),
                        Err(error) => self.fatal(error.to_string()),
                    }
                }
                busy => {
                    self.busy = busy;
                    Ok(())
                }
            },
            FromAgent::Opened { agent, hello } => {
                self.opened.insert(agent);
                if let Some(Busy::Open { tell: true }) = self.busy.take() {
                    let mut state = self.bake.state.lock();
                    if let Some(escalate) = self.users.get(&agent) {
                        let key = chain::key(&[&state.chain.key, "open", &escalate.method, &escalate.user]);
                        state.greetings.insert(key, hello.clone());
                    }
                    drop(state);
                    return self.tell(&FromAgent::Opened { agent, hello });
                }
                Ok(())
            }
            FromAgent::OpenFailed { agent, ref reason, .. } => match self.busy.take() {
                Some(Busy::Open { tell: false }) => {
                    self.fatal(format!("another user's agent could not be started again: {reason}"))
                }
                _ => {
                    self.users.remove(&agent);
                    self.tell(&message)
                }
            },
            _ => Ok(()),
        }
    }

    /// Makes a layer of what a step changed, and remembers the step.
    fn keep(&mut self, key: &str, call: &Call, mut entry: Entry) -> Result<Entry> {
        let store = &self.bake.store;
        let mut state = self.bake.state.lock();
        state.chain.run += 1;
        state.chain.pinned |= call.async_seconds > 0;
        if failed(&entry.result) {
            state.chain.failed.push(key.to_owned());
        }
        if state.chain.pinned {
            return Ok(entry);
        }
        drop(state);
        if self.room_is_dirty()
            && let Some((_, room)) = self.room.take()
        {
            store.put_layer(key, &room.end())?;
            entry.layer = true;
        }
        if entry.layer {
            entry.boot = chain::boot();
        }
        store.remember(key, &entry)?;
        Ok(entry)
    }

    /// What steps did while something ran in the background: one layer, never found again.
    fn keep_the_rest(&mut self) -> Result<()> {
        if !self.room_is_dirty() {
            return Ok(());
        }
        let Some((_, room)) = self.room.take() else { return Ok(()) };
        let dir = room.end();
        let mut state = self.bake.state.lock();
        let key = chain::key(&[&state.chain.key, "rest"]);
        self.bake.store.put_layer(&key, &dir)?;
        state.chain.links.push(chain::Link { key: key.clone(), group: "steps in the background".to_owned() });
        state.chain.key = key;
        Ok(())
    }

    fn done(&mut self, id: CallId, key: String, call: &Call, entry: Entry) -> io::Result<()> {
        let (epoch, group, _) = self.told.remove(&id).unwrap_or_default();
        if failed(&entry.result) && !call.keep_going && epoch != NEVER_REFUSED {
            self.stopped = Some((epoch, group));
        }
        self.bake.state.lock().chain.advance(key, &entry, call);
        let Entry { result, paths, micros, .. } = entry;
        self.tell(&FromAgent::Done { id, result, paths, micros })
    }
}

fn failed(result: &Map) -> bool {
    result.get("failed").is_some_and(|failed| failed == true)
}
