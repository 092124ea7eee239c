//! Passwords as a web server knows them: MD5 and SHA-1 by ourselves, the slow ones by the `crypt` of the host's C library,
//! which Perl gives.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::Digest as _;

use crate::children;
use crate::command::RunError;
use crate::module::{Failure, Task};

const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// MD5 in a thousand rounds, under this mark.
    Md5(&'static str),
    Sha1,
    Plain,
    /// By the host, with this before the salt, and so much salt.
    Host(&'static str, usize),
}

const SCHEMES: &[(&str, Scheme)] = &[
    ("apr_md5_crypt", Scheme::Md5("$apr1$")),
    ("md5_crypt", Scheme::Md5("$1$")),
    ("ldap_sha1", Scheme::Sha1),
    ("plaintext", Scheme::Plain),
    ("bcrypt", Scheme::Host("$2b$12$", 22)),
    ("sha256_crypt", Scheme::Host("$5$rounds=535000$", 16)),
    ("sha512_crypt", Scheme::Host("$6$rounds=656000$", 16)),
    ("des_crypt", Scheme::Host("", 2)),
];

impl Scheme {
    pub(super) fn of(name: &str) -> Result<Self, Failure> {
        let found = SCHEMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, scheme)| *scheme).ok_or_else(|| {
            let known: Vec<&str> = SCHEMES.iter().map(|(name, _)| *name).collect();
            Failure::new(format!("there is no hash_scheme `{name}` here: expected one of {}", known.join(", ")))
        })
    }

    pub(super) fn hash(self, task: &Task<'_>, password: &str) -> Result<String, Failure> {
        Ok(match self {
            Self::Md5(mark) => md5_crypt(mark, password.as_bytes(), &salt(8)?),
            Self::Sha1 => sha1(password),
            Self::Plain => password.to_owned(),
            Self::Host(mark, length) => host(task, password, &format!("{mark}{}", salt(length)?))?,
        })
    }

    /// Whether a hash, by whatever scheme, is this password's. What is like none is the password itself.
    pub(super) fn verifies(self, task: &Task<'_>, password: &str, hash: &str) -> Result<bool, Failure> {
        for mark in ["$apr1$", "$1$"] {
            if let Some(rest) = hash.strip_prefix(mark) {
                let salt = rest.split('$').next().unwrap_or_default();
                return Ok(md5_crypt(mark, password.as_bytes(), salt) == hash);
            }
        }
        if hash.starts_with("{SHA}") {
            return Ok(sha1(password) == hash);
        }
        let by_host = ["$2a$", "$2b$", "$2y$", "$5$", "$6$"].iter().any(|mark| hash.starts_with(mark))
            || (hash.len() == 13 && self != Self::Plain && hash.bytes().all(|b| LETTERS.contains(&b)));
        if by_host { Ok(host(task, password, hash)? == hash) } else { Ok(password == hash) }
    }
}

fn sha1(password: &str) -> String {
    format!("{{SHA}}{}", BASE64_STANDARD.encode(sha1::Sha1::digest(password)))
}

fn salt(length: usize) -> Result<String, Failure> {
    let mut random = vec![0_u8; length];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(std::io::Error::from)?;
    Ok(random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect())
}

/// The setting on the first line, the password behind it: neither is an argument.
const CRYPT: &str = "local $/; my ($s, $p) = split /\\n/, <STDIN>, 2; my $h = crypt($p, $s); print $h if defined $h";

fn host(task: &Task<'_>, password: &str, setting: &str) -> Result<String, Failure> {
    let run = children::in_c_locale(task, &["perl", "-e", CRYPT]).stdin(format!("{setting}\n{password}"));
    let output = match run.output() {
        Err(RunError::NotStarted { .. }) => {
            return Err("this hash_scheme needs `perl` on the host, and there is none: use apr_md5_crypt".into());
        }
        other => children::expect(other?)?,
    };
    let hash = output.stdout_text();
    if hash.len() < 13 || hash.starts_with('*') {
        return Err("the C library of the host does not know this hash_scheme: use apr_md5_crypt".into());
    }
    Ok(hash)
}

/// MD5 in the way of FreeBSD's `crypt`, and of Apache's.
fn md5_crypt(mark: &str, password: &[u8], salt: &str) -> String {
    let salt = &salt.as_bytes()[..salt.len().min(8)];
    let inner = md5::Md5::digest([password, salt, password].concat());
    let mut text = [password, mark.as_bytes(), salt].concat();
    text.extend(inner.iter().cycle().take(password.len()));
    let mut left = password.len();
    while left > 0 {
        text.push(if left & 1 == 1 { 0 } else { password.first().copied().unwrap_or(0) });
        left >>= 1;
    }
    let mut sum = md5::Md5::digest(text);
    for round in 0..1000 {
        let mut text: Vec<u8> = if round & 1 == 1 { password.to_vec() } else { sum.to_vec() };
        if round % 3 != 0 {
            text.extend(salt);
        }
        if round % 7 != 0 {
            text.extend(password);
        }
        if round & 1 == 1 { text.extend(sum) } else { text.extend(password) }
        sum = md5::Md5::digest(text);
    }
    let mut hash = format!("{mark}{}$", String::from_utf8_lossy(salt));
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        push(&mut hash, u32::from(sum[a]) << 16 | u32::from(sum[b]) << 8 | u32::from(sum[c]), 4);
    }
    push(&mut hash, u32::from(sum[11]), 2);
    hash
}

/// Six bits in each letter, the lowest first.
fn push(text: &mut String, mut value: u32, letters: usize) {
    for _ in 0..letters {
        text.push(char::from(LETTERS[(value & 0x3f) as usize]));
        value >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_is_as_openssl_has_it() {
        assert_eq!(md5_crypt("$apr1$", b"secret1", "abcdefgh"), "$apr1$abcdefgh$paCto.rW8wn6thJ8b0QQY.");
        assert_eq!(md5_crypt("$1$", "ö".as_bytes(), "x"), "$1$x$gWS7zsKjt2KDTRRUdqSMM1");
        assert_eq!(md5_crypt("$apr1$", b"", "abcdefgh"), "$apr1$abcdefgh$L.PT565ESX4Tp2bqNs7Ie.");
        assert_eq!(sha1("other words"), "{SHA}qAWkFk97ccuH3vMwRyP2UeShC0A=");
    }
}
