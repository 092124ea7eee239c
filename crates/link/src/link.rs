//! The handle: one host, connected.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use catalog::protocol::{self, AgentId, Call, CallId, Escalate, Hello, RunInfo, Sealed, ToAgent};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::image::Image;
use crate::session::{Blobs, CallHandle, Shared};
use crate::{LinkError, Notices, Target, bootstrap, transport};

/// One connection and one channel for a whole run. Cheap to clone; the connection is closed when the last clone
/// is dropped.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

/// Another user's agent, or its being opened.
type Other = Arc<OnceCell<(AgentId, Hello)>>;

struct Inner {
    shared: Arc<Shared>,
    hello: Hello,
    pushed: bool,
    notices: Arc<dyn Notices>,
    next_agent: AtomicU32,
    /// Other users' agents, by the way in which they are become.
    others: Mutex<HashMap<Escalate, Other>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Link {
    /// Reach the host, push the agent if it is missing there, greet it.
    pub async fn connect(
        target: &Target,
        run: RunInfo,
        notices: Arc<dyn Notices>,
    ) -> Result<Self, LinkError> {
        Self::connect_with(target, run, notices, Image::embedded()).await
    }

    /// The same with another agent than the one this program carries.
    pub async fn connect_with(
        target: &Target,
        run: RunInfo,
        notices: Arc<dyn Notices>,
        image: Image,
    ) -> Result<Self, LinkError> {
        let mut attempt = 0;
        loop {
            let once = Self::attempt(target, &run, &notices, &image).await;
            match once {
                Err(error) if error.may_pass() && attempt < target.retries => {
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(500 << attempt.min(5))).await;
                }
                other => return other,
            }
        }
    }

    async fn attempt(
        target: &Target,
        run: &RunInfo,
        notices: &Arc<dyn Notices>,
        image: &Image,
    ) -> Result<Self, LinkError> {
        let host = transport::reach(target, notices).await?;
        let mut run = run.clone();
        if !matches!(target.connection, crate::Connection::Local) {
            run.directory.clear();
        }
        let greeting = ToAgent::Hello { version: protocol::VERSION, run };
        let started = bootstrap::start(&host, image, &greeting, target).await?;
        let pushed = started.pushed;
        let sent = started.sent;
        let (shared, hello) = started.session(target);
        shared.sent.fetch_add(sent, Ordering::Relaxed);
        let hello = match tokio::time::timeout(target.timeout.max(target.patience), hello).await {
            Ok(Ok(hello)) => hello?,
            Ok(Err(_)) => return Err(shared.over()),
            Err(_) => {
                shared.close();
                return Err(LinkError::Timeout {
                    what: "the agent's greeting".into(),
                    after: target.patience,
                });
            }
        };
        say_recovered(&hello, notices.as_ref());
        if hello.version != protocol::VERSION {
            shared.close();
            let (theirs, ours) = (hello.version, protocol::VERSION);
            let reason =
                format!("the agent speaks version {theirs} of the protocol, this program version {ours}");
            return Err(LinkError::Protocol { reason });
        }
        let (host, to) = (hello.host.clone(), Arc::clone(notices));
        shared.say_by(move |text| to.notice(&format!("{host}: {text}")));
        let inner = Inner {
            shared,
            hello,
            pushed,
            notices: Arc::clone(notices),
            next_agent: AtomicU32::new(1),
            others: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Who and where the first agent is.
    pub fn hello(&self) -> &Hello {
        &self.inner.hello
    }

    /// Whether the agent had to be sent.
    pub fn pushed(&self) -> bool {
        self.inner.pushed
    }

    /// The agent of another user, opened once and remembered; asked for by several at once it is opened once.
    pub async fn agent(&self, escalate: &Escalate) -> Result<AgentId, LinkError> {
        Ok(self.other(escalate).await?.0)
    }

    /// Who another user's agent is; opens it if need be.
    pub async fn agent_hello(&self, escalate: &Escalate) -> Result<Hello, LinkError> {
        Ok(self.other(escalate).await?.1)
    }

    async fn other(&self, escalate: &Escalate) -> Result<(AgentId, Hello), LinkError> {
        // Another password or other flags are another agent: what was refused there may be allowed here, and what was
        // allowed here must not be what makes the other succeed.
        let cell = Arc::clone(self.inner.others.lock().entry(escalate.clone()).or_default());
        cell.get_or_try_init(|| self.open(escalate)).await.cloned()
    }

    async fn open(&self, escalate: &Escalate) -> Result<(AgentId, Hello), LinkError> {
        let shared = &self.inner.shared;
        let agent = self.inner.next_agent.fetch_add(1, Ordering::Relaxed);
        let opened = shared.expect_open(agent);
        shared.send(&ToAgent::Open { agent, escalate: escalate.clone() })?;
        // The agent keeps the time itself and knows more about why; this is for one that does not.
        let limit = Duration::from_secs(u64::from(escalate.timeout_seconds.max(10)) + 20);
        match tokio::time::timeout(limit, opened).await {
            Ok(Ok(hello)) => {
                let hello = hello?;
                say_recovered(&hello, self.inner.notices.as_ref());
                Ok((agent, hello))
            }
            Ok(Err(_)) => Err(shared.over()),
            Err(_) => {
                shared.forget_open(agent);
                Err(LinkError::Timeout { what: format!("becoming the user {}", escalate.user), after: limit })
            }
        }
    }

    /// Send a task at once, without waiting. Tasks are done in the order of these calls.
    pub fn call(&self, agent: AgentId, epoch: u32, call: Call, blobs: Arc<dyn Blobs>) -> CallHandle {
        self.inner.shared.call(agent, epoch, call, blobs)
    }

    /// The failure is known: from now on calls of `epoch` are done again.
    pub fn resume(&self, epoch: u32) {
        // A connection that is over says so to every call.
        let _ = self.inner.shared.send(&ToAgent::Resume { epoch });
    }

    /// Stop a call's processes; its end still comes through its handle.
    pub fn cancel(&self, id: CallId) {
        let _ = self.inner.shared.send(&ToAgent::Cancel { id });
    }

    /// Seal the host's layer, put it back if it shall be undone, and close the connection.
    pub async fn bye(self, failed: bool, undo: bool) -> Result<Sealed, LinkError> {
        let shared = &self.inner.shared;
        let sealed = shared.expect_sealed();
        shared.send(&ToAgent::Bye { failed, undo })?;
        let sealed = sealed.await.unwrap_or_else(|_| Err(shared.over()));
        shared.close();
        sealed
    }

    /// Answers that had to be waited for one after another since the channel was opened: what a slow line costs.
    pub fn round_trips(&self) -> u64 {
        self.inner.shared.depth()
    }

    pub fn bytes_sent(&self) -> u64 {
        self.inner.shared.sent.load(Ordering::Relaxed)
    }

    pub fn bytes_received(&self) -> u64 {
        self.inner.shared.received.load(Ordering::Relaxed)
    }
}

/// A run before this one never ended there: what became of it.
fn say_recovered(hello: &Hello, notices: &dyn Notices) {
    for text in &hello.recovered {
        notices.notice(&format!("{}: {text}", hello.host));
    }
}
