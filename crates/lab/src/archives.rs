//! A small caching proxy on the lab's side of this machine: hosts reach the package archives that are named, and nothing
//! else; all of them see the same versions, and nothing is downloaded twice.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Brings an address into a file, and says when it was last modified, in HTTP's words.
pub type Fetch = dyn Fn(&str, &Path) -> io::Result<Option<String>> + Send + Sync;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Archives {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

struct Shelf {
    folder: PathBuf,
    /// Addresses that may be asked for begin with one of these.
    allowed: Vec<String>,
    fetch: Box<Fetch>,
}

impl Archives {
    /// Listens on an address of this machine that only the lab sees. `folder` keeps what was fetched.
    pub fn serve(
        address: IpAddr,
        folder: PathBuf,
        allowed: Vec<String>,
        fetch: Box<Fetch>,
    ) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let shelf = Arc::new(Shelf { folder, allowed, fetch });
        let listener = TcpListener::bind((address, 0))?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                let shelf = Arc::clone(&shelf);
                std::thread::spawn(move || attend(&stream, &shelf));
            }
        });
        Ok(Self { address, ended })
    }

    /// What apt must be told.
    #[must_use]
    pub fn configuration(&self) -> String {
        format!("Acquire::http::Proxy \"http://{}\";\nAcquire::Languages \"none\";\n", self.address)
    }
}

impl Drop for Archives {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

/// The addresses that apt's sources name: lines, or paragraphs with `URIs:`.
#[must_use]
pub fn addresses(sources: &str) -> Vec<String> {
    let named = |line: &&str| line.starts_with("deb") || line.to_ascii_lowercase().starts_with("uris:");
    let words = sources.lines().filter(named).flat_map(str::split_whitespace);
    words.filter(|word| word.starts_with("http")).map(str::to_owned).collect()
}

/// Answers requests of one connection until it ends; a fault ends it.
fn attend(stream: &TcpStream, shelf: &Shelf) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader) {
        if answer(stream, &request, shelf).is_err() {
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

fn answer(mut stream: &TcpStream, request: &Request, shelf: &Shelf) -> io::Result<()> {
    let allowed = shelf.allowed.iter().any(|archive| request.address.starts_with(archive.as_str()));
    let kept = if allowed && request.method == "GET" { shelf.get(&request.address).ok() } else { None };
    let Some((file, modified)) = kept else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    if request.since.is_some() && request.since == modified {
        return stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n");
    }
    let mut file = fs::File::open(file)?;
    let dated = modified.map(|date| format!("Last-Modified: {date}\r\n")).unwrap_or_default();
    write!(stream, "HTTP/1.1 200 OK\r\n{dated}Content-Length: {}\r\n\r\n", file.metadata()?.len())?;
    io::copy(&mut file, &mut stream)?;
    Ok(())
}

impl Shelf {
    /// The file kept for an address, fetched if it is not there, and when it was last modified.
    fn get(&self, address: &str) -> io::Result<(PathBuf, Option<String>)> {
        let file = self.folder.join(name(address));
        let date = self.folder.join(format!("{}.date", name(address)));
        if !file.exists() {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let unfinished = self.folder.join(format!("new-{}-{number}", std::process::id()));
            let modified = (self.fetch)(address, &unfinished);
            let modified = modified.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
            fs::write(&date, modified.unwrap_or_default())?;
            fs::rename(unfinished, &file)?;
        }
        let modified = fs::read_to_string(date).ok().filter(|date| !date.is_empty());
        Ok((file, modified))
    }
}

/// An address as the name of one file.
fn name(address: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b'+');
    let escaped = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    address.bytes().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_those_of_the_sources() {
        let text = "# deb http://no.example/ x\ndeb http://a.example/debian bookworm main\n";
        assert_eq!(addresses(text), ["http://a.example/debian"]);
        assert_eq!(addresses("deb [signed-by=/k] http://b.example x"), ["http://b.example"]);
        assert_eq!(
            addresses("Types: deb\n# http://no\nURIs: http://c.example/debian\n"),
            ["http://c.example/debian"]
        );
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

    #[test]
    fn what_is_named_is_fetched_once_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("theseus-archives-{}", std::process::id()));
        let fetch = |address: &str, to: &Path| {
            fs::write(to, address)?;
            Ok(Some("Sat, 1".to_owned()))
        };
        let shelf = Shelf { folder: folder.clone(), allowed: Vec::new(), fetch: Box::new(fetch) };
        fs::create_dir_all(&folder).unwrap();
        let (file, date) = shelf.get("http://a.example/x?y").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "http://a.example/x?y");
        assert_eq!(date.as_deref(), Some("Sat, 1"));
        fs::write(&file, "kept").unwrap();
        assert_eq!(fs::read_to_string(shelf.get("http://a.example/x?y").unwrap().0).unwrap(), "kept");
        fs::remove_dir_all(folder).unwrap();
    }
}
