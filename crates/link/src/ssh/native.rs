//! The in-process client: connect (through bastions), check the host, log in, run one command.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::Algorithm;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::auth::Login;
use super::host_key::{Finding, Keeper, read_known};
use super::plan::Plan;
use super::socket;
use crate::wire::{Said, Sink, Source, Wire};
use crate::{LinkError, Notices};

/// A connection that is logged in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {
    handle: Handle<Keeper>,
    plan: Arc<Plan>,
    limit: Duration,
    /// The bastion it goes through, which must stay.
    _through: Option<Session>,
}

/// So many hosts are greeted at the same time: two hundred at once on one machine would keep each other from
/// finishing in time. Hosts that do not answer take none of these places.
static HANDSHAKES: Semaphore = Semaphore::const_new(64);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) fn connect<'a>(
    mut plan: Plan,
    limit: Duration,
    notices: &'a Arc<dyn Notices>,
) -> Pin<Box<dyn Future<Output = Result<Session, LinkError>> + Send + 'a>> {
    Box::pin(async move {
        let limit = plan.timeout.unwrap_or(limit);
        let through = match plan.jump.take() {
            Some(jump) => {
                let name = jump.host.clone();
                Some(connect(*jump, limit, notices).await.map_err(|e| on_the_way(e, &name))?)
            }
            None => None,
        };
        let stream: Box<dyn Stream> = match &through {
            Some(bastion) => bastion.tunnel(&plan).await?,
            None => Box::new(socket::connect(&plan, limit).await?),
        };
        let plan = Arc::new(plan);
        let _turn = HANDSHAKES.acquire().await;
        let handle = shake_hands(stream, &plan, limit, notices).await?;
        Ok(Session(Arc::new(Inner { handle, plan, limit, _through: through })))
    })
}

/// The bastion's error, said to be its own.
fn on_the_way(error: LinkError, bastion: &str) -> LinkError {
    let of = |reason: String| format!("the bastion {bastion} cannot be used: {reason}");
    match error {
        LinkError::Unreachable { reason, hint } => LinkError::Unreachable { reason: of(reason), hint },
        LinkError::Auth { reason, hint } => LinkError::Auth { reason: of(reason), hint },
        LinkError::HostKey { reason, hint } => LinkError::HostKey { reason: of(reason), hint },
        LinkError::Lost { reason } => LinkError::Lost { reason: of(reason) },
        other => other,
    }
}

async fn shake_hands(
    stream: Box<dyn Stream>,
    plan: &Arc<Plan>,
    limit: Duration,
    notices: &Arc<dyn Notices>,
) -> Result<Handle<Keeper>, LinkError> {
    let known = read_known(plan);
    let mut preferred = plan.preferred.clone();
    let algorithms = known.prefer(&preferred.key);
    if known.has_authority() {
        let modern = |algorithm: &&Algorithm| !matches!(algorithm, Algorithm::Rsa { hash: None });
        preferred.host_key_certificates = Cow::Owned(algorithms.iter().filter(modern).cloned().collect());
    }
    preferred.key = Cow::Owned(algorithms);
    let config =
        client::Config { nodelay: true, preferred, channel_buffer_size: 32, ..client::Config::default() };
    let finding = Arc::new(Finding::default());
    let keeper =
        Keeper { plan: Arc::clone(plan), known, notices: Arc::clone(notices), finding: Arc::clone(&finding) };
    // A person may be asked about the key meanwhile; that takes longer than a host may.
    let asks = plan.checking == super::plan::Checking::Ask && !plan.batch;
    let patience = if asks { limit.max(Duration::from_secs(120)) } else { limit };
    let connected = timeout(patience, client::connect_stream(Arc::new(config), stream, keeper)).await;
    let refusal = finding.refusal.lock().take();
    let mut handle = match (connected, refusal) {
        (_, Some(refusal)) => return Err(refusal),
        (Ok(Ok(handle)), None) => handle,
        (Ok(Err(e)), None) => return Err(no_greeting(&e, plan)),
        (Err(_), None) => {
            let what = format!("the SSH greeting of {}", plan.host);
            return Err(LinkError::Timeout { what, after: patience });
        }
    };
    let login = Login {
        plan,
        handle: &mut handle,
        finding: &finding,
        notices,
        limit,
        tried: Vec::new(),
        allowed: None,
    };
    login.run().await?;
    Ok(handle)
}

fn no_greeting(error: &russh::Error, plan: &Plan) -> LinkError {
    let Plan { host, port, .. } = plan;
    match error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => LinkError::Unreachable {
            reason: format!(
                "{host} and this program have no {kind:?} algorithm in common (it has {})",
                theirs.join(", ")
            ),
            hint: Some("try --ssh openssh".into()),
        },
        russh::Error::Version => {
            LinkError::unreachable(format!("what answers on {host} port {port} does not speak SSH"), None)
        }
        russh::Error::Disconnect | russh::Error::HUP => LinkError::unreachable(
            format!("{host} port {port} closed the connection at once"),
            "is it sshd, and does it have too many connections waiting (MaxStartups)?",
        ),
        other => {
            LinkError::unreachable(format!("the SSH connection to {host} port {port} failed: {other}"), None)
        }
    }
}

impl Session {
    async fn tunnel(&self, to: &Plan) -> Result<Box<dyn Stream>, LinkError> {
        let bastion = &self.0.plan.host;
        let open =
            self.0.handle.channel_open_direct_tcpip(to.host.clone(), u32::from(to.port), "127.0.0.1", 0);
        match timeout(self.0.limit, open).await {
            Ok(Ok(channel)) => Ok(Box::new(channel.into_stream())),
            Ok(Err(e)) => Err(LinkError::unreachable(
                format!("the bastion {bastion} cannot reach {} port {}: {e}", to.host, to.port),
                "is it up, and does the bastion allow forwarding (AllowTcpForwarding)?",
            )),
            Err(_) => {
                let what = format!("the way from the bastion {bastion} to {}", to.host);
                Err(LinkError::Timeout { what, after: self.0.limit })
            }
        }
    }

    /// Run a command line on a channel of its own.
    pub(crate) async fn exec(&self, line: &str) -> Result<Wire, LinkError> {
        let host = &self.0.plan.host;
        let broken = |e: russh::Error| LinkError::lost(format!("{host} did not let a command run: {e}"));
        let Ok(opened) = timeout(self.0.limit, self.0.handle.channel_open_session()).await else {
            return Err(LinkError::Timeout { what: format!("a channel on {host}"), after: self.0.limit });
        };
        let channel = opened.map_err(broken)?;
        for (name, value) in &self.0.plan.environment {
            channel.set_env(false, name.as_str(), value.as_str()).await.map_err(broken)?;
        }
        if self.0.plan.forward_agent {
            channel.agent_forward(false).await.map_err(broken)?;
        }
        channel.exec(false, line).await.map_err(broken)?;
        let (read, write) = channel.split();
        let write = Arc::new(write);
        let source =
            Source::Ssh { channel: Box::new(read), write: Arc::clone(&write), _session: self.clone() };
        Ok(Wire { source, sink: Sink::Ssh(write), said: Said::default() })
    }
}
