//! Contents that nobody may read in the store: encrypted under a key that only this host has, and named by a keyed
//! digest, so that a weak password cannot be guessed from its digest.
//!
//! `.x`: 12 bytes of nonce, then the content under ChaCha20-Poly1305.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::digest::{Digest, Hasher};
use crate::error::{At, Error, Result};

/// In `key` of the state directory, for its owner's eyes only.
pub(crate) struct Key {
    digests: [u8; 32],
    cipher: LessSafeKey,
}

impl Key {
    pub(crate) fn of_host(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join("key");
        let secret = match std::fs::read(&path) {
            Ok(bytes) => <[u8; 32]>::try_from(bytes).map_err(|_| Error::Damaged {
                path: path.clone(),
                reason: "it is not 32 bytes long".to_owned(),
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => make(&path)?,
            Err(e) => return Err(e).at("read", &path),
        };
        let cipher = blake3::derive_key("theseus 2026 contents of secret files", &secret);
        Ok(Self {
            digests: blake3::derive_key("theseus 2026 digests of secret files", &secret),
            cipher: LessSafeKey::new(
                UnboundKey::new(&CHACHA20_POLY1305, &cipher).expect("the key has the cipher's length"),
            ),
        })
    }

    pub(crate) fn hasher(&self) -> Hasher {
        Hasher::new_keyed(&self.digests)
    }

    pub(crate) fn digest(&self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        Digest::finish(&hasher)
    }

    pub(crate) fn encrypt(&self, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        let failed = |_| io::Error::other("the system gave no random numbers, or the content is too long");
        SystemRandom::new().fill(&mut nonce).map_err(failed)?;
        let once = Nonce::assume_unique_for_key(nonce);
        self.cipher.seal_in_place_append_tag(once, Aad::empty(), &mut bytes).map_err(failed)?;
        Ok([&nonce, bytes.as_slice()].concat())
    }

    pub(crate) fn decrypt(&self, mut from: File) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        from.read_exact(&mut nonce)?;
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let once = Nonce::assume_unique_for_key(nonce);
        let length = match self.cipher.open_in_place(once, Aad::empty(), &mut bytes) {
            Ok(plain) => plain.len(),
            Err(_) => return Err(io::Error::other("it is not what was encrypted with this host's key")),
        };
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn make(path: &Path) -> Result<[u8; 32]> {
    let mut secret = [0; 32];
    let random = SystemRandom::new().fill(&mut secret);
    random.map_err(|_| io::Error::other("the system gave no random numbers")).at("make a key in", path)?;
    let temporary = path.with_extension("new");
    _ = std::fs::remove_file(&temporary);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .at("create", &temporary)?;
    file.write_all(&secret).and_then(|()| file.sync_all()).at("write", &temporary)?;
    std::fs::rename(&temporary, path).at("write", path)?;
    crate::durable::sync_dir(path.parent().unwrap_or(Path::new("/")))?;
    Ok(secret)
}
