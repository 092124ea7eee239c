//! Moving contents: hashing on the way, holes staying holes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rustix::fs::SeekFrom as Sought;

use crate::digest::{Digest, Hasher};

const BUFFER: usize = 64 * 1024;

/// Copy everything, hashing on the way.
pub(crate) fn pour(from: &mut impl Read, to: &mut impl Write) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut size = 0;
    each_block(from, |block| {
        hasher.update(block);
        size += block.len() as u64;
        to.write_all(block)
    })?;
    Ok((Digest::finish(&hasher), size))
}

pub(crate) fn each_block(
    from: &mut impl Read,
    mut act: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => act(&buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Copy a file into an empty one, from its beginning. Where the one has holes, so has the other.
pub(crate) fn copy_file(from: &mut File, to: &mut File, hasher: &mut Hasher) -> io::Result<u64> {
    let size = from.metadata()?.len();
    let mut at = 0;
    while at < size {
        // File systems without holes say that all is data; those without the call too.
        let data = match rustix::fs::seek(&*from, Sought::Data(at)) {
            Ok(data) => data.min(size),
            Err(rustix::io::Errno::NXIO) => size,
            Err(_) => at,
        };
        let hole = match rustix::fs::seek(&*from, Sought::Hole(data)) {
            Ok(hole) if hole > data => hole,
            _ => size,
        };
        hash_zeros(hasher, data - at);
        from.seek(SeekFrom::Start(data))?;
        to.seek(SeekFrom::Start(data))?;
        let wanted = hole.saturating_sub(data);
        let mut copied = 0;
        each_block(&mut Read::by_ref(from).take(wanted), |block| {
            hasher.update(block);
            copied += block.len() as u64;
            to.write_all(block)
        })?;
        at = data + copied;
        if copied < wanted {
            break;
        }
    }
    to.set_len(at)?;
    Ok(at)
}

fn hash_zeros(hasher: &mut Hasher, mut count: u64) {
    const ZEROS: &[u8] = &[0; 64 * 1024];
    while count > 0 {
        let part = count.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..part as usize]);
        count -= part;
    }
}

/// Whether a file has a hole.
pub(crate) fn is_sparse(file: &File) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    rustix::fs::seek(file, Sought::Hole(0)).is_ok_and(|hole| hole < metadata.len())
}

/// Write blocks of zeros as holes.
pub(crate) fn pour_sparse(
    from: &mut impl Read,
    to: &mut File,
    mut note: impl FnMut(&[u8]),
) -> io::Result<u64> {
    const PAGE: usize = 4096;
    let mut size = 0;
    each_block(from, |block| {
        note(block);
        for page in block.chunks(PAGE) {
            size += page.len() as u64;
            if page.iter().all(|b| *b == 0) {
                to.seek(SeekFrom::Current(page.len() as i64))?;
            } else {
                to.write_all(page)?;
            }
        }
        Ok(())
    })?;
    to.set_len(size)?;
    Ok(size)
}
