//! The agent's binary as it is sent to hosts: compressed, known by its digest.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// An agent that can be pushed. Cheap to clone.
#[derive(Clone)]
pub struct Image(Arc<Inner>);

struct Inner {
    /// BLAKE3 of the binary, in hex.
    digest: Cow<'static, str>,
    /// The binary, gzipped: what every host can open.
    packed: Cow<'static, [u8]>,
    sha256: Cow<'static, str>,
    size: usize,
}

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent.gz"));

impl Image {
    /// The agent this program was built with.
    pub fn embedded() -> Self {
        Self(Arc::new(Inner {
            digest: Cow::Borrowed(env!("THESEUS_AGENT_BLAKE3")),
            packed: Cow::Borrowed(PACKED),
            sha256: Cow::Borrowed(env!("THESEUS_AGENT_SHA256")),
            size: env!("THESEUS_AGENT_SIZE").parse().unwrap_or(0),
        }))
    }

    /// Another binary.
    pub fn from_binary(binary: &[u8]) -> io::Result<Self> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(binary)?;
        Ok(Self(Arc::new(Inner {
            digest: blake3::hash(binary).to_hex().to_string().into(),
            packed: packer.finish()?.into(),
            sha256: hex(ring::digest::digest(&ring::digest::SHA256, binary).as_ref()).into(),
            size: binary.len(),
        })))
    }

    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Size of the binary, unpacked.
    pub fn size(&self) -> usize {
        self.0.size
    }

    pub fn packed(&self) -> &[u8] {
        &self.0.packed
    }

    pub(crate) fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// The binary itself.
    pub fn binary(&self) -> io::Result<Vec<u8>> {
        let mut binary = Vec::with_capacity(self.0.size);
        flate2::read::GzDecoder::new(self.packed()).read_to_end(&mut binary)?;
        Ok(binary)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
