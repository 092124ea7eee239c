//! A request for a certificate (CSR, PKCS #10).

use catalog::{Json, Map};
use serde_json::json;

use super::der::{self, Item};
use super::extensions::{self, Extension};
use super::names::Name;
use super::public::{Public, short_fingerprints};
use super::signed::Envelope;
use crate::module::{Failure, Task};
use crate::openssl::{self, PrivateKey};

const EXTENSIONS: &str = "1.2.840.113549.1.9.14";
const LABELS: &[&str] = &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) subject: Name,
    /// SubjectPublicKeyInfo.
    pub(crate) public: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

/// One that was read, with what proves that the owner of the key asks.
pub(crate) struct Signed {
    pub(crate) request: Request,
    envelope: Envelope,
}

impl Request {
    /// In text, signed.
    pub(crate) fn sign(&self, task: &Task<'_>, key: &PrivateKey, digest: &str) -> Result<String, Failure> {
        let mut attributes = Vec::new();
        if !self.extensions.is_empty() {
            let list = der::of(der::SET, &[extensions::list(&self.extensions)]);
            attributes.push(der::sequence(&[der::known_oid(EXTENSIONS), list]));
        }
        let body = der::sequence(&[
            der::number(&[0]),
            self.subject.der(),
            self.public.clone(),
            der::of(der::context(0), &attributes),
        ]);
        Ok(openssl::pem(LABELS[0], &Envelope::sign(task, key, body, digest)?.whole))
    }
}

impl Signed {
    /// From text; `None`: that is none.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let envelope = Envelope::read(LABELS, text)?;
        Some(Self { request: read_body(envelope.body()?)?, envelope })
    }

    /// Whether the owner of the key in it signed it.
    pub(crate) fn is_valid(&self, task: &Task<'_>) -> Result<bool, Failure> {
        self.envelope.is_by(task, &self.request.public)
    }

    /// As in a diff.
    pub(crate) fn told(&self, valid: bool) -> Json {
        let mut told = told_subject(&self.request.subject, &self.request.public);
        told.extend(extensions::told(&self.request.extensions));
        told.insert("signature_valid".to_owned(), json!(valid));
        told.insert("can_parse_csr".to_owned(), json!(true));
        told.into()
    }
}

fn read_body(body: Item<'_>) -> Option<Request> {
    let mut parts = body.inside();
    parts.maybe(der::INTEGER)?;
    let subject = Name::read(parts.maybe(der::SEQUENCE)?);
    let public = parts.maybe(der::SEQUENCE)?.whole.to_vec();
    let mut extensions = Vec::new();
    for attribute in parts.maybe(der::context(0)).into_iter().flat_map(|all| all.inside()) {
        let mut attribute = attribute.inside();
        if attribute.maybe(der::OID).is_some_and(|oid| oid.oid() == EXTENSIONS) {
            let list = attribute.maybe(der::SET).and_then(|set| set.inside().next());
            extensions = list.map(extensions::read).unwrap_or_default();
        }
    }
    Some(Request { subject, public, extensions })
}

/// Who it is, and by which key.
pub(super) fn told_subject(subject: &Name, public: &[u8]) -> Map {
    let mut told = Map::new();
    let by_name: Map =
        subject.pairs().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    told.insert("subject".to_owned(), by_name.into());
    told.insert("subject_ordered".to_owned(), json!(subject.pairs()));
    let known = Public::read(public);
    told.insert("public_key".to_owned(), openssl::pem("PUBLIC KEY", public).into());
    told.insert("public_key_type".to_owned(), json!(known.as_ref().map(Public::name)));
    told.insert("public_key_data".to_owned(), json!(known.map(|known| known.data())));
    told.insert("public_key_fingerprints".to_owned(), short_fingerprints(public));
    told
}
