//! A zip archive in memory, as Python imports from it. Equal contents give equal bytes.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// 1980-01-01, the first day that the format knows.
const DAY: u16 = 0x21;
const VERSION: u16 = 20;
const DEFLATED: u16 = 8;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;

pub(super) fn archive(files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in files {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
        packer.write_all(content)?;
        let packed = packer.finish()?;
        let mut crc = Crc::new();
        crc.update(content);
        let at = long(out.len())?;
        let mut head = Vec::new();
        for number in [VERSION, FLAGS, DEFLATED, 0, DAY] {
            head.extend(number.to_le_bytes());
        }
        for number in [crc.sum(), long(packed.len())?, long(content.len())?] {
            head.extend(number.to_le_bytes());
        }
        head.extend(short(name.len())?.to_le_bytes());
        head.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&head);
        out.extend(name.as_bytes());
        out.extend(packed);
        directory.extend(b"PK\x01\x02");
        directory.extend(VERSION.to_le_bytes());
        directory.extend(head);
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size, count) = (long(out.len())?, long(directory.len())?, short(files.len())?);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    Ok(out)
}

fn long(number: usize) -> std::io::Result<u32> {
    u32::try_from(number).map_err(|_| std::io::Error::other("the module and what it imports are too large"))
}

fn short(number: usize) -> std::io::Result<u16> {
    u16::try_from(number).map_err(|_| std::io::Error::other("the module imports too many files"))
}
