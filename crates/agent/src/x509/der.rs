//! DER: the bytes that certificates are written in. Written and read, nothing is computed.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BITS: u8 = 0x03;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const PRINTABLE: u8 = 0x13;
pub(crate) const IA5: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const TIME: u8 = 0x18;
pub(crate) const BMP: u8 = 0x1e;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// A tag of a structure's own: `[n]`, holding other values.
pub(crate) const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// The same, in place of a simple value's own tag.
pub(crate) const fn implicit(n: u8) -> u8 {
    0x80 | n
}

/// One value.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = vec![tag];
    let length = content.len();
    if length < 0x80 {
        whole.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let first = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1);
        whole.push(0x80 | (bytes.len() - first) as u8);
        whole.extend(&bytes[first..]);
    }
    whole.extend(content);
    whole
}

/// Values one after the other, as one.
pub(crate) fn of(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    value(tag, &parts.concat())
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    of(SEQUENCE, parts)
}

/// A number that is not negative, from its bytes.
pub(crate) fn number(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
    let mut content = bytes[first..].to_vec();
    if content.first().is_none_or(|b| b & 0x80 != 0) {
        content.insert(0, 0);
    }
    value(INTEGER, &content)
}

/// Bits of which all are used.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    value(BITS, &[&[0], bytes].concat())
}

/// A set of named bits, the first one the highest: without those behind the last.
pub(crate) fn named_bits(set: &[usize]) -> Vec<u8> {
    let Some(last) = set.iter().max() else { return value(BITS, &[0]) };
    let mut bytes = vec![0u8; last / 8 + 1];
    for bit in set {
        bytes[bit / 8] |= 0x80 >> (bit % 8);
    }
    let unused = (7 - last % 8) as u8;
    value(BITS, &[&[unused], &bytes[..]].concat())
}

/// Which bits are set.
pub(crate) fn read_named_bits(content: &[u8]) -> Vec<usize> {
    let bytes = content.get(1..).unwrap_or_default();
    (0..bytes.len() * 8).filter(|bit| bytes[bit / 8] & (0x80 >> (bit % 8)) != 0).collect()
}

/// `1.2.840.113549`; `None`: that is none.
pub(crate) fn oid(text: &str) -> Option<Vec<u8>> {
    let arcs: Vec<u64> = text.split('.').map(|arc| arc.parse().ok()).collect::<Option<_>>()?;
    let [first, second, rest @ ..] = arcs.as_slice() else { return None };
    if *first > 2 || (*first < 2 && *second > 39) {
        return None;
    }
    let mut content = Vec::new();
    for arc in std::iter::once(first.checked_mul(40)?.checked_add(*second)?).chain(rest.iter().copied()) {
        let mut seven: Vec<u8> = vec![(arc & 0x7f) as u8];
        let mut left = arc >> 7;
        while left != 0 {
            seven.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        content.extend(seven.iter().rev());
    }
    Some(value(OID, &content))
}

/// One whose text is ours.
pub(crate) fn known_oid(text: &str) -> Vec<u8> {
    oid(text).unwrap_or_default()
}

pub(crate) fn oid_text(content: &[u8]) -> String {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc: u64 = 0;
    for byte in content {
        arc = (arc << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.extend([first, arc - first * 40]);
            } else {
                arcs.push(arc);
            }
            arc = 0;
        }
    }
    arcs.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// A value that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// With its tag and length.
    pub(crate) whole: &'a [u8],
}

impl<'a> Item<'a> {
    /// The values in it.
    pub(crate) fn inside(&self) -> Reader<'a> {
        Reader(self.content)
    }

    pub(crate) fn oid(&self) -> String {
        if self.tag == OID { oid_text(self.content) } else { String::new() }
    }

    /// As text, by the kind of its characters.
    pub(crate) fn text(&self) -> String {
        match self.tag {
            BMP => {
                let units: Vec<u16> =
                    self.content.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
                String::from_utf16_lossy(&units)
            }
            _ => String::from_utf8_lossy(self.content).into_owned(),
        }
    }

    /// A number's bytes, without zeros before the first.
    pub(crate) fn unsigned(&self) -> &'a [u8] {
        let zeros = self.content.iter().take_while(|b| **b == 0).count();
        &self.content[zeros..]
    }
}

/// Reads values one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next one, if it has this tag.
    pub(crate) fn maybe(&mut self, tag: u8) -> Option<Item<'a>> {
        let mut ahead = *self;
        let item = ahead.next().filter(|item| item.tag == tag)?;
        *self = ahead;
        Some(item)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Item<'a>;

    /// `None` at the end, and where what follows is no value.
    fn next(&mut self) -> Option<Item<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 || rest.len() < count {
                return None;
            }
            let length = rest[..count].iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
            (length, &rest[count..])
        };
        let content = rest.get(..length)?;
        let head = self.0.len() - rest.len();
        let whole = &self.0[..head + length];
        self.0 = &rest[length..];
        Some(Item { tag, content, whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = value(OCTETS, &[7; 300]);
        let all =
            sequence(&[number(&[0, 0x80]), number(&[]), long.clone(), known_oid("1.2.840.113549.1.9.1")]);
        let mut outer = Reader::new(&all);
        let mut inside = outer.maybe(SEQUENCE).unwrap().inside();
        assert!(outer.next().is_none());
        assert_eq!(inside.maybe(INTEGER).unwrap().content, [0, 0x80]);
        assert_eq!(inside.maybe(INTEGER).unwrap().content, [0]);
        assert!(inside.maybe(BITS).is_none());
        assert_eq!(inside.maybe(OCTETS).unwrap().whole, long);
        assert_eq!(inside.maybe(OID).unwrap().oid(), "1.2.840.113549.1.9.1");
        assert!(inside.maybe(OID).is_none());
    }

    #[test]
    fn named_bits_end_with_the_last() {
        assert_eq!(named_bits(&[0, 2]), [BITS, 2, 5, 0b1010_0000]);
        assert_eq!(named_bits(&[5, 8]), [BITS, 3, 7, 0b0000_0100, 0b1000_0000]);
        assert_eq!(read_named_bits(&[7, 0b0000_0100, 0b1000_0000]), [5, 8]);
    }

    #[test]
    fn nonsense_is_no_value() {
        for bytes in [
            &b"\x30\x85\x01"[..],
            b"\x30\x05\x01",
            b"\x30",
            b"",
            b"\x30\x80\x00\x00",
            b"\x30\x84\xff\xff\xff\xff",
        ] {
            assert!(Reader::new(bytes).next().is_none(), "{bytes:?}");
        }
        assert!(oid("1.40.1").is_none() && oid("x").is_none() && oid("1").is_none());
    }
}
