//! The encrypted text itself: header, double hexadecimal, cipher and authentication.

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::diagnostic::{Diagnostic, Result};

const HEADER: &str = "$ANSIBLE_VAULT";
const ROUNDS: u32 = 10_000;
const BLOCK: usize = 16;
const LINE: usize = 80;

/// Does this text begin like something that `ansible-vault` wrote?
pub fn is_encrypted(text: &str) -> bool {
    text.starts_with(HEADER)
}

/// The three keys that password and salt give: 32 bytes cipher, 32 bytes authentication, 16 bytes counter.
pub(super) struct Keys(Zeroizing<[u8; 80]>);

impl Keys {
    pub(super) fn derive(password: &[u8], salt: &[u8]) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 80]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, ROUNDS, bytes.as_mut_slice());
        Self(bytes)
    }
    /// Encrypts and decrypts: counter mode is its own inverse.
    fn apply(&self, data: &mut [u8]) {
        ctr::Ctr128BE::<Aes256>::new_from_slices(&self.0[..32], &self.0[64..])
            .expect("the slices have the lengths of key and counter")
            .apply_keystream(data);
    }
    fn mac(&self, data: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[32..64]).expect("any key length is allowed");
        mac.update(data);
        mac
    }
}

/// A parsed encrypted text.
pub(super) struct Envelope {
    pub(super) label: Option<String>,
    pub(super) salt: Vec<u8>,
    mac: Vec<u8>,
    cipher: Vec<u8>,
}

impl Envelope {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut lines = text.trim().lines();
        let label = parse_header(lines.next().unwrap_or_default())?;
        let body: String = lines.flat_map(str::split_whitespace).collect();
        let damaged =
            || Diagnostic::new("the encrypted text is damaged").hint("was a line lost or changed by hand?");
        let inner = unhex(body.as_bytes()).ok_or_else(damaged)?;
        let mut parts = inner.splitn(3, |byte| *byte == b'\n').map(unhex);
        let (Some(Some(salt)), Some(Some(mac)), Some(Some(cipher))) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(damaged());
        };
        Ok(Self { label, salt, mac, cipher })
    }

    /// The plain bytes; `None`: these are not the right keys. The text is authenticated before it is decrypted,
    /// in constant time.
    pub(super) fn open(&self, keys: &Keys) -> Result<Option<Zeroizing<Vec<u8>>>> {
        if keys.mac(&self.cipher).verify_slice(&self.mac).is_err() {
            return Ok(None);
        }
        let mut plain = Zeroizing::new(self.cipher.clone());
        keys.apply(&mut plain);
        let padding = plain.last().copied().unwrap_or(0) as usize;
        if !(1..=BLOCK).contains(&padding) || padding > plain.len() {
            return Err(Diagnostic::new("the encrypted text is damaged: its padding is wrong"));
        }
        let length = plain.len() - padding;
        plain.truncate(length);
        Ok(Some(plain))
    }
}

/// `$ANSIBLE_VAULT;1.1;AES256` or `$ANSIBLE_VAULT;1.2;AES256;label`: the label.
fn parse_header(line: &str) -> Result<Option<String>> {
    let fields: Vec<&str> = line.trim().split(';').collect();
    let [HEADER, version, cipher, rest @ ..] = fields.as_slice() else {
        return Err(Diagnostic::new("this is not text that ansible-vault encrypted: its header is missing"));
    };
    if !matches!(*version, "1.1" | "1.2") {
        return Err(Diagnostic::new(format!("vault format {version} is not supported"))
            .hint("1.1 and 1.2 are; re-encrypt the text with a current ansible-vault"));
    }
    if *cipher != "AES256" {
        return Err(Diagnostic::new(format!("vault cipher {cipher} is not supported")).hint("only AES256 is"));
    }
    let label = rest.join(";");
    Ok((*version == "1.2" && !label.is_empty()).then_some(label))
}

pub(super) fn seal(plain: &[u8], keys: &Keys, salt: &[u8], label: Option<&str>) -> String {
    let padding = BLOCK - plain.len() % BLOCK;
    let mut data = Zeroizing::new(plain.to_vec());
    data.extend(std::iter::repeat_n(u8::try_from(padding).expect("at most a block"), padding));
    keys.apply(&mut data);
    let mac = keys.mac(&data).finalize().into_bytes();
    let body = hex(format!("{}\n{}\n{}", hex(salt), hex(&mac), hex(&data)).as_bytes());
    let mut text = match label {
        None => format!("{HEADER};1.1;AES256\n"),
        Some(label) => format!("{HEADER};1.2;AES256;{label}\n"),
    };
    for start in (0..body.len()).step_by(LINE) {
        text.push_str(&body[start..body.len().min(start + LINE)]);
        text.push('\n');
    }
    text
}

pub(super) fn random_salt() -> Result<Vec<u8>> {
    let mut salt = vec![0_u8; 32];
    getrandom::fill(&mut salt).map_err(|error| Diagnostic::new(format!("no random numbers: {error}")))?;
    Ok(salt)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
