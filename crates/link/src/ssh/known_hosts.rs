//! Which host keys are known: plain and hashed names, `[host]:port`, `@cert-authority`, `@revoked`, several files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyBase64};

use super::words::matches_list;

/// A place in a known_hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Known,
    Unknown,
    /// Another key of this type is known.
    Changed(Place),
    Revoked(Place),
    /// A trusted authority signed it, but it does not hold here.
    BadCertificate(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    Authority,
    Revoked,
}

#[derive(Clone, Debug)]
struct Entry {
    mark: Mark,
    key: PublicKey,
    place: Place,
}

/// What the files say about one host.
#[derive(Clone, Debug, Default)]
pub struct KnownHost {
    entries: Vec<Entry>,
    /// Entries without the port, which count only if they have this very key.
    portless: Vec<Entry>,
}

impl KnownHost {
    /// `name`: as it is known, lower case. `port`: `None` when the name is an alias.
    pub fn read<'a>(name: &str, port: Option<u16>, files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let full = host_name(name, port);
        let mut known = Self::default();
        for file in files {
            let Ok(text) = fs::read(file) else { continue };
            for (index, line) in String::from_utf8_lossy(&text).lines().enumerate() {
                let place = || Place { file: file.clone(), line: index + 1 };
                let Some((mark, hosts, key)) = fields(line) else { continue };
                let (exact, bare) = (names(hosts, &full), full != name && names(hosts, name));
                if !exact && !bare {
                    continue;
                }
                let Ok(key) = PublicKey::from_openssh(key) else { continue };
                let entry = Entry { mark, key, place: place() };
                if exact { known.entries.push(entry) } else { known.portless.push(entry) }
            }
        }
        known
    }

    pub fn check(&self, key: &PublicKey) -> Verdict {
        let same = |entry: &&Entry| entry.key.key_data() == key.key_data();
        if let Some(revoked) = self.marked(Mark::Revoked).find(same) {
            return Verdict::Revoked(revoked.place.clone());
        }
        if self.marked(Mark::None).any(|entry| same(&entry)) {
            return Verdict::Known;
        }
        let plain = self.entries.iter().filter(|entry| entry.mark == Mark::None);
        let other = plain.into_iter().find(|entry| kind(&entry.key) == kind(key));
        other.map_or(Verdict::Unknown, |entry| Verdict::Changed(entry.place.clone()))
    }

    /// A certificate by an authority for this host, else its key as any other.
    pub fn check_certificate(&self, certificate: &Certificate, name: &str) -> Verdict {
        let authority = certificate.signature_key();
        if let Some(revoked) = self.marked(Mark::Revoked).find(|entry| entry.key.key_data() == authority) {
            return Verdict::Revoked(revoked.place.clone());
        }
        let key = PublicKey::new(certificate.public_key().clone(), "");
        if let Verdict::Revoked(place) = self.check(&key) {
            return Verdict::Revoked(place);
        }
        if !self.marked(Mark::Authority).any(|entry| entry.key.key_data() == authority) {
            return self.check(&key);
        }
        match valid(certificate, name) {
            Ok(()) => Verdict::Known,
            Err(reason) => Verdict::BadCertificate(reason),
        }
    }

    fn marked(&self, mark: Mark) -> impl Iterator<Item = &Entry> {
        self.entries.iter().chain(&self.portless).filter(move |entry| entry.mark == mark)
    }

    pub(super) fn has_authority(&self) -> bool {
        self.marked(Mark::Authority).next().is_some()
    }

    /// The algorithms to prefer: those of the keys we know, so that the host shows one of them.
    pub(super) fn prefer(&self, algorithms: &[Algorithm]) -> Vec<Algorithm> {
        let known: Vec<Algorithm> = self.marked(Mark::None).map(|entry| entry.key.algorithm()).collect();
        let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
        let is_known = |algorithm: &&Algorithm| {
            known.iter().any(|have| have == *algorithm || (rsa(have) && rsa(algorithm)))
        };
        let (first, rest): (Vec<&Algorithm>, Vec<&Algorithm>) = algorithms.iter().partition(is_known);
        first.into_iter().chain(rest).cloned().collect()
    }
}

fn valid(certificate: &Certificate, name: &str) -> Result<(), String> {
    if certificate.cert_type() != CertType::Host {
        return Err("it is not a host's certificate".into());
    }
    if !certificate.critical_options().is_empty() {
        return Err("it has critical options that are not known".into());
    }
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !matches_list(name, principals.iter().map(String::as_str)) {
        return Err(format!("it is for {}, not for {name}", principals.join(", ")));
    }
    let authority = PublicKey::new(certificate.signature_key().clone(), "").fingerprint(HashAlg::Sha256);
    certificate.validate([&authority]).map_err(|_| "it has expired, or its signature is wrong".to_owned())
}

fn kind(key: &PublicKey) -> String {
    key.algorithm().as_str().to_owned()
}

/// `host`, or `[host]:port` for other ports than 22.
pub(super) fn host_name(name: &str, port: Option<u16>) -> String {
    match port {
        None | Some(22) => name.to_owned(),
        Some(port) => format!("[{name}]:{port}"),
    }
}

/// Mark, names and key of a line.
fn fields(line: &str) -> Option<(Mark, &str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (first, rest) = line.split_once(char::is_whitespace)?;
    let mark = match first {
        "@cert-authority" => Mark::Authority,
        "@revoked" => Mark::Revoked,
        other if other.starts_with('@') => return None,
        _ => return Some((Mark::None, first, rest.trim_start())),
    };
    let (hosts, key) = rest.trim_start().split_once(char::is_whitespace)?;
    Some((mark, hosts, key.trim_start()))
}

/// Whether a line's names mean this host.
fn names(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        let Some((salt, hash)) = hashed.split_once('|') else { return false };
        let (Ok(salt), Ok(hash)) = (BASE64.decode(salt), BASE64.decode(hash)) else { return false };
        return hmac::verify(&hmac_key(&salt), name.as_bytes(), &hash).is_ok();
    }
    let hosts = hosts.to_lowercase();
    matches_list(name, hosts.split(','))
}

fn hmac_key(salt: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt)
}

/// Add a key to a file; the file and its directory are made if need be.
pub(super) fn learn(file: &Path, name: &str, key: &PublicKey, hashed: bool) -> std::io::Result<()> {
    if let Some(directory) = file.parent()
        && !directory.exists()
    {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let name = if hashed { hash(name)? } else { name.to_owned() };
    let mut line = format!("{name} {} {}\n", key.algorithm().as_str(), key.public_key_base64());
    // A last line without its end must not swallow ours.
    if fs::read(file).is_ok_and(|text| text.last().is_some_and(|last| *last != b'\n')) {
        line.insert(0, '\n');
    }
    // One write: many hosts may be learnt at once.
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(file)?.write_all(line.as_bytes())
}

fn hash(name: &str) -> std::io::Result<String> {
    let mut salt = [0; 20];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut salt)
        .map_err(|_| std::io::Error::other("no random numbers"))?;
    let tag = hmac::sign(&hmac_key(&salt), name.as_bytes());
    Ok(format!("|1|{}|{}", BASE64.encode(salt), BASE64.encode(tag.as_ref())))
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
