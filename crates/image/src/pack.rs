//! Tar archives that depend on nothing but what they hold: sorted, numeric owners, times clamped, the same bytes
//! whoever writes them. Long names, large numbers and attributes go into POSIX extended headers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};

use crate::error::{Doing, Result};
use crate::tree::{Kind, Node};

const BLOCK: usize = 512;

pub(crate) struct Packer<W: Write> {
    to: W,
    epoch: i64,
    /// The first name of files that have several.
    first: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Packer<W> {
    /// No time in the archive is after `epoch`.
    pub(crate) fn new(to: W, epoch: i64) -> Self {
        Self { to, epoch, first: HashMap::new() }
    }

    pub(crate) fn add(&mut self, path: &[u8], node: &Node) -> Result<()> {
        let shown = String::from_utf8_lossy(path).into_owned();
        if node.kind == Kind::Socket {
            return Ok(());
        }
        if node.content.is_none()
            && let Some(inode) = node.inode
        {
            if let Some(first) = self.first.get(&inode).cloned() {
                return self.entry(path, node, b'1', 0, &first).doing(shown);
            }
            self.first.insert(inode, path.to_vec());
        }
        let (flag, size) = match node.kind {
            Kind::Dir => (b'5', 0),
            Kind::Link => (b'2', 0),
            Kind::Char => (b'3', 0),
            Kind::Block => (b'4', 0),
            Kind::Fifo => (b'6', 0),
            Kind::File | Kind::Socket => (b'0', node.size),
        };
        self.entry(path, node, flag, size, &node.target).doing(&shown)?;
        if flag != b'0' {
            return Ok(());
        }
        match &node.content {
            Some(content) => self.body(&content[..], size).doing(shown),
            None => {
                let place = node.place(path);
                let file = File::open(&place).at(&place)?;
                self.body(file, size).at(&place)
            }
        }
    }

    /// Marks a path as removed from the layers below.
    pub(crate) fn remove(&mut self, path: &[u8]) -> Result<()> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..=at], &path[at + 1..]),
            None => (&b""[..], path),
        };
        let name = [parent, b".wh.", name].concat();
        let root = std::sync::Arc::from(std::path::Path::new("/"));
        let node = Node { mode: 0, mtime: self.epoch, ..Node::file(&root, 0, b"") };
        self.entry(&name, &node, b'0', 0, b"").doing(String::from_utf8_lossy(&name))
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.to.write_all(&[0; 2 * BLOCK])?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn entry(&mut self, path: &[u8], node: &Node, flag: u8, size: u64, target: &[u8]) -> io::Result<()> {
        let mut name = path.to_vec();
        if flag == b'5' {
            name.push(b'/');
        }
        let mtime = node.mtime.min(self.epoch);
        let mut extended = Vec::new();
        if name.len() > 100 || !name.is_ascii() {
            record(&mut extended, "path", &name);
        }
        if matches!(flag, b'1' | b'2') && (target.len() > 100 || !target.is_ascii()) {
            record(&mut extended, "linkpath", target);
        }
        for (key, id) in [("uid", node.uid), ("gid", node.gid)] {
            if id > 0o7_777_777 {
                record(&mut extended, key, id.to_string().as_bytes());
            }
        }
        if size > 0o77_777_777_777 {
            record(&mut extended, "size", size.to_string().as_bytes());
        }
        if mtime < 0 {
            record(&mut extended, "mtime", mtime.to_string().as_bytes());
        }
        if flag != b'1' {
            for (key, value) in &node.xattrs {
                record(&mut extended, &format!("SCHILY.xattr.{key}"), value);
            }
        }
        if !extended.is_empty() {
            let header = Header {
                name: b"././@PaxHeader",
                mode: 0o644,
                flag: b'x',
                size: extended.len() as u64,
                ..Header::default()
            };
            self.to.write_all(&header.bytes())?;
            self.to.write_all(&extended)?;
            self.pad(extended.len() as u64)?;
        }
        let devices = (rustix::fs::major(node.rdev), rustix::fs::minor(node.rdev));
        let header = Header {
            name: &name,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            size,
            mtime: u64::try_from(mtime).unwrap_or(0),
            flag,
            target: if matches!(flag, b'1' | b'2') { target } else { b"" },
            devices: matches!(flag, b'3' | b'4').then_some(devices),
        };
        self.to.write_all(&header.bytes())
    }

    fn body(&mut self, from: impl Read, size: u64) -> io::Result<()> {
        let copied = io::copy(&mut from.take(size), &mut self.to)?;
        if copied != size {
            return Err(io::Error::other("the file became shorter while it was read"));
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        if over > 0 { self.to.write_all(&[0; BLOCK][over..]) } else { Ok(()) }
    }
}

/// `length key=value\n`, where the length counts itself.
fn record(to: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    to.extend_from_slice(format!("{length} {key}=").as_bytes());
    to.extend_from_slice(value);
    to.push(b'\n');
}

#[derive(Default)]
struct Header<'a> {
    name: &'a [u8],
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: u64,
    flag: u8,
    target: &'a [u8],
    devices: Option<(u32, u32)>,
}

impl Header<'_> {
    fn bytes(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        text(&mut block, 0, 100, self.name);
        octal(&mut block, 100, 8, u64::from(self.mode));
        octal(&mut block, 108, 8, u64::from(self.uid).min(0o7_777_777));
        octal(&mut block, 116, 8, u64::from(self.gid).min(0o7_777_777));
        octal(&mut block, 124, 12, self.size.min(0o77_777_777_777));
        octal(&mut block, 136, 12, self.mtime);
        block[156] = self.flag;
        text(&mut block, 157, 100, self.target);
        text(&mut block, 257, 8, b"ustar\x0000");
        if let Some((major, minor)) = self.devices {
            octal(&mut block, 329, 8, u64::from(major));
            octal(&mut block, 337, 8, u64::from(minor));
        }
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut block, 148, 7, sum);
        block
    }
}

fn text(block: &mut [u8; BLOCK], at: usize, room: usize, text: &[u8]) {
    let length = text.len().min(room);
    block[at..at + length].copy_from_slice(&text[..length]);
}

fn octal(block: &mut [u8; BLOCK], at: usize, room: usize, number: u64) {
    let digits = format!("{number:0width$o}", width = room - 1);
    text(block, at, room - 1, digits.as_bytes());
    block[at + room - 1] = 0;
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn long_names_attributes_and_removals_are_read_back_by_others() {
        let dir: Arc<Path> = Arc::from(Path::new("/nowhere"));
        let long = [b"d/".as_slice(), &[b'x'; 200]].concat();
        let mut packer = Packer::new(Vec::new(), 1000);
        packer.add(b"d", &Node { mtime: 5000, ..Node::dir(&dir, 0o755) }).unwrap();
        // No newline among the bytes: the format allows it, this reader does not.
        let capability = vec![("security.capability".to_owned(), vec![1, 0, 2, 255])];
        packer
            .add(&long, &Node { xattrs: capability, uid: 10_000_000, ..Node::file(&dir, 0o4755, b"hello") })
            .unwrap();
        packer.remove(b"d/gone").unwrap();
        let bytes = packer.finish().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut body = Vec::new();
            entry.read_to_end(&mut body).unwrap();
            let all = entry.pax_extensions().unwrap().into_iter().flatten();
            let extensions: Vec<_> = all.map(|one| one.unwrap().key().unwrap().to_owned()).collect();
            seen.push((entry.path_bytes().to_vec(), entry.header().mtime().unwrap(), body, extensions));
        }
        assert_eq!(seen[0], (b"d/".to_vec(), 1000, Vec::new(), Vec::new()));
        let keys = ["path", "uid", "SCHILY.xattr.security.capability"].map(str::to_owned);
        assert_eq!(seen[1], (long, 0, b"hello".to_vec(), keys.to_vec()));
        assert_eq!(seen[2].0, b"d/.wh.gone");
    }
}
