//! Signatures of images: of what names the image (as `cosign` has it) and of where it comes from (in-toto's envelope), by
//! an Ed25519 key in the usual PEM files: `openssl genpkey -algorithm ed25519`.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest;
use crate::error::{Doing, Error, Result};
use crate::provenance::provenance;
use crate::store::{Image, Store};

/// Before the bare key, in a public key's file.
const SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const STATEMENT: &str = "application/vnd.in-toto+json";

/// One signature; the texts are kept byte by byte, because they are what was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The beginning of the public key's digest.
    pub key: String,
    pub(crate) payload: String,
    pub(crate) signature: String,
    /// The statement of provenance, and the signature of its envelope.
    pub(crate) statement: String,
    pub(crate) statement_signature: String,
}

impl Signature {
    /// The statement in its envelope, as in-toto's tools read it.
    #[must_use]
    pub fn envelope(&self) -> Value {
        json!({
            "payloadType": STATEMENT,
            "payload": BASE64_STANDARD.encode(&self.statement),
            "signatures": [{"keyid": self.key, "sig": self.statement_signature}],
        })
    }
}

/// Signs an image; the signature is kept with it, beside those of other keys.
pub fn sign(store: &Store, image: &Image, key: &Path) -> Result<Signature> {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pem(key, "PRIVATE KEY")?).map_err(|_| {
        Error::wrong(format!(
            "{} is no Ed25519 key: `openssl genpkey -algorithm ed25519 -out {}` makes one",
            key.display(),
            key.display()
        ))
    })?;
    let payload = payload(image);
    let statement = provenance(image).to_string();
    let sign = |text: &[u8]| BASE64_STANDARD.encode(pair.sign(text).as_ref());
    let signature = Signature {
        key: name(pair.public_key().as_ref()),
        signature: sign(payload.as_bytes()),
        payload,
        statement_signature: sign(&envelope_text(&statement)),
        statement,
    };
    let mut all = store.signatures(image);
    all.retain(|other| other.key != signature.key);
    all.push(signature.clone());
    store.write_json(&store.signature_file(image), &all)?;
    Ok(signature)
}

/// The signature of that key, if it is good; an error says why not.
pub fn verify(store: &Store, image: &Image, public: &Path) -> Result<Signature> {
    let bytes = pem(public, "PUBLIC KEY")?;
    let key = bytes.strip_prefix(SPKI).filter(|key| key.len() == 32);
    let key = key.ok_or_else(|| Error::wrong(format!("{} is no public Ed25519 key", public.display())))?;
    let all = store.signatures(image);
    let found = all.into_iter().find(|one| one.key == name(key));
    let found = found.ok_or_else(|| {
        Error::wrong(format!("{} has no signature by the key of {}", image.short(), public.display()))
    })?;
    let public_key = UnparsedPublicKey::new(&ED25519, key);
    let good = |text: &[u8], signature: &str| {
        BASE64_STANDARD.decode(signature).is_ok_and(|signature| public_key.verify(text, &signature).is_ok())
    };
    let of_this_image = serde_json::from_str::<Value>(&found.payload)
        .is_ok_and(|payload| payload["critical"]["image"]["docker-manifest-digest"] == image.digest);
    let subject = serde_json::from_str::<Value>(&found.statement).is_ok_and(|statement| {
        statement["subject"][0]["digest"]["sha256"] == image.digest.trim_start_matches("sha256:")
    });
    let signed = good(found.payload.as_bytes(), &found.signature)
        && good(&envelope_text(&found.statement), &found.statement_signature);
    if !(of_this_image && subject && signed) {
        return Err(Error::wrong(format!(
            "the signature of {} is wrong: it was not made for this image",
            image.short()
        )));
    }
    store.check(image)?;
    Ok(found)
}

impl Store {
    fn signature_file(&self, image: &Image) -> std::path::PathBuf {
        self.path("signatures").join(format!("{}.json", image.digest.trim_start_matches("sha256:")))
    }

    /// Of whatever keys, unverified.
    #[must_use]
    pub fn signatures(&self, image: &Image) -> Vec<Signature> {
        self.read_json(&self.signature_file(image)).unwrap_or_default()
    }

    /// Whether everything that the image names is here and what it was.
    fn check(&self, image: &Image) -> Result<()> {
        let (manifest, config) = crate::export::manifest(self, image)?;
        if digest::of(&manifest) != image.digest {
            return Err(Error::wrong(format!("the manifest of {} is damaged", image.short())));
        }
        for digest in image.layers.iter().map(|layer| &layer.digest).chain([&config]) {
            let place = self.blob(digest);
            let mut file = fs::File::open(&place).at(&place)?;
            let mut hashing = digest::Hashing::new(std::io::sink());
            std::io::copy(&mut file, &mut hashing).at(&place)?;
            if hashing.finish().1 != *digest {
                return Err(Error::wrong(format!("the content {digest} of {} is damaged", image.short())));
            }
        }
        Ok(())
    }
}

/// What `cosign` signs.
fn payload(image: &Image) -> String {
    json!({
        "critical": {
            "identity": {"docker-reference": image.name},
            "image": {"docker-manifest-digest": image.digest},
            "type": "cosign container image signature",
        },
        "optional": {"generation": image.generation},
    })
    .to_string()
}

/// What is signed of an envelope: DSSE's encoding of type and content.
fn envelope_text(statement: &str) -> Vec<u8> {
    format!("DSSEv1 {} {STATEMENT} {} {statement}", STATEMENT.len(), statement.len()).into_bytes()
}

fn name(public: &[u8]) -> String {
    digest::of(public)["sha256:".len()..][..16].to_owned()
}

/// The bytes between the marks of that kind.
fn pem(path: &Path, kind: &str) -> Result<Vec<u8>> {
    let text = fs::read_to_string(path).at(path)?;
    let body = text
        .split_once(&format!("-----BEGIN {kind}-----"))
        .and_then(|(_, rest)| rest.split_once(&format!("-----END {kind}-----")));
    let wrong = || Error::wrong(format!("{} has no `{kind}` in PEM format", path.display()));
    let (body, _) = body.ok_or_else(wrong)?;
    let joined: String = body.split_whitespace().collect();
    BASE64_STANDARD.decode(joined).map_err(|_| wrong())
}
