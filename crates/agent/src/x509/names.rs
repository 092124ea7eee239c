//! Names in certificates: who somebody is (a subject, an issuer) and what somebody is called (`DNS:…`, `IP:…`).

use std::net::IpAddr;

use super::der::{self, Item, Reader};
use super::idna;
use crate::module::Failure;

/// Identifiers of a name's parts, and all that people call them; the first is how they are told.
const PARTS: &[(&str, &[&str])] = &[
    ("2.5.4.3", &["commonName", "CN"]),
    ("2.5.4.6", &["countryName", "C"]),
    ("2.5.4.7", &["localityName", "L"]),
    ("2.5.4.8", &["stateOrProvinceName", "ST"]),
    ("2.5.4.9", &["streetAddress", "street"]),
    ("2.5.4.10", &["organizationName", "O"]),
    ("2.5.4.11", &["organizationalUnitName", "OU"]),
    ("2.5.4.12", &["title"]),
    ("2.5.4.13", &["description"]),
    ("2.5.4.15", &["businessCategory"]),
    ("2.5.4.16", &["postalAddress"]),
    ("2.5.4.17", &["postalCode"]),
    ("2.5.4.4", &["surname", "SN"]),
    ("2.5.4.5", &["serialNumber"]),
    ("2.5.4.41", &["name"]),
    ("2.5.4.42", &["givenName", "GN"]),
    ("2.5.4.43", &["initials"]),
    ("2.5.4.44", &["generationQualifier"]),
    ("2.5.4.45", &["x500UniqueIdentifier"]),
    ("2.5.4.46", &["dnQualifier"]),
    ("2.5.4.65", &["pseudonym"]),
    ("2.5.4.97", &["organizationIdentifier"]),
    ("1.2.840.113549.1.9.1", &["emailAddress"]),
    ("1.2.840.113549.1.9.2", &["unstructuredName"]),
    ("0.9.2342.19200300.100.1.25", &["domainComponent", "DC"]),
    ("0.9.2342.19200300.100.1.1", &["userId", "UID"]),
    ("1.3.6.1.4.1.311.60.2.1.1", &["jurisdictionLocalityName", "jurisdictionL"]),
    ("1.3.6.1.4.1.311.60.2.1.2", &["jurisdictionStateOrProvinceName", "jurisdictionST"]),
    ("1.3.6.1.4.1.311.60.2.1.3", &["jurisdictionCountryName", "jurisdictionC"]),
];

/// The identifier of a name's part; it may be given as one.
fn identifier(part: &str) -> Result<String, Failure> {
    let known = PARTS.iter().find(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(part)));
    match known {
        Some((oid, _)) => Ok((*oid).to_owned()),
        None if der::oid(part).is_some() => Ok(part.to_owned()),
        None => Err(Failure::new(format!("Cannot find OID for \"{part}\""))),
    }
}

/// How a name's part is told.
fn told(oid: &str) -> &str {
    PARTS.iter().find(|(known, _)| *known == oid).map_or(oid, |(_, names)| names[0])
}

/// Identifiers and values, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name(Vec<(String, String)>);

impl Name {
    pub(crate) fn push(&mut self, part: &str, value: &str) -> Result<(), Failure> {
        let oid = identifier(part)?;
        if matches!(told(&oid), "countryName" | "jurisdictionCountryName") && value.len() != 2 {
            return Err(Failure::new(format!(
                "Country name must be a 2 character country code, and `{value}` is none"
            )));
        }
        self.0.push((oid, value.to_owned()));
        Ok(())
    }

    /// `/C=DE/O=some one`, `C=DE,O=some one`, in this order; a backslash takes the next letter as it is.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let (text, separator) = match text.strip_prefix('/') {
            Some(rest) => (rest, '/'),
            None => (text, ','),
        };
        let (mut name, mut part, mut letters) = (Self::default(), String::new(), text.chars());
        let mut end = |part: &mut String| {
            let whole = std::mem::take(part);
            let pair = whole.split_once('=');
            let (key, value) = pair.ok_or_else(|| {
                Failure::new(format!("cannot parse name part \"{whole}\": expected KEY=VALUE"))
            })?;
            name.push(key.trim(), value.trim_start())
        };
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => part.extend(letters.next()),
                _ if letter == separator => end(&mut part)?,
                _ => part.push(letter),
            }
        }
        end(&mut part)?;
        Ok(name)
    }

    pub(crate) fn read(name: Item<'_>) -> Self {
        let mut all = Vec::new();
        for part in name.inside().flat_map(|set| set.inside()) {
            let mut pair = part.inside();
            if let (Some(oid), Some(value)) = (pair.maybe(der::OID), pair.next()) {
                all.push((oid.oid(), value.text()));
            }
        }
        Self(all)
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let parts: Vec<Vec<u8>> = self.attributes().map(|part| der::of(der::SET, &[part])).collect();
        der::sequence(&parts)
    }

    /// Its parts by themselves.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = Vec<u8>> + use<'_> {
        self.0.iter().map(|(oid, value)| part(oid, value))
    }

    /// As in results: names and values.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(oid, value)| (told(oid), value.as_str())).collect()
    }

    /// The same parts, in whatever order.
    pub(crate) fn same_parts(&self, other: &Self) -> bool {
        let sorted = |name: &Self| {
            let mut parts = name.0.clone();
            parts.sort();
            parts.dedup();
            parts
        };
        sorted(self) == sorted(other)
    }

    /// What is written on one line begins with what is last in the bytes.
    fn reversed(mut self) -> Self {
        self.0.reverse();
        self
    }

    fn text(&self) -> String {
        let quoted = |value: &str| {
            let mut text = String::new();
            for letter in value.chars() {
                if matches!(letter, ',' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' | '=') {
                    text.push('\\');
                }
                text.push(letter);
            }
            text
        };
        let parts: Vec<String> =
            self.0.iter().map(|(oid, value)| format!("{}={}", short(oid), quoted(value))).collect();
        parts.join(",")
    }
}

fn short(oid: &str) -> &str {
    PARTS.iter().find(|(known, _)| *known == oid).map_or(oid, |(_, names)| names[names.len() - 1])
}

fn part(oid: &str, value: &str) -> Vec<u8> {
    let tag = match told(oid) {
        "countryName" | "jurisdictionCountryName" | "serialNumber" | "dnQualifier" => der::PRINTABLE,
        "emailAddress" | "domainComponent" => der::IA5,
        _ => der::UTF8,
    };
    der::sequence(&[der::known_oid(oid), der::value(tag, value.as_bytes())])
}

const OTHER: u8 = der::context(0);
const EMAIL: u8 = der::implicit(1);
const DNS: u8 = der::implicit(2);
const DIRECTORY: u8 = der::context(4);
const URI: u8 = der::implicit(6);
const IP: u8 = der::implicit(7);
const REGISTERED: u8 = der::implicit(8);

/// `DNS:www.example.org` and its like, as one value. `net`: an address is one with a mask (`IP:192.0.2.0/24`).
pub(crate) fn general(text: &str, what: &str, net: bool) -> Result<Vec<u8>, Failure> {
    let wrong = |why: &str| Failure::new(format!("Cannot parse {what} \"{text}\"{why}"));
    let (kind, value) = text.split_once(':').ok_or_else(|| wrong(" (forgot \"DNS:\" prefix?)"))?;
    let value = value.trim_start();
    Ok(match kind {
        "DNS" => der::value(DNS, idna::domain(value).as_bytes()),
        "email" => der::value(EMAIL, idna::email(value).as_bytes()),
        "URI" => der::value(URI, idna::uri(value).as_bytes()),
        "IP" => {
            let bytes = if net { network(value) } else { address(value) };
            der::value(IP, &bytes.ok_or_else(|| wrong(": that is no address"))?)
        }
        "RID" => {
            let oid = der::oid(value).ok_or_else(|| wrong(": that is no object identifier"))?;
            der::value(REGISTERED, Reader::new(&oid).next().map_or(&[][..], |item| item.content))
        }
        "dirName" => der::of(DIRECTORY, &[Name::parse(value)?.reversed().der()]),
        "otherName" => {
            other(value).ok_or_else(|| wrong(": expected an object identifier, a semicolon and UTF8:TEXT"))?
        }
        _ => return Err(wrong(" (potentially unsupported by cryptography backend)")),
    })
}

fn address(text: &str) -> Option<Vec<u8>> {
    Some(match text.parse().ok()? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    })
}

/// An address and its mask.
fn network(text: &str) -> Option<Vec<u8>> {
    let (base, length) = text.split_once('/').unwrap_or((text, ""));
    let bytes = address(base)?;
    let bits = if length.is_empty() { bytes.len() * 8 } else { length.parse().ok()? };
    if bits > bytes.len() * 8 {
        return None;
    }
    let mask = (0..bytes.len()).map(|at| match bits.saturating_sub(at * 8) {
        0 => 0,
        left @ 1..8 => !(0xff_u8 >> left),
        _ => 0xff,
    });
    Some(bytes.iter().copied().chain(mask).collect())
}

fn other(text: &str) -> Option<Vec<u8>> {
    let (oid, value) = text.split_once(';')?;
    let text = value.strip_prefix("UTF8:").or_else(|| value.strip_prefix("UTF8String:"))?;
    let value = der::value(der::UTF8, text.as_bytes());
    Some(der::of(OTHER, &[der::oid(oid)?, der::of(der::context(0), &[value])]))
}

/// Hexadecimal digits, with colons between bytes or without.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()).collect()
}

/// A name that was read, as people write it.
pub(crate) fn general_text(item: Item<'_>) -> String {
    match item.tag {
        DNS => format!("DNS:{}", item.text()),
        EMAIL => format!("email:{}", item.text()),
        URI => format!("URI:{}", item.text()),
        IP => format!("IP:{}", address_text(item.content)),
        REGISTERED => format!("RID:{}", der::oid_text(item.content)),
        DIRECTORY => {
            let name = item.inside().next().map(Name::read).unwrap_or_default();
            format!("dirName:{}", name.reversed().text())
        }
        OTHER => {
            let mut inside = item.inside();
            let oid = inside.next().map(|oid| oid.oid()).unwrap_or_default();
            let value = inside.next().map_or(&[][..], |value| value.content);
            format!("otherName:{oid};{}", super::public::colons(value))
        }
        _ => super::public::colons(item.whole),
    }
}

fn address_text(bytes: &[u8]) -> String {
    let one = |bytes: &[u8]| {
        let four: Option<[u8; 4]> = bytes.try_into().ok();
        let sixteen: Option<[u8; 16]> = bytes.try_into().ok();
        four.map(IpAddr::from).or(sixteen.map(IpAddr::from)).map(|address| address.to_string())
    };
    let half = bytes.len() / 2;
    let with_mask = || {
        let ones: u32 = bytes[half..].iter().map(|byte| byte.count_ones()).sum();
        Some(format!("{}/{ones}", one(&bytes[..half])?))
    };
    let whole = if bytes.len() == 8 || bytes.len() == 32 { with_mask() } else { one(bytes) };
    whole.unwrap_or_else(|| super::public::colons(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(text: &str, net: bool) -> String {
        general_text(Reader::new(&general(text, "name", net).unwrap()).next().unwrap())
    }

    #[test]
    fn names_come_back_as_they_were_written() {
        for text in [
            "DNS:*.example.org",
            "IP:2001:db8::1",
            "email:a@b.c",
            "URI:https://x/y",
            "RID:1.2.3",
            "dirName:C=DE,O=a\\,b",
        ] {
            assert_eq!(there_and_back(text, false), text);
        }
        assert_eq!(there_and_back("IP:192.0.2.0/20", true), "IP:192.0.2.0/20");
        assert_eq!(there_and_back("IP:192.0.2.1", true), "IP:192.0.2.1/32");
        assert_eq!(there_and_back("dirName:/C=DE/O=x,y", false), "dirName:C=DE,O=x\\,y");
        assert_eq!(there_and_back("otherName:1.2;UTF8:a", false), "otherName:1.2;0c:01:61");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "x",
            "FOO:x",
            "IP:300.1.1.1",
            "RID:x",
            "dirName:/x",
            "dirName:/nonsense=1",
            "otherName:1.2",
            "otherName:1.2;0c00",
        ] {
            assert!(general(text, "name", false).is_err(), "{text}");
        }
        assert!(general("IP:1.2.3.4/33", "name", true).is_err());
    }
}
