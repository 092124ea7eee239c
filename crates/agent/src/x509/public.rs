//! Public keys as certificates have them (SubjectPublicKeyInfo): of which kind they are, and how they are told.

use catalog::{Json, Map};
use serde_json::json;
use sha1::Digest as _;

use super::der::{self, INTEGER, Item, OCTETS, Reader, SEQUENCE};
use crate::files::hex;

/// What a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    Dsa,
    /// On this curve.
    Ec(&'static Curve),
    Ed25519,
    Ed448,
    X25519,
    X448,
}

/// A curve: how playbooks and how `openssl` name it, its identifier and its size in bits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) openssl: &'static str,
    oid: &'static str,
    pub(crate) bits: u32,
}

#[rustfmt::skip]
pub(crate) const CURVES: &[Curve] = &[
    Curve { name: "secp192r1", openssl: "prime192v1", oid: "1.2.840.10045.3.1.1", bits: 192 },
    Curve { name: "secp224r1", openssl: "secp224r1", oid: "1.3.132.0.33", bits: 224 },
    Curve { name: "secp256k1", openssl: "secp256k1", oid: "1.3.132.0.10", bits: 256 },
    Curve { name: "secp256r1", openssl: "prime256v1", oid: "1.2.840.10045.3.1.7", bits: 256 },
    Curve { name: "secp384r1", openssl: "secp384r1", oid: "1.3.132.0.34", bits: 384 },
    Curve { name: "secp521r1", openssl: "secp521r1", oid: "1.3.132.0.35", bits: 521 },
    Curve { name: "brainpoolP256r1", openssl: "brainpoolP256r1", oid: "1.3.36.3.3.2.8.1.1.7", bits: 256 },
    Curve { name: "brainpoolP384r1", openssl: "brainpoolP384r1", oid: "1.3.36.3.3.2.8.1.1.11", bits: 384 },
    Curve { name: "brainpoolP512r1", openssl: "brainpoolP512r1", oid: "1.3.36.3.3.2.8.1.1.13", bits: 512 },
    Curve { name: "sect163k1", openssl: "sect163k1", oid: "1.3.132.0.1", bits: 163 },
    Curve { name: "sect163r2", openssl: "sect163r2", oid: "1.3.132.0.15", bits: 163 },
    Curve { name: "sect233k1", openssl: "sect233k1", oid: "1.3.132.0.26", bits: 233 },
    Curve { name: "sect233r1", openssl: "sect233r1", oid: "1.3.132.0.27", bits: 233 },
    Curve { name: "sect283k1", openssl: "sect283k1", oid: "1.3.132.0.16", bits: 283 },
    Curve { name: "sect283r1", openssl: "sect283r1", oid: "1.3.132.0.17", bits: 283 },
    Curve { name: "sect409k1", openssl: "sect409k1", oid: "1.3.132.0.36", bits: 409 },
    Curve { name: "sect409r1", openssl: "sect409r1", oid: "1.3.132.0.37", bits: 409 },
    Curve { name: "sect571k1", openssl: "sect571k1", oid: "1.3.132.0.38", bits: 571 },
    Curve { name: "sect571r1", openssl: "sect571r1", oid: "1.3.132.0.39", bits: 571 },
];

/// One that was read.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    pub(crate) kind: Kind,
    /// In bits.
    pub(crate) size: usize,
    data: Map,
}

impl Public {
    /// `None`: a kind that nobody here knows.
    pub(crate) fn read(spki: &[u8]) -> Option<Self> {
        let mut inside = Reader::new(spki).maybe(SEQUENCE)?.inside();
        let mut algorithm = inside.maybe(SEQUENCE)?.inside();
        let oid = algorithm.maybe(der::OID)?.oid();
        let key = inside.maybe(der::BITS)?.content.get(1..)?;
        match oid.as_str() {
            "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => rsa(key),
            "1.2.840.10040.4.1" => dsa(algorithm.next()?, key),
            "1.2.840.10045.2.1" => ec(&algorithm.maybe(der::OID)?.oid(), key),
            "1.3.101.110" => Some(plain(Kind::X25519, 256)),
            "1.3.101.111" => Some(plain(Kind::X448, 448)),
            "1.3.101.112" => Some(plain(Kind::Ed25519, 256)),
            "1.3.101.113" => Some(plain(Kind::Ed448, 456)),
            _ => None,
        }
    }

    /// The name that playbooks have for its kind.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Rsa => "RSA",
            Kind::Dsa => "DSA",
            Kind::Ec(_) => "ECC",
            Kind::Ed25519 => "Ed25519",
            Kind::Ed448 => "Ed448",
            Kind::X25519 => "X25519",
            Kind::X448 => "X448",
        }
    }

    /// Its numbers.
    pub(crate) fn data(&self) -> Json {
        self.data.clone().into()
    }
}

fn plain(kind: Kind, size: usize) -> Public {
    Public { kind, size, data: Map::new() }
}

fn rsa(key: &[u8]) -> Option<Public> {
    let mut numbers = Reader::new(key).maybe(SEQUENCE)?.inside();
    let (modulus, exponent) = (numbers.maybe(INTEGER)?, numbers.maybe(INTEGER)?);
    let size = bit_length(modulus);
    let data = told(json!({"size": size, "modulus": number(modulus), "exponent": number(exponent)}));
    Some(Public { kind: Kind::Rsa, size, data })
}

fn dsa(parameters: Item<'_>, key: &[u8]) -> Option<Public> {
    let mut numbers = parameters.inside();
    let (p, q, g) = (numbers.maybe(INTEGER)?, numbers.maybe(INTEGER)?, numbers.maybe(INTEGER)?);
    let y = Reader::new(key).maybe(INTEGER)?;
    let size = bit_length(p);
    let data = told(json!({"size": size, "p": number(p), "q": number(q), "g": number(g), "y": number(y)}));
    Some(Public { kind: Kind::Dsa, size, data })
}

fn ec(oid: &str, key: &[u8]) -> Option<Public> {
    let curve = CURVES.iter().find(|curve| curve.oid == oid)?;
    // Not compressed: both coordinates.
    let half = key.len().saturating_sub(1) / 2;
    let whole = der::value(OCTETS, key.get(1..1 + half)?);
    let other = der::value(OCTETS, key.get(1 + half..)?);
    let (x, y) = (Reader::new(&whole).next()?, Reader::new(&other).next()?);
    let data =
        told(json!({"curve": curve.name, "exponent_size": curve.bits, "x": number(x), "y": number(y)}));
    Some(Public { kind: Kind::Ec(curve), size: curve.bits as usize, data })
}

fn told(data: Json) -> Map {
    match data {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn bit_length(number: Item<'_>) -> usize {
    let bytes = number.unsigned();
    bytes.first().map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}

/// As a number; a long one in decimal digits, as text: JSON has no numbers of that length here.
pub(crate) fn number(number: Item<'_>) -> Json {
    // Nine digits in each, the lowest first.
    let mut parts: Vec<u64> = vec![0];
    for byte in number.unsigned() {
        let mut carry = u64::from(*byte);
        for part in &mut parts {
            let sum = *part * 256 + carry;
            *part = sum % 1_000_000_000;
            carry = sum / 1_000_000_000;
        }
        if carry > 0 {
            parts.push(carry);
        }
    }
    let highest = parts.pop().unwrap_or(0);
    let rest: String = parts.iter().rev().map(|part| format!("{part:09}")).collect();
    let digits = format!("{highest}{rest}");
    digits.parse::<u64>().map_or_else(|_| Json::from(digits.as_str()), Json::from)
}

/// Digests of its bytes by many algorithms, as two digits and a colon.
pub(crate) fn fingerprints(bytes: &[u8]) -> Json {
    json!({
        "md5": colons(&md5::Md5::digest(bytes)),
        "sha1": colons(&sha1::Sha1::digest(bytes)),
        "sha224": colons(&sha2::Sha224::digest(bytes)),
        "sha256": colons(&sha2::Sha256::digest(bytes)),
        "sha384": colons(&sha2::Sha384::digest(bytes)),
        "sha512": colons(&sha2::Sha512::digest(bytes)),
    })
}

/// The one that diffs have.
pub(crate) fn short_fingerprints(bytes: &[u8]) -> Json {
    json!({"sha256": colons(&sha2::Sha256::digest(bytes))})
}

/// `00:a1:…`
pub(crate) fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| hex(&[*byte])).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_text() {
        let told = |bytes: &[u8]| number(Reader::new(&der::number(bytes)).next().unwrap());
        assert_eq!(told(&[1, 0, 1]), 65537);
        assert_eq!(told(&[0xff; 16]), "340282366920938463463374607431768211455");
    }
}
