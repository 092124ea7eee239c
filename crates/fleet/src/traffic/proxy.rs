//! The embedded balancer: HTTP/1.1 or plain TCP, weights, draining. A request that was not sent yet goes to another
//! server if one does not take it; a request that was sent is never sent twice.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use super::Server;
use super::control::{Reply, Request};
use super::http1::{Head, Length, pass};

/// The weight of a server that nobody has weighed.
const FULL: u32 = 100;
const CONNECT: Duration = Duration::from_secs(2);
/// A server that did not take a connection is left alone for so long.
const SHUNNED: Duration = Duration::from_millis(500);
/// How long a request waits for any server at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may be silent between requests.
const IDLE: Duration = Duration::from_secs(75);

#[derive(Debug, Default)]
struct Known {
    server: Server,
    shunned: Option<Instant>,
    /// Smooth weighted round robin.
    turn: i64,
}

/// The servers, shared by all connections.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    stop: Arc<tokio::sync::Notify>,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

/// One request's or connection's hold on a server.
struct Hold {
    pool: Pool,
    name: String,
    address: SocketAddr,
    begun: Instant,
    error: bool,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(known) = self.pool.lock().get_mut(&self.name) {
            known.server.open = known.server.open.saturating_sub(1);
            known.server.requests += 1;
            known.server.errors += u64::from(self.error);
            known.server.millis += u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[must_use]
    pub fn servers(&self) -> BTreeMap<String, Server> {
        self.lock().iter().map(|(name, known)| (name.clone(), known.server.clone())).collect()
    }

    pub fn weigh(&self, weights: BTreeMap<String, (u32, Option<SocketAddr>)>) {
        let mut all = self.lock();
        for (name, (weight, address)) in weights {
            let known = all.entry(name).or_default();
            known.server.weight = weight;
            known.server.address = address.or(known.server.address);
            known.shunned = None;
        }
    }

    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// The next server by weight; those that have just refused are asked only if nobody else is there.
    fn pick(&self, not: &[String]) -> Option<Hold> {
        let mut all = self.lock();
        let fits = |name: &String, known: &Known| {
            known.server.weight > 0 && known.server.address.is_some() && !not.contains(name)
        };
        let fresh = |known: &Known| known.shunned.is_none_or(|since| since.elapsed() > SHUNNED);
        let any = all.iter().any(|(name, known)| fits(name, known) && fresh(known));
        let mut total = 0;
        let mut best: Option<(String, i64)> = None;
        for (name, known) in
            all.iter_mut().filter(|(name, known)| fits(name, known) && (!any || fresh(known)))
        {
            let weight = i64::from(known.server.weight);
            total += weight;
            known.turn += weight;
            if best.as_ref().is_none_or(|(_, turn)| known.turn > *turn) {
                best = Some((name.clone(), known.turn));
            }
        }
        let (name, _) = best?;
        let known = all.get_mut(&name)?;
        known.turn -= total;
        known.server.open += 1;
        let address = known.server.address?;
        Some(Hold { pool: self.clone(), name, address, begun: Instant::now(), error: false })
    }

    fn shun(&self, name: &str) {
        if let Some(known) = self.lock().get_mut(name) {
            known.shunned = Some(Instant::now());
            known.server.requests = known.server.requests.saturating_sub(1);
        }
    }

    /// A connection to a server that takes it. Nothing has been sent yet, so any other will do as well.
    async fn connect(&self) -> io::Result<(Hold, TcpStream)> {
        let begun = Instant::now();
        let mut tried = Vec::new();
        loop {
            let Some(hold) = self.pick(&tried) else {
                if begun.elapsed() > PATIENCE {
                    return Err(io::Error::new(io::ErrorKind::NotConnected, "no server takes it"));
                }
                tried.clear();
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            match timeout(CONNECT, TcpStream::connect(hold.address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok((hold, stream));
                }
                _ => {
                    self.shun(&hold.name);
                    tried.push(hold.name.clone());
                }
            }
        }
    }
}

/// What a proxy is told.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    pub control: PathBuf,
    /// Connections are passed on as they are.
    pub tcp: bool,
    /// Who has traffic in the beginning.
    pub servers: BTreeMap<String, SocketAddr>,
}

/// Runs until it is ended. What it was told survives in a file beside the socket.
pub async fn serve(options: Options, ready: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let pool = Pool::default();
    let first = options.servers.iter().map(|(name, address)| (name.clone(), (FULL, Some(*address))));
    pool.weigh(first.collect());
    let kept = options.control.with_extension("servers");
    if let Ok(bytes) = std::fs::read(&kept)
        && let Ok(servers) = serde_json::from_slice::<BTreeMap<String, Server>>(&bytes)
    {
        pool.weigh(
            servers.into_iter().map(|(name, server)| (name, (server.weight, server.address))).collect(),
        );
    }
    if std::os::unix::net::UnixStream::connect(&options.control).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("a proxy already listens at {}", options.control.display()),
        ));
    }
    let listener = TcpListener::bind(options.listen).await?;
    let _ = std::fs::remove_file(&options.control);
    let control = UnixListener::bind(&options.control)?;
    std::fs::set_permissions(&options.control, std::fs::Permissions::from_mode(0o600))?;
    ready(listener.local_addr()?);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else {
                    // Out of descriptors, say: let others finish first.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let (pool, tcp) = (pool.clone(), options.tcp);
                tokio::spawn(async move {
                    let _ = client.set_nodelay(true);
                    let _ = if tcp { connection(pool, client).await } else { client_of(pool, client).await };
                });
            }
            () = pool.stop.notified() => {
                let _ = std::fs::remove_file(&options.control);
                return Ok(());
            }
            asked = control.accept() => {
                if let Ok((stream, _)) = asked {
                    tokio::spawn(answer(pool.clone(), stream, kept.clone()));
                }
            }
        }
    }
}

async fn answer(pool: Pool, stream: UnixStream, kept: PathBuf) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let reply = match serde_json::from_str(&line) {
            Ok(Request::Show) => Ok(()),
            Ok(Request::Weigh(weights)) => {
                pool.weigh(weights);
                keep(&pool, &kept)
            }
            Ok(Request::Stop) => {
                let _ = std::fs::remove_file(&kept);
                pool.stop.notify_one();
                Ok(())
            }
            Ok(Request::Forget(name)) => {
                pool.forget(&name);
                keep(&pool, &kept)
            }
            Err(error) => Err(error.to_string()),
        };
        let reply = reply.map_or_else(Reply::Refused, |()| Reply::Servers(pool.servers()));
        let mut text = serde_json::to_string(&reply).unwrap_or_default();
        text.push('\n');
        if write.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn keep(pool: &Pool, kept: &Path) -> Result<(), String> {
    let beside = kept.with_extension("new");
    let bytes = serde_json::to_vec(&pool.servers()).map_err(|error| error.to_string())?;
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, kept))
        .map_err(|error| format!("{}: {error}", kept.display()))
}

/// TCP: the connection is the unit.
async fn connection(pool: Pool, mut client: TcpStream) -> io::Result<()> {
    let (mut hold, mut server) = pool.connect().await?;
    hold.error = tokio::io::copy_bidirectional(&mut client, &mut server).await.is_err();
    Ok(())
}

/// HTTP: each request of a client's connection goes to a server of its own choice.
async fn client_of(pool: Pool, client: TcpStream) -> io::Result<()> {
    let (read, mut write) = client.into_split();
    let mut read = BufReader::new(read);
    loop {
        let head = match timeout(IDLE, Head::read(&mut read)).await {
            Ok(Ok(Some(head))) => head,
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(_)) => return refuse(&mut write, "400 Bad Request").await,
        };
        let Ok(length) = head.request_length() else { return refuse(&mut write, "400 Bad Request").await };
        let keeps = head.keeps_alive();
        let Ok((hold, server)) = pool.connect().await else {
            return refuse(&mut write, "503 Service Unavailable").await;
        };
        if !exchange(hold, server, head, length, &mut read, &mut write).await? || !keeps {
            return write.shutdown().await;
        }
    }
}

async fn refuse(write: &mut (impl AsyncWriteExt + Unpin), status: &str) -> io::Result<()> {
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    write.write_all(text.as_bytes()).await?;
    write.shutdown().await
}

type ClientRead = BufReader<tokio::net::tcp::OwnedReadHalf>;
type ClientWrite = tokio::net::tcp::OwnedWriteHalf;

/// One request and its answer. False: the client's connection cannot be used again.
async fn exchange(
    mut hold: Hold,
    server: TcpStream,
    mut head: Head,
    length: Length,
    read: &mut ClientRead,
    write: &mut ClientWrite,
) -> io::Result<bool> {
    let (from, mut to) = server.into_split();
    let mut from = BufReader::new(from);
    let upgrade = head.has("connection", "upgrade");
    let method = head.method().to_owned();
    if head.has("expect", "100-continue") {
        write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        head.remove("expect");
    }
    if !upgrade {
        head.set("Connection", "close");
    }
    let sent = async {
        to.write_all(&head.bytes()).await?;
        pass(read, &mut to, length).await
    };
    let answered = async {
        loop {
            let answer = Head::read(&mut from).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            // Early hints and the like are for the server's own connection.
            if answer.status().is_none_or(|status| status >= 200 || status == 101) {
                return io::Result::Ok(answer);
            }
        }
    };
    // The server may answer before it has read everything.
    let (sent, answer) = tokio::join!(sent, answered);
    let answer = match answer {
        Ok(answer) => answer,
        Err(_) => {
            hold.error = true;
            refuse(write, "502 Bad Gateway").await?;
            return Ok(false);
        }
    };
    hold.error = answer.status().is_none_or(|status| status >= 500);
    if answer.status() == Some(101) {
        write.write_all(&answer.bytes()).await?;
        let there = tokio::io::copy_buf(read, &mut to);
        let back = tokio::io::copy_buf(&mut from, write);
        tokio::select! { _ = there => {}, _ = back => {} }
        return Ok(false);
    }
    back(&mut hold, answer, &method, &mut from, write).await.map(|kept| kept && sent.is_ok())
}

async fn back(
    hold: &mut Hold,
    mut answer: Head,
    method: &str,
    from: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
    write: &mut ClientWrite,
) -> io::Result<bool> {
    let Ok(length) = answer.answer_length(method) else {
        hold.error = true;
        refuse(write, "502 Bad Gateway").await?;
        return Ok(false);
    };
    answer.remove("connection");
    answer.remove("keep-alive");
    if length == Length::Close {
        answer.set("Connection", "close");
    }
    if answer.first.starts_with("HTTP/1.0") {
        answer.first.replace_range(..8, "HTTP/1.1");
    }
    write.write_all(&answer.bytes()).await?;
    let passed = pass(from, write, length).await;
    hold.error |= passed.is_err();
    passed.map(|()| length != Length::Close)
}
