//! A certificate (X.509, version 3).

use catalog::{Json, Map};
use jiff::Timestamp;
use serde_json::json;

use super::der::{self, Item, Reader};
use super::extensions::{self, Extension};
use super::names::{Name, general_text};
use super::public::{number, short_fingerprints};
use super::request::told_subject;
use super::signed::Envelope;
use super::time;
use crate::module::{Failure, Task};
use crate::openssl::{self, PrivateKey};

const LABELS: &[&str] = &["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
const ACCESS: &str = "1.3.6.1.5.5.7.1.1";

/// What is certified.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// A positive number.
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: Name,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) subject: Name,
    /// SubjectPublicKeyInfo.
    pub(crate) public: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

/// One that was read.
pub(crate) struct Signed {
    pub(crate) certificate: Certificate,
    envelope: Envelope,
}

impl Certificate {
    /// In text, signed.
    pub(crate) fn sign(&self, task: &Task<'_>, key: &PrivateKey, digest: &str) -> Result<String, Failure> {
        let algorithm = key.algorithm(digest)?;
        let mut parts = vec![
            der::of(der::context(0), &[der::number(&[2])]),
            der::number(&self.serial),
            algorithm,
            self.issuer.der(),
            der::sequence(&[time::der(self.not_before), time::der(self.not_after)]),
            self.subject.der(),
            self.public.clone(),
        ];
        if !self.extensions.is_empty() {
            parts.push(der::of(der::context(3), &[extensions::list(&self.extensions)]));
        }
        let signed = Envelope::sign(task, key, der::sequence(&parts), digest)?;
        Ok(openssl::pem(LABELS[0], &signed.whole))
    }
}

impl Signed {
    /// From text; `None`: that is none.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let envelope = Envelope::read(LABELS, text)?;
        Some(Self { certificate: read_body(envelope.body()?)?, envelope })
    }

    /// Whether the key that belongs to this public one signed it.
    pub(crate) fn is_by(&self, task: &Task<'_>, public: &[u8]) -> Result<bool, Failure> {
        self.envelope.is_by(task, public)
    }

    /// As in a diff.
    pub(crate) fn told(&self) -> Json {
        let is = &self.certificate;
        let mut told = Map::new();
        told.insert("signature_algorithm".to_owned(), self.envelope.algorithm_name().into());
        told.extend(told_subject(&is.subject, &is.public));
        let issuer: Map =
            is.issuer.pairs().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        told.insert("issuer".to_owned(), issuer.into());
        told.insert("issuer_ordered".to_owned(), json!(is.issuer.pairs()));
        told.insert("version".to_owned(), json!(3));
        told.extend(extensions::told(&is.extensions));
        told.insert("not_before".to_owned(), time::text(is.not_before).into());
        told.insert("not_after".to_owned(), time::text(is.not_after).into());
        told.insert("expired".to_owned(), json!(is.not_after < Timestamp::now()));
        told.insert("fingerprints".to_owned(), short_fingerprints(&self.envelope.whole));
        told.insert("serial_number".to_owned(), is.serial_number());
        told.insert("ocsp_uri".to_owned(), json!(is.access("1.3.6.1.5.5.7.48.1")));
        told.insert("issuer_uri".to_owned(), json!(is.access("1.3.6.1.5.5.7.48.2")));
        told.insert("can_parse_certificate".to_owned(), json!(true));
        told.into()
    }
}

impl Certificate {
    pub(crate) fn serial_number(&self) -> Json {
        let written = der::number(&self.serial);
        Reader::new(&written).next().map_or(Json::Null, number)
    }

    /// Where its issuer answers questions of this kind.
    fn access(&self, method: &str) -> Option<String> {
        let list = &extensions::find(&self.extensions, ACCESS)?.value;
        let mut all = Reader::new(list).maybe(der::SEQUENCE)?.inside();
        let found = all.find(|one| one.inside().next().is_some_and(|oid| oid.oid() == method))?;
        let place = general_text(found.inside().nth(1)?);
        place.strip_prefix("URI:").map(str::to_owned)
    }

    /// Who answers for it, by the identifier of the key or by the key itself.
    pub(crate) fn key_identifier(&self) -> Vec<u8> {
        let own = extensions::find(&self.extensions, extensions::SUBJECT_KEY);
        let own = own.and_then(|own| Some(Reader::new(&own.value).maybe(der::OCTETS)?.content.to_vec()));
        own.unwrap_or_else(|| extensions::key_identifier(&self.public))
    }

    /// The same extensions, in whatever order.
    pub(crate) fn has_extensions(&self, wanted: &[Extension]) -> bool {
        self.extensions.len() == wanted.len()
            && wanted.iter().all(|one| self.extensions.iter().any(|is| is.means(one)))
    }
}

fn read_body(body: Item<'_>) -> Option<Certificate> {
    let mut parts = body.inside();
    parts.maybe(der::context(0));
    let serial = parts.maybe(der::INTEGER)?.unsigned().to_vec();
    parts.maybe(der::SEQUENCE)?;
    let issuer = Name::read(parts.maybe(der::SEQUENCE)?);
    let mut times = parts.maybe(der::SEQUENCE)?.inside();
    let (not_before, not_after) = (time::read(times.next()?)?, time::read(times.next()?)?);
    let subject = Name::read(parts.maybe(der::SEQUENCE)?);
    let public = parts.maybe(der::SEQUENCE)?.whole.to_vec();
    let rest = parts.find(|part| part.tag == der::context(3));
    let extensions = rest.and_then(|rest| rest.inside().next()).map(extensions::read).unwrap_or_default();
    Some(Certificate { serial, issuer, not_before, not_after, subject, public, extensions })
}
