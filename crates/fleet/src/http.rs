//! A small HTTP client for health checks and gates: one request a connection, everything with a deadline.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// More than this of an answer is not read.
const MOST: u64 = 8 << 20;

/// A connection that can be told how long to wait.
trait Timed: Read + Write {
    fn wait(&self, left: Duration) -> std::io::Result<()>;
}

impl Timed for TcpStream {
    fn wait(&self, left: Duration) -> std::io::Result<()> {
        self.set_read_timeout(Some(left)).and_then(|()| self.set_write_timeout(Some(left)))
    }
}

impl Timed for UnixStream {
    fn wait(&self, left: Duration) -> std::io::Result<()> {
        self.set_read_timeout(Some(left)).and_then(|()| self.set_write_timeout(Some(left)))
    }
}

/// What is asked.
struct Request<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    body: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub took: Duration,
}

/// GET a path of a server.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Result<Answer, String> {
    let host = address.to_string();
    request(address, &Request { method: "GET", host: &host, path, body: None }, timeout)
}

/// Asks a server of this machine over its socket.
pub fn local(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<&str>,
    timeout: Duration,
) -> Result<Answer, String> {
    let begun = Instant::now();
    let name = socket.display().to_string();
    let stream = UnixStream::connect(socket).map_err(|error| format!("{name}: {error}"))?;
    exchange(stream, &name, &Request { method, host: "localhost", path, body }, begun, timeout)
}

/// Text as it may stand in an address.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// GET, or POST with a body, a whole `http://…` address.
pub fn call(url: &str, body: Option<&str>, timeout: Duration) -> Result<Answer, String> {
    let (host, path) = split(url)?;
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut found = with_port.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let address = found.next().ok_or_else(|| format!("{host} has no address"))?;
    let method = if body.is_some() { "POST" } else { "GET" };
    request(address, &Request { method, host, path, body }, timeout)
}

/// Host and path of an address.
pub fn split(url: &str) -> Result<(&str, &str), String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("`{url}` does not begin with http://"))?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    if host.is_empty() {
        return Err(format!("`{url}` names no host"));
    }
    Ok((host, if path.is_empty() { "/" } else { path }))
}

fn request(address: SocketAddr, request: &Request, timeout: Duration) -> Result<Answer, String> {
    let begun = Instant::now();
    let stream =
        TcpStream::connect_timeout(&address, timeout).map_err(|error| format!("{address}: {error}"))?;
    exchange(stream, &address.to_string(), request, begun, timeout)
}

fn exchange(
    mut stream: impl Timed,
    name: &str,
    request: &Request,
    begun: Instant,
    timeout: Duration,
) -> Result<Answer, String> {
    let said = |error: std::io::Error| format!("{name}: {error}");
    let late = || format!("{name}: no whole answer within {} ms", timeout.as_millis());
    let left = || timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
    stream.wait(left()).map_err(said)?;
    let Request { method, host, path, body } = request;
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: theseus\r\nConnection: close\r\n");
    if let Some(body) = body {
        head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    head.push_str(body.unwrap_or_default());
    stream.write_all(head.as_bytes()).map_err(said)?;
    let mut bytes = Vec::new();
    let mut part = [0; 16 << 10];
    while (bytes.len() as u64) < MOST && !complete(&bytes) {
        if begun.elapsed() >= timeout {
            return Err(late());
        }
        stream.wait(left()).map_err(said)?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                return Err(late());
            }
            Err(error) => return Err(said(error)),
        }
    }
    parse(&bytes, begun.elapsed()).ok_or_else(|| format!("{name}: what came back is not HTTP"))
}

/// Servers that keep the connection open say how long the body is.
fn complete(bytes: &[u8]) -> bool {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..end]);
    if ["204", "304"].iter().any(|status| head.split(' ').nth(1) == Some(status)) {
        return true;
    }
    length(&head).is_some_and(|length| bytes.len() >= end + 4 + length)
}

fn length(head: &str) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = head
        .lines()
        .skip(1)
        .find(|line| line.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name)))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn parse(bytes: &[u8], took: Duration) -> Option<Answer> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let raw = &bytes[end + 4..];
    let body =
        if header(&head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            unchunk(raw)
        } else {
            raw[..length(&head).unwrap_or(raw.len()).min(raw.len())].to_vec()
        };
    Some(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), took })
}

fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = find(raw, b"\r\n") {
        let size = String::from_utf8_lossy(&raw[..end]);
        let Ok(size) = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16) else {
            break;
        };
        let rest = &raw[end + 2..];
        if size == 0 || rest.len() < size {
            break;
        }
        body.extend_from_slice(&rest[..size]);
        raw = rest.get(size + 2..).unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let fine =
            |text: &str| parse(text.as_bytes(), Duration::ZERO).map(|answer| (answer.status, answer.body));
        assert_eq!(fine("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay"), Some((200, "ok".to_owned())));
        assert_eq!(fine("HTTP/1.0 503 No\r\n\r\nrest"), Some((503, "rest".to_owned())));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(fine(chunked), Some((200, "abc".to_owned())));
        assert_eq!(fine("SSH-2.0-OpenSSH\r\n\r\n"), None);
        assert_eq!(split("http://h:1/p?q"), Ok(("h:1", "/p?q")));
        assert!(split("ftp://h").is_err());
    }
}
