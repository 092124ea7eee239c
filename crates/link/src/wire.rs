//! The two directions of bytes to a host, whatever carries them, and what was said beside them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::process::Child;

use crate::ssh::Session;

/// So much of standard error is kept: its end.
const TAIL: usize = 4096;

type Writer = russh::ChannelWriteHalf<russh::client::Msg>;

/// A running script on the host.
pub(crate) struct Wire {
    pub(crate) source: Source,
    pub(crate) sink: Sink,
    pub(crate) said: Said,
}

/// Bytes from the host.
pub(crate) enum Source {
    Child {
        output: Pin<Box<dyn AsyncRead + Send + Sync>>,
        child: Box<Child>,
    },
    Socket(OwnedReadHalf),
    /// The session is kept: without it the connection ends.
    Ssh {
        channel: Box<russh::ChannelReadHalf>,
        write: Arc<Writer>,
        _session: Session,
    },
}

/// Bytes to the host.
pub(crate) enum Sink {
    Io(Pin<Box<dyn AsyncWrite + Send + Sync>>),
    Ssh(Arc<Writer>),
}

/// Standard error's end, and how the far process ended.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Tail>>);

#[derive(Default)]
struct Tail {
    text: Vec<u8>,
    end: Option<String>,
}

impl Said {
    pub(crate) fn push(&self, bytes: &[u8]) {
        let text = &mut self.0.lock().text;
        text.extend_from_slice(bytes);
        let extra = text.len().saturating_sub(TAIL);
        text.drain(..extra);
    }

    pub(crate) fn ended(&self, how: String) {
        self.0.lock().end.get_or_insert(how);
    }

    /// `, exit status 1: last line`, or nothing.
    pub(crate) fn epilogue(&self) -> String {
        let tail = self.0.lock();
        let end = tail.end.as_ref().map(|end| format!(" ({end})")).unwrap_or_default();
        match last_lines(&tail.text) {
            Some(text) => format!("{end}: {text}"),
            None => end,
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().text).into_owned()
    }
}

/// The last lines that say something, on one line, without control characters.
fn last_lines(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().rev().take(3).rev().cloned().collect::<Vec<_>>().join("; ");
    (!last.is_empty()).then_some(last)
}

/// A line as it may be shown: what a host printed must not steer the person's terminal.
pub(crate) fn plain(line: &str) -> String {
    line.chars().filter(|c| !c.is_control() || *c == '\t').take(300).collect::<String>().trim().to_owned()
}

impl Wire {
    /// A child whose three streams are pipes.
    pub(crate) fn child(mut child: Child) -> io::Result<Self> {
        let (Some(input), Some(output), Some(mut error)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the child was started without pipes"));
        };
        let said = Said::default();
        let heard = said.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(n @ 1..) = error.read(&mut buffer).await {
                heard.push(&buffer[..n]);
            }
        });
        let source = Source::Child { output: Box::pin(output), child: Box::new(child) };
        Ok(Self { source, sink: Sink::Io(Box::pin(input)), said })
    }
}

impl Wire {
    /// Both directions of a socket.
    pub(crate) fn socket(stream: UnixStream) -> Self {
        let (read, write) = stream.into_split();
        Self { source: Source::Socket(read), sink: Sink::Io(Box::pin(write)), said: Said::default() }
    }
}

impl Source {
    /// Append what comes next to `buffer`; false at the end. Safe to cancel.
    pub(crate) async fn more(&mut self, buffer: &mut Vec<u8>, said: &Said) -> io::Result<bool> {
        match self {
            Self::Child { output, .. } => {
                if buffer.capacity() - buffer.len() < 4096 {
                    buffer.reserve(32 * 1024);
                }
                Ok(output.read_buf(buffer).await? > 0)
            }
            Self::Socket(socket) => Ok(socket.read_buf(buffer).await? > 0),
            Self::Ssh { channel, .. } => loop {
                match channel.wait().await {
                    Some(russh::ChannelMsg::Data { data }) => {
                        buffer.extend_from_slice(&data);
                        return Ok(true);
                    }
                    None => return Ok(false),
                    Some(other) => beside(other, said),
                }
            },
        }
    }

    /// Nothing more will be sent: the far end should finish. (A child sees it when its pipe is dropped.)
    pub(crate) async fn hang_up(&self) {
        if let Self::Ssh { write, .. } = self {
            let _ = tokio::time::timeout(Duration::from_millis(200), write.eof()).await;
        }
    }

    /// After the end: learn how the far process ended, without waiting long.
    pub(crate) async fn farewell(&mut self, said: &Said) {
        let Self::Child { child, .. } = self else { return };
        if let Ok(Ok(status)) = tokio::time::timeout(Duration::from_millis(500), child.wait()).await
            && !status.success()
        {
            said.ended(status.to_string());
        }
        // Its last words may still be on their way from the pipe.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn beside(message: russh::ChannelMsg, said: &Said) {
    match message {
        russh::ChannelMsg::ExtendedData { data, .. } => said.push(&data),
        russh::ChannelMsg::ExitStatus { exit_status } if exit_status != 0 => {
            said.ended(format!("exit status {exit_status}"));
        }
        russh::ChannelMsg::ExitSignal { signal_name, .. } => said.ended(format!("signal {signal_name:?}")),
        _ => {}
    }
}

impl Sink {
    pub(crate) async fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Io(pipe) => {
                pipe.write_all(&bytes).await?;
                pipe.flush().await
            }
            Self::Ssh(channel) => channel.data_bytes(bytes).await.map_err(io::Error::other),
        }
    }
}
