//! SHA-256, as the OCI names everything; and a writer that counts and hashes what goes through it.

use std::io::{self, Write};

use ring::digest::{Context, SHA256};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bare hash.
pub(crate) fn bytes(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&SHA256, bytes).as_ref().to_vec()
}

/// `sha256:…` of some bytes.
pub(crate) fn of(some: &[u8]) -> String {
    format!("sha256:{}", hex(&bytes(some)))
}

/// Passes everything on and knows its digest.
pub(crate) struct Hashing<W> {
    to: W,
    context: Context,
    size: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, context: Context::new(&SHA256), size: 0 }
    }

    /// What was written to, the digest and the size.
    pub(crate) fn finish(self) -> (W, String, u64) {
        (self.to, format!("sha256:{}", hex(self.context.finish().as_ref())), self.size)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.context.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
