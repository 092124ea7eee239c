//! A small caching proxy on the lab's side of this machine: hosts reach the package archive of their own base, and
//! nothing else; all of them see the same versions, and nothing is downloaded twice.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use super::super::tree;
use crate::base;

pub(crate) struct Proxy {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

struct Store {
    folder: PathBuf,
    /// Addresses that may be asked for begin with one of these.
    archives: Vec<String>,
}

impl Proxy {
    /// Listens on an address of this machine that only the lab sees.
    pub(crate) fn start(address: IpAddr) -> Result<Self> {
        let base = base::with_package_lists()?;
        let store = Arc::new(Store {
            folder: base.with_extension("packages"),
            archives: archives(&fs::read_to_string(base.join("etc/apt/sources.list"))?),
        });
        fs::create_dir_all(&store.folder)?;
        let listener = TcpListener::bind((address, 0)).context("a proxy for the lab")?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                let store = Arc::clone(&store);
                std::thread::spawn(move || serve(&stream, &store));
            }
        });
        Ok(Self { address, ended })
    }

    /// What apt must be told.
    pub(crate) fn configuration(&self) -> String {
        format!("Acquire::http::Proxy \"http://{}\";\nAcquire::Languages \"none\";\n", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

/// The addresses of a sources.list.
fn archives(sources: &str) -> Vec<String> {
    let address =
        |line: &str| line.split_whitespace().find(|word| word.starts_with("http")).map(str::to_owned);
    sources.lines().filter(|line| line.starts_with("deb")).filter_map(address).collect()
}

/// Answers requests of one connection until it ends; a fault ends it.
fn serve(stream: &TcpStream, store: &Store) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader) {
        if answer(stream, &request, store).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

struct Request {
    method: String,
    address: String,
    since: Option<String>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut first = String::new();
        reader.read_line(&mut first).ok()?;
        let mut words = first.split_whitespace();
        let mut request =
            Self { method: words.next()?.to_owned(), address: words.next()?.to_owned(), since: None };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim();
            if line.is_empty() {
                return Some(request);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("if-modified-since")
            {
                request.since = Some(value.trim().to_owned());
            }
        }
    }
}

fn answer(mut stream: &TcpStream, request: &Request, store: &Store) -> Result<()> {
    let allowed = store.archives.iter().any(|archive| request.address.starts_with(archive.as_str()));
    let kept = if allowed && request.method == "GET" { store.get(&request.address).ok() } else { None };
    let Some((file, modified)) = kept else {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(());
    };
    if request.since.is_some() && request.since == modified {
        stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n")?;
        return Ok(());
    }
    let mut file = fs::File::open(file)?;
    let dated = modified.map(|date| format!("Last-Modified: {date}\r\n")).unwrap_or_default();
    write!(stream, "HTTP/1.1 200 OK\r\n{dated}Content-Length: {}\r\n\r\n", file.metadata()?.len())?;
    std::io::copy(&mut file, &mut stream)?;
    Ok(())
}

impl Store {
    /// The file kept for an address, downloaded if it is not there, and when it was last modified.
    fn get(&self, address: &str) -> Result<(PathBuf, Option<String>)> {
        let file = self.folder.join(&tree::digest(&[address.as_bytes()])[..32]);
        let heads = file.with_extension("heads");
        if !file.exists() {
            self.download(address, &file, &heads)?;
        }
        let text = fs::read_to_string(&heads).unwrap_or_default();
        let modified = text.lines().rev().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("last-modified").then(|| value.trim().to_owned())
        });
        Ok((file, modified))
    }

    fn download(&self, address: &str, file: &Path, heads: &Path) -> Result<()> {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.folder.join(format!("new-{}-{number}", std::process::id()));
        let mut curl = Command::new("curl");
        curl.args(["--fail", "--silent", "--show-error", "--location", "--dump-header"]).arg(heads);
        crate::shell::output(curl.arg("--output").arg(&unfinished).arg(address))?;
        Ok(fs::rename(unfinished, file)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Request, archives};

    #[test]
    fn archives_are_those_of_the_sources() {
        let text = "# deb http://no.example/ x\ndeb http://a.example/debian bookworm main\n";
        assert_eq!(archives(text), ["http://a.example/debian"]);
        assert_eq!(archives("deb [signed-by=/k] http://b.example x"), ["http://b.example"]);
    }

    #[test]
    fn a_request_is_read_to_its_empty_line() {
        let mut text = &b"GET http://a/b HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sat, 1\r\n\r\nrest"[..];
        let request = Request::read(&mut text).unwrap();
        assert_eq!((request.method.as_str(), request.address.as_str()), ("GET", "http://a/b"));
        assert_eq!(request.since.as_deref(), Some("Sat, 1"));
        assert_eq!(text, b"rest");
        assert!(Request::read(&mut &b""[..]).is_none());
    }
}
