//! Ansible's vault: texts and files encrypted by password (AES-256-CTR, HMAC-SHA256, PBKDF2), several ids at once.

mod format;
mod secret;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::diagnostic::{Diagnostic, Result};
pub use format::is_encrypted;
use format::{Envelope, Keys};

/// A password; wiped from memory when dropped, never printed.
pub type Password = Zeroizing<Vec<u8>>;

/// The label of a secret that was given without one.
pub const DEFAULT_LABEL: &str = "default";

/// The vault passwords of a run. Cloning is cheap; keys once derived are shared between clones.
#[derive(Clone, Default)]
pub struct Vault {
    secrets: Vec<Secret>,
    /// Only secrets with the label of the text are tried (`vault_id_match`).
    match_labels: bool,
    keys: Arc<Mutex<HashMap<KeyName, Arc<Keys>>>>,
    /// What was decrypted, in pieces: where one of these turns up, there is a secret.
    opened: Arc<Mutex<Vec<Zeroizing<String>>>>,
}

/// Shorter pieces of decrypted text turn up by chance.
const TELLING: usize = 6;

/// What a derived key depends on: which secret, which salt.
type KeyName = (usize, Vec<u8>);

#[derive(Clone)]
struct Secret {
    label: String,
    password: Arc<Password>,
}

impl Vault {
    /// No passwords: everything encrypted is refused, with a reason.
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|secret| secret.label.as_str())
    }

    pub fn only_matching_labels(&mut self, yes: bool) {
        self.match_labels = yes;
    }

    /// A password from anywhere (a prompt, a test).
    pub fn add_password(&mut self, label: &str, password: impl Into<Vec<u8>>) {
        // Positions name derived keys: a clone that grows differently must not share them.
        self.keys = Arc::default();
        let password = Arc::new(Zeroizing::new(password.into()));
        self.secrets.push(Secret { label: label.to_owned(), password });
    }

    /// `--vault-id` and `--vault-password-file`: `file`, `label@file`; an executable file is run and prints the
    /// password. (`label@prompt` is for the caller to ask: see [`split_id`].)
    pub fn add_source(&mut self, source: &str, base: &Path) -> Result<()> {
        let (label, file) = split_id(source);
        let password = secret::read(&base.join(secret::expand_home(file)), label, self)?;
        self.add_password(label, password.to_vec());
        Ok(())
    }

    /// The plain bytes of `$ANSIBLE_VAULT;…` text.
    pub fn decrypt(&self, text: &str) -> Result<Zeroizing<Vec<u8>>> {
        let envelope = Envelope::parse(text)?;
        if self.secrets.is_empty() {
            return Err(Diagnostic::new(
                "this is encrypted with ansible-vault, and no vault password was given",
            )
            .hint("give one with --vault-password-file FILE, --vault-id LABEL@FILE or --ask-vault-pass"));
        }
        for index in self.order(envelope.label.as_deref()) {
            if let Some(plain) = envelope.open(&self.keys(index, &envelope.salt))? {
                self.note_opened(&plain);
                return Ok(plain);
            }
        }
        Err(self.refused(envelope.label.as_deref()))
    }

    /// Remembers the values of decrypted YAML, or the lines of anything else.
    fn note_opened(&self, plain: &[u8]) {
        let Ok(text) = std::str::from_utf8(plain) else { return };
        let mut opened = self.opened.lock();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let value = line.split_once(": ").map_or(line, |(_, value)| value);
            let value = value.trim_start_matches("- ").trim().trim_matches(['"', '\'']);
            let known = opened.iter().any(|known| known.as_str() == value);
            if value.len() >= TELLING && value != "---" && !known {
                opened.push(Zeroizing::new(value.to_owned()));
            }
        }
    }

    /// Whether something that was decrypted turns up in these bytes.
    pub fn turns_up_in(&self, bytes: &[u8]) -> bool {
        let opened = self.opened.lock();
        if opened.is_empty() {
            return false;
        }
        let text = String::from_utf8_lossy(bytes);
        opened.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// Whether exactly this text was decrypted, as far as it is long enough to tell.
    pub fn gave(&self, text: &str) -> bool {
        self.opened.lock().iter().any(|secret| secret.as_str() == text.trim())
    }

    /// As [`Self::decrypt`], to text.
    pub fn decrypt_text(&self, text: &str) -> Result<String> {
        let plain = self.decrypt(text)?;
        std::str::from_utf8(&plain)
            .map(str::to_owned)
            .map_err(|_| Diagnostic::new("the decrypted text is not UTF-8"))
    }

    /// Encrypts with the first secret, or the one with this label. Labels other than `default` go into the header.
    /// `salt` is for reproducible output (`vault_encrypt_salt`); without it 32 random bytes are used.
    pub fn encrypt(&self, plain: &[u8], label: Option<&str>, salt: Option<&[u8]>) -> Result<String> {
        let index = match label {
            None => (!self.secrets.is_empty()).then_some(0),
            Some(label) => self.secrets.iter().position(|secret| secret.label == label),
        };
        let index = index.ok_or_else(|| {
            Diagnostic::new(match label {
                None => "no vault password was given to encrypt with".to_owned(),
                Some(label) => format!("no vault password with the id '{label}' was given to encrypt with"),
            })
        })?;
        let salt = match salt {
            Some(salt) => salt.to_vec(),
            None => format::random_salt()?,
        };
        let keys = self.keys(index, &salt);
        let label = label.filter(|label| *label != DEFAULT_LABEL);
        Ok(format::seal(plain, &keys, &salt, label))
    }

    /// Secrets worth trying, those with the right label first.
    fn order(&self, label: Option<&str>) -> Vec<usize> {
        let Some(label) = label else { return (0..self.secrets.len()).collect() };
        let (mut first, rest): (Vec<usize>, Vec<usize>) =
            (0..self.secrets.len()).partition(|index| self.secrets[*index].label == label);
        if !self.match_labels {
            first.extend(rest);
        }
        first
    }

    fn keys(&self, index: usize, salt: &[u8]) -> Arc<Keys> {
        let name = (index, salt.to_vec());
        if let Some(keys) = self.keys.lock().get(&name) {
            return Arc::clone(keys);
        }
        // Derived outside the lock: it takes milliseconds.
        let keys = Arc::new(Keys::derive(&self.secrets[index].password, salt));
        self.keys.lock().insert(name, Arc::clone(&keys));
        keys
    }

    fn refused(&self, label: Option<&str>) -> Diagnostic {
        let labels: Vec<&str> = self.labels().collect();
        let what =
            label.map_or_else(String::new, |label| format!(" (it was encrypted with the id '{label}')"));
        Diagnostic::new(format!("none of the given vault passwords decrypts this{what}"))
            .hint(format!("ids of the passwords that were tried: {}", labels.join(", ")))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("labels", &self.labels().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// `label@source` apart; a source without a label gets [`DEFAULT_LABEL`].
pub fn split_id(source: &str) -> (&str, &str) {
    match source.split_once('@') {
        Some(("", file)) => (DEFAULT_LABEL, file),
        Some((label, file)) => (label, file),
        None => (DEFAULT_LABEL, source),
    }
}

#[cfg(test)]
mod tests;
