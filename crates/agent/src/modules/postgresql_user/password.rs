//! Whether the server already has a password, told from what it stores: `md5…` or `SCRAM-SHA-256$…`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::files;
use crate::postgresql::literal;

const BLOCK: usize = 64;

/// The empty text takes the password away.
pub(super) fn as_sql(password: &str) -> String {
    if password.is_empty() { "NULL".to_owned() } else { literal(password) }
}

/// `stored`: `None` where it cannot be seen; then it is set anew, as the only way to be sure.
pub(super) fn is(given: &str, user: &str, stored: Option<&str>) -> bool {
    let Some(stored) = stored else { return false };
    if given.is_empty() || stored.is_empty() || given == stored {
        return given == stored;
    }
    if let Some(digest) = stored.strip_prefix("md5") {
        return digest == files::md5_of(format!("{given}{user}").as_bytes());
    }
    scram(given, stored).unwrap_or(false)
}

/// `SCRAM-SHA-256$ITERATIONS:SALT$STORED KEY:SERVER KEY`
fn scram(given: &str, stored: &str) -> Option<bool> {
    let (how, keys) = stored.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = how.split_once(':')?;
    let server_key = STANDARD.decode(keys.split_once(':')?.1).ok()?;
    let mut salted = STANDARD.decode(salt).ok()?;
    salted.extend([0, 0, 0, 1]);
    let mut turn = hmac(given.as_bytes(), &salted);
    let mut key = turn;
    for _ in 1..iterations.parse::<u32>().ok().filter(|n| *n <= 10_000_000)? {
        turn = hmac(given.as_bytes(), &turn);
        key.iter_mut().zip(turn).for_each(|(byte, other)| *byte ^= other);
    }
    Some(hmac(&key, b"Server Key")[..] == server_key[..])
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let round = |pad: u8, message: &[u8]| -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ pad));
        hash.update(message);
        hash.finalize().into()
    };
    round(0x5c, &round(0x36, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_passwords_are_known_again() {
        // As PostgreSQL 15 stores `pencil` for the salt of RFC 7677.
        let stored = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert!(is("pencil", "any", Some(stored)));
        assert!(!is("pen", "any", Some(stored)));
        assert!(is("x", "u", Some("md5ab46f817f8bb7b1222c534f7ecd367cf")));
        assert!(!is("y", "u", Some("md5ab46f817f8bb7b1222c534f7ecd367cf")));
        assert!(!is("x", "u", None));
    }
}
