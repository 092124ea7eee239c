//! Digests, passwords and identifiers made from them.

use base64::Engine as _;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::{Function, int_or, text_of, text_or};
use crate::error::Error;
use crate::eval::{Args, Run};
use crate::twister::random_bytes;
use crate::value::Value;

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "hash" => |_, value, args| {
            let [kind] = args.bind("hash", ["hashtype"])?;
            digest(&text_of(value)?, &text_or(kind, "sha1")?)
        },
        "checksum" | "sha1" => |_, value, _| digest(&text_of(value)?, "sha1"),
        "md5" => |_, value, _| digest(&text_of(value)?, "md5"),
        "to_uuid" => to_uuid,
        "password_hash" => password_hash,
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(text: &str, kind: &str) -> Result<Value, Error> {
    Ok(Value::from(match kind.to_lowercase().replace('_', "-").as_str() {
        "md5" => hex(&Md5::digest(text)),
        "sha1" | "sha-1" => hex(&Sha1::digest(text)),
        "sha224" => hex(&Sha224::digest(text)),
        "sha256" => hex(&Sha256::digest(text)),
        "sha384" => hex(&Sha384::digest(text)),
        "sha512" => hex(&Sha512::digest(text)),
        other => return Err(Error::new(format!("unknown hash type '{other}'"))),
    }))
}

/// Ansible's own name space for identifiers.
const NAMESPACE: &str = "361e6d51-faec-444a-9079-341386da8e2e";

fn to_uuid(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let [namespace] = args.bind("to_uuid", ["namespace"])?;
    let namespace = text_or(namespace, NAMESPACE)?;
    let digits: String = namespace.chars().filter(char::is_ascii_hexdigit).collect();
    let space = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
    let space = space.ok_or_else(|| Error::new(format!("Invalid value '{namespace}' for 'namespace'.")))?;
    let mut hash = Sha1::new();
    hash.update(space.to_be_bytes());
    hash.update(text_of(value)?);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    Ok(Value::from([&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")))
}

const CRYPT64: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn password_hash(_: &Run<'_>, value: &Value, args: Args) -> Result<Value, Error> {
    let names = ["hashtype", "salt", "salt_size", "rounds", "ident"];
    let [kind, salt, salt_size, rounds, ident] = args.bind("password_hash", names)?;
    let kind = text_or(kind, "sha512")?;
    let salt = salt.filter(|salt| !salt.is_none()).map(|salt| text_of(&salt)).transpose()?;
    let rounds = rounds.filter(|rounds| !rounds.is_none());
    let password = text_of(value)?;
    if matches!(kind.as_str(), "bcrypt" | "blowfish") {
        let cost = u32::try_from(int_or(rounds, 12)?).unwrap_or(12);
        return bcrypt_hash(&password, salt.as_deref(), cost, &text_or(ident, "2b")?);
    }
    if matches!(kind.as_str(), "md5" | "md5_crypt") {
        return md5_hash(&password, salt, rounds.is_some());
    }
    let long = match kind.as_str() {
        "sha512" | "sha512_crypt" => true,
        "sha256" | "sha256_crypt" => false,
        other => {
            return Err(Error::new(format!(
                "the password hash '{other}' is not supported; use sha512, sha256, bcrypt or md5"
            )));
        }
    };
    let size = super::size_or(salt_size, 16)?.clamp(1, 16);
    let salt = match salt {
        Some(salt) => salt,
        None => random_salt(size)?,
    };
    if salt.len() > 16 || !salt.bytes().all(|byte| CRYPT64.contains(&byte)) {
        return Err(Error::new("invalid characters in salt, or more than 16 of them"));
    }
    let rounds = u32::try_from(int_or(rounds, if long { 656_000 } else { 535_000 })?).unwrap_or(0);
    let params = sha_crypt::Params::new(rounds)
        .map_err(|_| Error::new(format!("{rounds} rounds are not possible")))?;
    let (mark, encoded) = if long {
        (6, crypt_text(&sha_crypt::sha512_crypt(password.as_bytes(), salt.as_bytes(), params), true))
    } else {
        (5, crypt_text(&sha_crypt::sha256_crypt(password.as_bytes(), salt.as_bytes(), params), false))
    };
    let shown = if rounds == 5000 { String::new() } else { format!("rounds={rounds}$") };
    Ok(Value::from(format!("${mark}${shown}{salt}${encoded}")))
}

fn random_salt(size: usize) -> Result<String, Error> {
    let bytes = random_bytes::<64>()?;
    Ok(bytes.iter().take(size).map(|byte| char::from(CRYPT64[usize::from(byte & 63)])).collect())
}

/// The order in which `crypt` writes the bytes of a digest.
fn crypt_text(digest: &[u8], long: bool) -> String {
    let mut out = String::new();
    let third = digest.len() / 3;
    let (mut a, mut b, mut c) = (0, third, third * 2);
    for _ in 0..third {
        put(&mut out, [digest[a], digest[b], digest[c]], 4);
        (a, b, c) = if long { (b + 1, c + 1, a + 1) } else { (c + 1, a + 1, b + 1) };
    }
    if long {
        put(&mut out, [0, 0, digest[63]], 2);
    } else {
        put(&mut out, [0, digest[31], digest[30]], 3);
    }
    out
}

fn put(out: &mut String, bytes: [u8; 3], count: usize) {
    let mut word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    for _ in 0..count {
        out.push(char::from(CRYPT64[(word & 63) as usize]));
        word >>= 6;
    }
}

fn md5_hash(password: &str, salt: Option<String>, has_rounds: bool) -> Result<Value, Error> {
    if has_rounds {
        return Err(Error::new("the password hash 'md5' knows no rounds"));
    }
    let salt = salt.map_or_else(|| random_salt(8), Ok)?;
    if salt.len() > 8 || !salt.bytes().all(|byte| CRYPT64.contains(&byte)) {
        return Err(Error::new("invalid characters in salt, or more than 8 of them"));
    }
    let hash = md5_crypt(password.as_bytes(), salt.as_bytes());
    Ok(Value::from(format!("$1${salt}${hash}")))
}

/// The old `crypt` with MD5: of no use against attackers, but still what some devices want.
fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let other = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    for piece in password.chunks(16) {
        first.update(&other[..piece.len()]);
    }
    let mut left = password.len();
    while left > 0 {
        first.update(if left & 1 == 1 { &[0] } else { &password[..1] });
        left >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..1000 {
        let odd = round % 2 == 1;
        let mut next = Md5::new().chain_update(if odd { password } else { &digest[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &digest[..] } else { password });
        digest = next.finalize();
    }
    let mut out = String::new();
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        put(&mut out, [digest[a], digest[b], digest[c]], 4);
    }
    put(&mut out, [0, 0, digest[11]], 2);
    out
}

fn bcrypt_hash(password: &str, salt: Option<&str>, cost: u32, ident: &str) -> Result<Value, Error> {
    let config = base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = base64::engine::GeneralPurpose::new(&base64::alphabet::BCRYPT, config);
    let salt: [u8; 16] = match salt {
        None => random_bytes()?,
        Some(text) => {
            let bytes = engine.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.ok_or_else(|| Error::new("invalid salt: bcrypt takes 22 characters of ./A-Za-z0-9"))?
        }
    };
    let version = match ident {
        "2a" => bcrypt::Version::TwoA,
        "2y" => bcrypt::Version::TwoY,
        "2b" => bcrypt::Version::TwoB,
        other => return Err(Error::new(format!("the bcrypt ident '{other}' is not supported"))),
    };
    let parts = bcrypt::hash_with_salt(password, cost, salt)
        .map_err(|error| Error::new(format!("bcrypt: {error}")))?;
    Ok(Value::from(parts.format_for_version(version)))
}
