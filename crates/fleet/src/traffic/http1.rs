//! HTTP/1.1 as far as a balancer needs it: heads are read whole, bodies are passed on as they come.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A longer head is refused.
const HEAD: usize = 64 << 10;

/// The first line and the headers, as they came, without the empty line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub first: String,
    pub headers: Vec<(String, String)>,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    None,
    Bytes(u64),
    Chunked,
    /// With the connection.
    Close,
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Head {
    /// None: the other end has closed before it said anything.
    pub async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            let before = bytes.len();
            let limit = (HEAD - before) as u64;
            if (&mut *from).take(limit).read_until(b'\n', &mut bytes).await? == 0 {
                return if bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            if !bytes.ends_with(b"\n") {
                return Err(wrong("the head is too long"));
            }
            let line = bytes[before..].trim_ascii();
            // Some clients send an empty line before a request.
            if line.is_empty() && before == 0 {
                bytes.clear();
            } else if line.is_empty() {
                break;
            }
        }
        Self::parse(&String::from_utf8_lossy(&bytes)).map(Some)
    }

    fn parse(text: &str) -> io::Result<Self> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().trim_end().to_owned();
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a header without a colon"))?;
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(wrong("a header with a blank in its name"));
            }
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Self { first, headers })
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    #[must_use]
    pub fn has(&self, name: &str, word: &str) -> bool {
        let values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        values.flat_map(|(_, value)| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
    }

    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Of an answer's first line.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
    }

    #[must_use]
    pub fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or_default()
    }

    /// Whether the other end expects the connection to stay open.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        if self.first.ends_with("HTTP/1.0") || self.first.starts_with("HTTP/1.0") {
            return self.has("connection", "keep-alive");
        }
        !self.has("connection", "close")
    }

    fn framed(&self) -> io::Result<Option<Length>> {
        if self.has("transfer-encoding", "chunked") {
            // Both at once is how requests are smuggled.
            return if self.get("content-length").is_some() {
                Err(wrong("two lengths"))
            } else {
                Ok(Some(Length::Chunked))
            };
        }
        let mut lengths = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let Some((_, first)) = lengths.next() else { return Ok(None) };
        if lengths.any(|(_, other)| other != first) {
            return Err(wrong("two lengths"));
        }
        first
            .parse()
            .map(|length| Some(Length::Bytes(length)))
            .map_err(|_| wrong("a length that is no number"))
    }

    pub fn request_length(&self) -> io::Result<Length> {
        Ok(self.framed()?.unwrap_or(Length::None))
    }

    pub fn answer_length(&self, method: &str) -> io::Result<Length> {
        let status = self.status().ok_or_else(|| wrong("an answer without a status"))?;
        if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
            return Ok(Length::None);
        }
        Ok(self.framed()?.unwrap_or(Length::Close))
    }
}

/// Passes a body on.
pub async fn pass(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    length: Length,
) -> io::Result<()> {
    match length {
        Length::None => {}
        Length::Bytes(bytes) => copy(from, to, bytes).await?,
        Length::Close => {
            tokio::io::copy_buf(from, to).await?;
        }
        Length::Chunked => chunks(from, to).await?,
    }
    to.flush().await
}

async fn copy(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    bytes: u64,
) -> io::Result<()> {
    let copied = tokio::io::copy_buf(&mut (&mut *from).take(bytes), to).await?;
    if copied < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

async fn chunks(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    loop {
        let line = line(from).await?;
        to.write_all(&line).await?;
        let text = String::from_utf8_lossy(&line);
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| wrong("a chunk without a size"))?;
        if size == 0 {
            break;
        }
        copy(from, to, size + 2).await?;
    }
    // Trailers, up to the empty line.
    loop {
        let line = line(from).await?;
        to.write_all(&line).await?;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
    }
}

async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    (&mut *from).take(HEAD as u64).read_until(b'\n', &mut line).await?;
    if line.ends_with(b"\n") { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
