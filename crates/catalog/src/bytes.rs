//! Bytes that are not UTF-8, as text: Python keeps them as lone surrogates, which Rust's text cannot hold.

/// In the last private plane, where no real text is.
const ESCAPED: u32 = 0x10_ff00 - 0x1000;

/// Bytes as text without loss: what is no UTF-8 becomes private characters, which [`unescape`] turns back.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|b| char::from_u32(ESCAPED + u32::from(*b))));
    }
    text
}

pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match (c as u32).checked_sub(ESCAPED).and_then(|b| u8::try_from(b).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for bytes in [&b"plain"[..], "\u{e9}\u{10_ffff}".as_bytes(), b"caf\xe9 \xff\xfe", b""] {
            assert_eq!(unescape(&escape(bytes)), bytes);
        }
        assert_eq!(escape("caf\u{e9}".as_bytes()), "caf\u{e9}");
    }
}
