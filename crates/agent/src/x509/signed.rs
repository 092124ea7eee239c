//! The envelope that requests and certificates come in: a body, the algorithm that signed it and the signature.

use super::der::{self, Item, Reader};
use crate::module::{Failure, Task};
use crate::openssl::{self, PrivateKey, Signature};

/// A body with what proves who wrote it.
pub(crate) struct Envelope {
    /// In DER, as it is or was written.
    pub(crate) whole: Vec<u8>,
    body: Vec<u8>,
    signature: Signature,
}

impl Envelope {
    pub(super) fn sign(
        task: &Task<'_>,
        key: &PrivateKey,
        body: Vec<u8>,
        digest: &str,
    ) -> Result<Self, Failure> {
        let signature = key.sign(task, &body, digest)?;
        let parts = [body, signature.algorithm, der::bits(&signature.made)];
        let whole = der::sequence(&parts);
        let [body, algorithm, _] = parts;
        Ok(Self { whole, body, signature: Signature { algorithm, made: signature.made } })
    }

    /// The first block in a text that has one of these labels. `None`: there is none, or it is nothing signed.
    pub(super) fn read(labels: &[&str], text: &[u8]) -> Option<Self> {
        let whole = openssl::from_pem(labels, &String::from_utf8_lossy(text))?;
        let mut parts = Reader::new(&whole).maybe(der::SEQUENCE)?.inside();
        let body = parts.maybe(der::SEQUENCE)?.whole.to_vec();
        let algorithm = parts.maybe(der::SEQUENCE)?.whole.to_vec();
        let made = parts.maybe(der::BITS)?.content.get(1..)?.to_vec();
        Some(Self { body, signature: Signature { algorithm, made }, whole })
    }

    pub(super) fn body(&self) -> Option<Item<'_>> {
        Reader::new(&self.body).maybe(der::SEQUENCE)
    }

    pub(super) fn algorithm_name(&self) -> String {
        openssl::algorithm_name(&self.signature.algorithm)
    }

    /// Whether the key that belongs to this public one signed it.
    pub(super) fn is_by(&self, task: &Task<'_>, public: &[u8]) -> Result<bool, Failure> {
        self.signature.is_of(task, public, &self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_signature_is_no_envelope() {
        let body = der::sequence(&[der::number(&[1])]);
        let read =
            |parts: &[Vec<u8>]| Envelope::read(&["X"], openssl::pem("X", &der::sequence(parts)).as_bytes());
        let found = read(&[body.clone(), body.clone(), der::bits(b"made")]).unwrap();
        assert_eq!(
            (found.body().unwrap().whole, found.signature.made.as_slice()),
            (&*body, b"made".as_slice())
        );
        assert!(read(&[body.clone(), body.clone()]).is_none());
        assert!(read(&[body]).is_none());
        assert!(Envelope::read(&["X"], b"nothing").is_none());
    }
}
