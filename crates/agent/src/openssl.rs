//! The host's `openssl`, which makes keys and signs with them: the agent has no cryptography of its own for that.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use catalog::Args;
use layer::Scratch;

use crate::children;
use crate::command::{Output, RunError};
use crate::module::{Failure, Task};
use crate::x509::der;
use crate::x509::public::{Kind, Public};

/// Runs `openssl`; what it reads from its input is secret.
pub(crate) fn run(task: &Task<'_>, argv: &[&str], secret: &[u8]) -> Result<Output, Failure> {
    let mut words = vec!["openssl"];
    words.extend(argv);
    match children::in_c_locale(task, &words).stdin(secret).output() {
        Err(RunError::NotStarted { .. }) => {
            Err("this module needs the program `openssl` on the host, and there is none: install openssl"
                .into())
        }
        other => Ok(other?),
    }
}

/// A passphrase as `openssl` reads it from its input: one line. The same, if it is asked for twice.
pub(crate) fn line(passphrase: Option<&str>) -> Vec<u8> {
    let passphrase = passphrase.unwrap_or_default();
    format!("{passphrase}\n{passphrase}\n").into_bytes()
}

/// Why a private key could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It needs another one, or none.
    Passphrase,
    Broken,
}

/// The public half of a private key in PEM.
pub(crate) fn public(
    task: &Task<'_>,
    path: &Path,
    passphrase: Option<&str>,
) -> Result<Result<Vec<u8>, Unreadable>, Failure> {
    let content = crate::files::read(path)?;
    let text = String::from_utf8_lossy(&content);
    let encrypted = text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED");
    if !text.contains("-----BEGIN ") {
        return Ok(Err(Unreadable::Broken));
    }
    if encrypted != passphrase.is_some_and(|text| !text.is_empty()) {
        return Ok(Err(Unreadable::Passphrase));
    }
    let path = path.display().to_string();
    let argv = ["pkey", "-in", &path, "-passin", "stdin", "-pubout", "-outform", "DER"];
    let output = run(task, &argv, &line(passphrase))?;
    Ok(match output.ok() {
        true => Ok(output.stdout),
        false if encrypted => Err(Unreadable::Passphrase),
        false => Err(Unreadable::Broken),
    })
}

/// A private key that signs.
pub(crate) struct PrivateKey {
    path: PathBuf,
    passphrase: Vec<u8>,
    /// SubjectPublicKeyInfo, in DER.
    pub(crate) public: Vec<u8>,
    scratch: Scratch,
}

impl PrivateKey {
    /// The one that a task names by `PREFIX_path`, or gives as `PREFIX_content`, with `PREFIX_passphrase`.
    pub(crate) fn of(args: &Args, task: &Task<'_>, prefix: &str) -> Result<Self, Failure> {
        let scratch = Scratch::new()?;
        let path = match args.str(&format!("{prefix}_content")) {
            Some(content) => scratch.write("key", content.as_bytes())?,
            None => PathBuf::from(args.string(&format!("{prefix}_path"))),
        };
        let passphrase = args.str(&format!("{prefix}_passphrase"));
        let public = public(task, &path, passphrase)?.map_err(|why| match why {
            Unreadable::Passphrase => "Wrong or empty passphrase provided for private key",
            Unreadable::Broken => {
                "Error while deserializing key: it is not a private key in PEM that openssl can read"
            }
        })?;
        Ok(Self { path, passphrase: line(passphrase), public, scratch })
    }

    fn kind(&self) -> Result<Kind, Failure> {
        let kind = Public::read(&self.public).map(|public| public.kind);
        kind.ok_or_else(|| "the private key is of a kind that does not sign here".into())
    }

    /// By which it signs, in DER.
    pub(crate) fn algorithm(&self, digest: &str) -> Result<Vec<u8>, Failure> {
        algorithm(&self.kind()?, digest)
    }

    /// The signature of these bytes, and the algorithm by which it is one.
    pub(crate) fn sign(&self, task: &Task<'_>, bytes: &[u8], digest: &str) -> Result<Signature, Failure> {
        let kind = self.kind()?;
        let algorithm = algorithm(&kind, digest)?;
        let data = self.scratch.write("signed", bytes)?.display().to_string();
        let key = self.path.display().to_string();
        let digest = format!("-{digest}");
        let argv = if is_plain(&kind) {
            vec!["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-passin", "stdin", "-in", &data]
        } else {
            vec!["dgst", &digest, "-sign", &key, "-passin", "stdin", &data]
        };
        let made = children::expect(run(task, &argv, &self.passphrase)?)?.stdout;
        Ok(Signature { algorithm, made })
    }
}

/// A signature: the algorithm, in DER, and what it made.
pub(crate) struct Signature {
    pub(crate) algorithm: Vec<u8>,
    pub(crate) made: Vec<u8>,
}

impl Signature {
    /// Whether the key that belongs to this public one made it of these bytes.
    pub(crate) fn is_of(&self, task: &Task<'_>, public: &[u8], bytes: &[u8]) -> Result<bool, Failure> {
        let Some(kind) = Public::read(public).map(|public| public.kind) else { return Ok(false) };
        let Some(digest) = digest_of(&kind, &self.algorithm) else { return Ok(false) };
        let scratch = Scratch::new()?;
        let put =
            |name: &str, bytes: &[u8]| scratch.write(name, bytes).map(|path| path.display().to_string());
        let key = put("key", pem("PUBLIC KEY", public).as_bytes())?;
        let (signature, data) = (put("signature", &self.made)?, put("data", bytes)?);
        let digest = format!("-{digest}");
        let argv = if is_plain(&kind) {
            vec![
                "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", &key, "-sigfile", &signature, "-in",
                &data,
            ]
        } else {
            vec!["dgst", &digest, "-verify", &key, "-signature", &signature, &data]
        };
        Ok(run(task, &argv, b"")?.ok())
    }
}

fn is_plain(kind: &Kind) -> bool {
    matches!(kind, Kind::Ed25519 | Kind::Ed448)
}

/// Identifiers of algorithms: who signs, of which digest, and whether NULL stands behind it.
#[rustfmt::skip]
const ALGORITHMS: &[(&str, &str, &str)] = &[
    ("RSA", "md5", "1.2.840.113549.1.1.4"), ("RSA", "sha1", "1.2.840.113549.1.1.5"),
    ("RSA", "sha224", "1.2.840.113549.1.1.14"), ("RSA", "sha256", "1.2.840.113549.1.1.11"),
    ("RSA", "sha384", "1.2.840.113549.1.1.12"), ("RSA", "sha512", "1.2.840.113549.1.1.13"),
    ("DSA", "sha1", "1.2.840.10040.4.3"), ("DSA", "sha224", "2.16.840.1.101.3.4.3.1"),
    ("DSA", "sha256", "2.16.840.1.101.3.4.3.2"), ("DSA", "sha384", "2.16.840.1.101.3.4.3.3"),
    ("DSA", "sha512", "2.16.840.1.101.3.4.3.4"),
    ("ECC", "sha1", "1.2.840.10045.4.1"), ("ECC", "sha224", "1.2.840.10045.4.3.1"),
    ("ECC", "sha256", "1.2.840.10045.4.3.2"), ("ECC", "sha384", "1.2.840.10045.4.3.3"),
    ("ECC", "sha512", "1.2.840.10045.4.3.4"),
];

fn family(kind: &Kind) -> &'static str {
    match kind {
        Kind::Rsa => "RSA",
        Kind::Dsa => "DSA",
        Kind::Ec(_) => "ECC",
        Kind::Ed25519 | Kind::Ed448 | Kind::X25519 | Kind::X448 => "",
    }
}

fn algorithm(kind: &Kind, digest: &str) -> Result<Vec<u8>, Failure> {
    let oid = match kind {
        Kind::Ed25519 => "1.3.101.112",
        Kind::Ed448 => "1.3.101.113",
        _ => {
            let known = ALGORITHMS.iter().find(|(of, name, _)| *of == family(kind) && *name == digest);
            known.map(|(_, _, oid)| *oid).ok_or_else(|| {
                Failure::new(format!("a key of this kind does not sign digests by `{digest}`"))
            })?
        }
    };
    let mut parts = vec![der::known_oid(oid)];
    if *kind == Kind::Rsa {
        parts.push(der::value(der::NULL, &[]));
    }
    Ok(der::sequence(&parts))
}

/// The digest that is signed by this algorithm; `None`: no signature that a key of this kind makes.
fn digest_of(kind: &Kind, algorithm: &[u8]) -> Option<&'static str> {
    let oid = der::Reader::new(algorithm).maybe(der::SEQUENCE)?.inside().maybe(der::OID)?.oid();
    if is_plain(kind) {
        return self::algorithm(kind, "").is_ok_and(|own| own == algorithm).then_some("");
    }
    ALGORITHMS.iter().find(|(of, _, known)| *of == family(kind) && *known == oid).map(|(_, name, _)| *name)
}

/// How `openssl` and everybody else names an algorithm of signatures.
pub(crate) fn algorithm_name(algorithm: &[u8]) -> String {
    let mut inside = der::Reader::new(algorithm).next().map_or(der::Reader::new(&[]), |whole| whole.inside());
    let oid = inside.next().map(|oid| oid.oid()).unwrap_or_default();
    match ALGORITHMS.iter().find(|(.., known)| *known == oid) {
        Some(("RSA", digest, _)) => format!("{digest}WithRSAEncryption"),
        Some(("DSA", "sha1", _)) => "dsaWithSHA1".to_owned(),
        Some(("DSA", digest, _)) => format!("dsa_with_{}", digest.to_uppercase()),
        Some((_, digest, _)) => format!("ecdsa-with-{}", digest.to_uppercase()),
        None if oid == "1.3.101.112" => "ED25519".to_owned(),
        None if oid == "1.3.101.113" => "ED448".to_owned(),
        None => oid,
    }
}

/// The digests that a task may name.
pub(crate) fn check_digest(digest: &str) -> Result<(), Failure> {
    if ALGORITHMS.iter().any(|(_, name, _)| *name == digest) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "The digest {digest} is not supported: expected md5, sha1, sha224, sha256, sha384 or sha512"
    )))
}

/// Bytes as text, the way everybody hands keys and certificates around.
pub(crate) fn pem(label: &str, bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<&str> =
        (0..text.len()).step_by(64).map(|at| &text[at..(at + 64).min(text.len())]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The first such block in a text. `None`: there is none, or what is in it is no base64.
pub(crate) fn from_pem(labels: &[&str], text: &str) -> Option<Vec<u8>> {
    labels.iter().find_map(|label| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        BASE64_STANDARD.decode(digits).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text_and_come_back() {
        let bytes: Vec<u8> = (0..=200).collect();
        let text = pem("X", &bytes);
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
        assert_eq!(from_pem(&["Y", "X"], &format!("before\n{text}after")), Some(bytes));
        assert_eq!(from_pem(&["X"], "-----BEGIN X-----\n%\n-----END X-----"), None);
    }

    #[test]
    fn a_digest_has_an_algorithm_and_back() {
        let made = algorithm(&Kind::Rsa, "sha512").unwrap();
        assert_eq!(digest_of(&Kind::Rsa, &made), Some("sha512"));
        assert_eq!(digest_of(&Kind::Dsa, &made), None);
        assert!(algorithm(&Kind::Rsa, "sha3").is_err());
    }
}
