//! Customers who ask all the while.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// One request on a connection that stays open; the status.
fn ask(stream: &mut TcpStream) -> std::io::Result<u16> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap_or(0);
        }
        if let Some(rest) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = rest.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(status)
}

/// Customers: some connections that ask all the while.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    fine: Arc<AtomicU32>,
    failed: Arc<AtomicU32>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

impl Load {
    /// On connections that stay open.
    pub(super) fn on(port: u16) -> Self {
        Self::of(port, true)
    }

    /// Each request on a connection of its own.
    pub(super) fn anew(port: u16) -> Self {
        Self::of(port, false)
    }

    fn of(port: u16, stay: bool) -> Self {
        let (stop, fine, failed) = <(Arc<AtomicBool>, Arc<AtomicU32>, Arc<AtomicU32>)>::default();
        let customer = |_| {
            let (stop, fine, failed) = (stop.clone(), fine.clone(), failed.clone());
            std::thread::spawn(move || {
                let mut stream = connect(port);
                while !stop.load(Ordering::Relaxed) {
                    match ask(&mut stream) {
                        Ok(200) => fine.fetch_add(1, Ordering::Relaxed),
                        other => {
                            eprintln!("a request failed: {other:?}");
                            stream = connect(port);
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                    if !stay {
                        stream = connect(port);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        };
        let threads = (0..4).map(customer).collect();
        Self { stop, fine, failed, threads }
    }

    pub(super) fn end(self) -> (u32, u32) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        (self.fine.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}
