//! Compressed objects: deflate where it saves. Done in housekeeping, so that no change waits for it.
//!
//! `.z`: one byte that says whether the content had holes (1) or not (0), then a zlib stream.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::{Form, Store};
use crate::content::each_block;
use crate::digest::{Digest, Hasher};
use crate::error::{At, Result};

/// Smaller ones take one block either way.
const LEAST: u64 = 4096;

pub(super) fn reader(file: File) -> io::Result<impl Read + Send> {
    reader_and_holes(file).map(|(reader, _)| reader)
}

pub(super) fn reader_and_holes(file: File) -> io::Result<(impl Read + Send, bool)> {
    let mut file = BufReader::new(file);
    let mut sparse = [0];
    file.read_exact(&mut sparse)?;
    Ok((ZlibDecoder::new(file), sparse[0] == 1))
}

/// Compress what is not compressed yet and gets smaller by at least an eighth; returns the bytes saved. Objects that
/// share their inode with a living file are left to the run that made them.
pub fn compress(state_dir: &Path) -> Result<u64> {
    let store = Store::new(state_dir);
    let mut todo = Vec::new();
    store.each(|digest, form, path| {
        use std::os::unix::fs::MetadataExt;
        let metadata = path.metadata().at("look at", path)?;
        if form == Form::Plain && metadata.len() > LEAST && metadata.nlink() == 1 {
            todo.push(digest);
        }
        Ok(())
    })?;
    todo.into_iter().try_fold(0, |saved, digest| Ok(saved + store.pack(digest)?))
}

impl Store {
    fn pack(&self, digest: Digest) -> Result<u64> {
        let plain = self.path(digest);
        let mut file = File::open(&plain).at("open", &plain)?;
        let size = file.metadata().at("look at", &plain)?.len();
        let sparse = super::is_sparse(&file);
        let (mut new, temporary) = self.temporary()?;
        let mut hasher = Hasher::new();
        let packed = write_packed(&mut file, &mut new, sparse, &mut hasher).at("compress", &plain);
        let packed = packed.inspect_err(|_| _ = std::fs::remove_file(&temporary))?;
        // A damaged object is left to be named by the check.
        if Digest::finish(&hasher) != digest || packed > size - size / 8 {
            std::fs::remove_file(&temporary).at("remove", &temporary)?;
            return Ok(0);
        }
        new.sync_all().at("write", &temporary)?;
        self.settle(&temporary, &self.path_as(digest, Form::Compressed))?;
        crate::durable::sync_dir(plain.parent().unwrap_or(Path::new("/")))?;
        std::fs::remove_file(&plain).at("remove", &plain)?;
        Ok(size - packed)
    }
}

fn write_packed(from: &mut File, to: &mut File, sparse: bool, hasher: &mut Hasher) -> io::Result<u64> {
    to.write_all(&[u8::from(sparse)])?;
    let mut encoder = ZlibEncoder::new(to, Compression::default());
    each_block(from, |block| {
        hasher.update(block);
        encoder.write_all(block)
    })?;
    Ok(encoder.finish()?.metadata()?.len())
}
