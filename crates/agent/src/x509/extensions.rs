//! What certificates and requests for them say beyond the name: extensions.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use catalog::{Json, Map};
use serde_json::json;

use super::der::{self, Item, Reader};
use super::names::{general, general_text};
use super::public::colons;
use crate::module::Failure;

pub(crate) const SUBJECT_KEY: &str = "2.5.29.14";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const ALTERNATIVE_NAME: &str = "2.5.29.17";
pub(crate) const BASIC: &str = "2.5.29.19";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(crate) const CRL_POINTS: &str = "2.5.29.31";
pub(crate) const AUTHORITY_KEY: &str = "2.5.29.35";
pub(crate) const EXTENDED_USAGE: &str = "2.5.29.37";
pub(crate) const MUST_STAPLE: &str = "1.3.6.1.5.5.7.1.24";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) oid: String,
    pub(crate) critical: bool,
    pub(crate) value: Vec<u8>,
}

impl Extension {
    pub(crate) fn new(oid: &str, critical: bool, value: Vec<u8>) -> Self {
        Self { oid: oid.to_owned(), critical, value }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let mut parts = vec![der::known_oid(&self.oid)];
        if self.critical {
            parts.push(der::value(der::BOOLEAN, &[0xff]));
        }
        parts.push(der::value(der::OCTETS, &self.value));
        der::sequence(&parts)
    }

    /// The same, whatever the order of what stands in it.
    pub(crate) fn means(&self, other: &Self) -> bool {
        self.oid == other.oid && self.critical == other.critical && self.sorted() == other.sorted()
    }

    fn sorted(&self) -> Vec<Vec<u8>> {
        let outer = self.inside();
        let elements = |item: Item<'_>| {
            let mut all: Vec<Vec<u8>> = item.inside().map(|one| one.whole.to_vec()).collect();
            all.sort();
            all.dedup();
            all
        };
        match (self.oid.as_str(), outer) {
            (ALTERNATIVE_NAME | EXTENDED_USAGE, Some(outer)) => elements(outer),
            (NAME_CONSTRAINTS, Some(outer)) => {
                outer.inside().map(|part| [vec![part.tag], elements(part).concat()].concat()).collect()
            }
            _ => vec![self.value.clone()],
        }
    }

    fn inside(&self) -> Option<Item<'_>> {
        Reader::new(&self.value).maybe(der::SEQUENCE)
    }
}

/// Those of a list of them.
pub(crate) fn read(list: Item<'_>) -> Vec<Extension> {
    let one = |item: Item<'_>| {
        let mut inside = item.inside();
        let oid = inside.maybe(der::OID)?.oid();
        let critical = inside.maybe(der::BOOLEAN).is_some_and(|truth| truth.content != [0]);
        let value = inside.maybe(der::OCTETS)?.content.to_vec();
        Some(Extension { oid, critical, value })
    };
    list.inside().filter_map(one).collect()
}

pub(crate) fn find<'a>(all: &'a [Extension], oid: &str) -> Option<&'a Extension> {
    all.iter().find(|extension| extension.oid == oid)
}

pub(crate) fn list(all: &[Extension]) -> Vec<u8> {
    der::sequence(&all.iter().map(Extension::der).collect::<Vec<_>>())
}

/// Bits, in their order: short and long names.
const USAGES: &[(&str, &str)] = &[
    ("digitalSignature", "Digital Signature"),
    ("nonRepudiation", "Non Repudiation"),
    ("keyEncipherment", "Key Encipherment"),
    ("dataEncipherment", "Data Encipherment"),
    ("keyAgreement", "Key Agreement"),
    ("keyCertSign", "Certificate Sign"),
    ("cRLSign", "CRL Sign"),
    ("encipherOnly", "Encipher Only"),
    ("decipherOnly", "Decipher Only"),
];

pub(crate) fn key_usage(names: &[String]) -> Result<Vec<u8>, Failure> {
    let bit = |name: &String| {
        let found = USAGES.iter().position(|(short, long)| short == name || long == name);
        found.ok_or_else(|| Failure::new(format!("Unknown key usage \"{name}\"")))
    };
    Ok(der::named_bits(&names.iter().map(bit).collect::<Result<Vec<_>, _>>()?))
}

#[rustfmt::skip]
const PURPOSES: &[(&str, &str, &str)] = &[
    ("1.3.6.1.5.5.7.3.1", "serverAuth", "TLS Web Server Authentication"),
    ("1.3.6.1.5.5.7.3.2", "clientAuth", "TLS Web Client Authentication"),
    ("1.3.6.1.5.5.7.3.3", "codeSigning", "Code Signing"),
    ("1.3.6.1.5.5.7.3.4", "emailProtection", "E-mail Protection"),
    ("1.3.6.1.5.5.7.3.5", "ipsecEndSystem", "IPSec End System"),
    ("1.3.6.1.5.5.7.3.6", "ipsecTunnel", "IPSec Tunnel"),
    ("1.3.6.1.5.5.7.3.7", "ipsecUser", "IPSec User"),
    ("1.3.6.1.5.5.7.3.8", "timeStamping", "Time Stamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning", "OCSP Signing"),
    ("1.3.6.1.5.5.7.3.10", "DVCS", "dvcs"),
    ("1.3.6.1.5.5.7.3.17", "ipsecIKE", "ipsec Internet Key Exchange"),
    ("1.3.6.1.5.5.7.1.2", "biometricInfo", "Biometric Info"),
    ("1.3.6.1.5.5.7.1.3", "qcStatements", "qcStatements"),
    ("1.3.6.1.4.1.311.2.1.21", "msCodeInd", "Microsoft Individual Code Signing"),
    ("1.3.6.1.4.1.311.2.1.22", "msCodeCom", "Microsoft Commercial Code Signing"),
    ("1.3.6.1.4.1.311.10.3.1", "msCTLSign", "Microsoft Trust List Signing"),
    ("1.3.6.1.4.1.311.10.3.3", "msSGC", "Microsoft Server Gated Crypto"),
    ("1.3.6.1.4.1.311.10.3.4", "msEFS", "Microsoft Encrypted File System"),
    ("1.3.6.1.4.1.311.20.2.2", "msSmartcardLogin", "Microsoft Smartcard Login"),
    ("2.16.840.1.113730.4.1", "nsSGC", "Netscape Server Gated Crypto"),
    ("2.5.29.37.0", "anyExtendedKeyUsage", "Any Extended Key Usage"),
];

pub(crate) fn extended_usage(names: &[String]) -> Result<Vec<u8>, Failure> {
    let one = |name: &String| {
        let known = PURPOSES.iter().find(|(_, short, long)| short == name || long == name);
        let oid = der::oid(known.map_or(name.as_str(), |(oid, ..)| *oid));
        oid.ok_or_else(|| Failure::new(format!("Cannot find OID for \"{name}\"")))
    };
    Ok(der::sequence(&names.iter().map(one).collect::<Result<Vec<_>, _>>()?))
}

/// `CA:TRUE`, `pathlen:0`
pub(crate) fn basic(words: &[String]) -> Result<Vec<u8>, Failure> {
    let (mut authority, mut length) = (false, None);
    for word in words {
        let number = word.strip_prefix("pathlen:").or_else(|| word.strip_prefix("pathLenConstraint:"));
        match (word.as_str(), number) {
            ("CA:TRUE", _) => authority = true,
            ("CA:FALSE", _) => authority = false,
            (_, Some(number)) => {
                let parsed: Result<u32, _> = number.trim().parse();
                length = Some(parsed.map_err(|_| {
                    Failure::new(format!("Cannot parse path length constraint \"{number}\""))
                })?);
            }
            _ => return Err(Failure::new(format!("Unknown basic constraint \"{word}\""))),
        }
    }
    if length.is_some() && !authority {
        return Err("path_length must be None when ca is False".into());
    }
    let mut parts = Vec::new();
    if authority {
        parts.push(der::value(der::BOOLEAN, &[0xff]));
    }
    parts.extend(length.map(|length| der::number(&length.to_be_bytes())));
    Ok(der::sequence(&parts))
}

pub(crate) fn names(all: &[String], what: &str) -> Result<Vec<Vec<u8>>, Failure> {
    all.iter().map(|name| general(name, what, false)).collect()
}

pub(crate) fn name_constraints(permitted: &[String], excluded: &[String]) -> Result<Vec<u8>, Failure> {
    let mut parts = Vec::new();
    let what = ["Name Constraints permitted", "Name Constraints excluded"];
    for (tag, (all, what)) in (0..).zip([permitted, excluded].into_iter().zip(what)) {
        let subtree = |name: &String| Ok(der::sequence(&[general(name, what, true)?]));
        let trees: Vec<Vec<u8>> = all.iter().map(subtree).collect::<Result<_, Failure>>()?;
        if !trees.is_empty() {
            parts.push(der::of(der::context(tag), &trees));
        }
    }
    Ok(der::sequence(&parts))
}

/// Which key signed: its identifier, or who certified it by which number.
pub(crate) fn authority_key(key: Option<&[u8]>, issuer: &[Vec<u8>], serial: Option<&[u8]>) -> Vec<u8> {
    let mut parts = Vec::new();
    parts.extend(key.map(|key| der::value(der::implicit(0), key)));
    if !issuer.is_empty() {
        parts.push(der::of(der::context(1), issuer));
    }
    if let Some(serial) = serial {
        let number = der::number(serial);
        parts.extend(Reader::new(&number).next().map(|number| der::value(der::implicit(2), number.content)));
    }
    der::sequence(&parts)
}

/// The identifier of a key, made of its bits.
pub(crate) fn key_identifier(public: &[u8]) -> Vec<u8> {
    use sha1::Digest as _;
    let mut inside = Reader::new(public).next().map_or(Reader::new(&[]), |whole| whole.inside());
    let bits = inside.by_ref().nth(1).map_or(&[][..], |bits| bits.content.get(1..).unwrap_or_default());
    sha1::Sha1::digest(bits).to_vec()
}

/// As diffs have them.
pub(crate) fn told(all: &[Extension]) -> Map {
    let value = |oid: &str| find(all, oid);
    let critical = |oid: &str| value(oid).is_some_and(|found| found.critical);
    let (permitted, excluded) = value(NAME_CONSTRAINTS).map(told_constraints).unwrap_or_default();
    let identifier =
        value(SUBJECT_KEY).and_then(|own| Some(colons(Reader::new(&own.value).maybe(der::OCTETS)?.content)));
    let authority = value(AUTHORITY_KEY).and_then(Extension::inside).map(told_authority).unwrap_or_default();
    let by_oid: Map = all
        .iter()
        .map(|one| {
            let value = BASE64_STANDARD.encode(&one.value);
            (one.oid.clone(), json!({"critical": one.critical, "value": value}))
        })
        .collect();
    let told = json!({
        "key_usage": value(KEY_USAGE).map(told_usage),
        "key_usage_critical": critical(KEY_USAGE),
        "extended_key_usage": value(EXTENDED_USAGE).map(told_purposes),
        "extended_key_usage_critical": critical(EXTENDED_USAGE),
        "basic_constraints": value(BASIC).map(told_basic),
        "basic_constraints_critical": critical(BASIC),
        "ocsp_must_staple": value(MUST_STAPLE).map(|_| true),
        "ocsp_must_staple_critical": critical(MUST_STAPLE),
        "subject_alt_name": value(ALTERNATIVE_NAME).map(told_names),
        "subject_alt_name_critical": critical(ALTERNATIVE_NAME),
        "name_constraints_permitted": permitted,
        "name_constraints_excluded": excluded,
        "name_constraints_critical": critical(NAME_CONSTRAINTS),
        "subject_key_identifier": identifier,
        "authority_key_identifier": authority.0,
        "authority_cert_issuer": authority.1,
        "authority_cert_serial_number": authority.2,
        "extensions_by_oid": by_oid,
    });
    match told {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn told_usage(usage: &Extension) -> Vec<&'static str> {
    let bits =
        Reader::new(&usage.value).next().map(|bits| der::read_named_bits(bits.content)).unwrap_or_default();
    let mut all: Vec<&str> = bits.iter().filter_map(|bit| Some(USAGES.get(*bit)?.1)).collect();
    all.sort_unstable();
    all
}

fn told_purposes(usage: &Extension) -> Vec<String> {
    let one = |item: Item<'_>| {
        let oid = item.oid();
        PURPOSES.iter().find(|(known, ..)| *known == oid).map_or(oid, |(_, _, long)| (*long).to_owned())
    };
    let mut all: Vec<String> = usage.inside().into_iter().flat_map(|list| list.inside()).map(one).collect();
    all.sort_unstable();
    all
}

fn told_basic(basic: &Extension) -> Vec<String> {
    let (mut all, mut authority) = (Vec::new(), false);
    for item in basic.inside().into_iter().flat_map(|list| list.inside()) {
        match item.tag {
            der::BOOLEAN => authority = item.content != [0],
            _ => {
                let length = item.content.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
                all.push(format!("pathlen:{length}"));
            }
        }
    }
    all.insert(0, format!("CA:{}", if authority { "TRUE" } else { "FALSE" }));
    all
}

fn told_names(names: &Extension) -> Vec<String> {
    names.inside().into_iter().flat_map(|list| list.inside()).map(general_text).collect()
}

type Told = Option<Vec<String>>;

fn told_constraints(constraints: &Extension) -> (Told, Told) {
    let part = |tag: u8| {
        let found = constraints.inside()?.inside().find(|part| part.tag == der::context(tag))?;
        Some(found.inside().filter_map(|tree| tree.inside().next()).map(general_text).collect())
    };
    (part(0), part(1))
}

fn told_authority(key: Item<'_>) -> (Option<String>, Told, Option<Json>) {
    let mut told = (None, None, None);
    for part in key.inside() {
        match part.tag & 0x1f {
            0 => told.0 = Some(colons(part.content)),
            1 => told.1 = Some(part.inside().map(general_text).collect()),
            _ => told.2 = Some(super::public::number(part)),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[&str]) -> Vec<String> {
        text.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn usages_have_two_names_and_no_order() {
        let one = key_usage(&words(&["cRLSign", "keyCertSign"])).unwrap();
        assert_eq!(one, key_usage(&words(&["Certificate Sign", "CRL Sign"])).unwrap());
        assert_eq!(told_usage(&Extension::new(KEY_USAGE, true, one)), ["CRL Sign", "Certificate Sign"]);
        let extension =
            |names: &[&str]| Extension::new(EXTENDED_USAGE, false, extended_usage(&words(names)).unwrap());
        assert!(
            extension(&["serverAuth", "1.2.3"])
                .means(&extension(&["1.2.3", "TLS Web Server Authentication"]))
        );
        assert!(!extension(&["serverAuth"]).means(&extension(&["clientAuth"])));
    }

    #[test]
    fn constraints_are_read_as_they_are_written() {
        let one = Extension::new(BASIC, true, basic(&words(&["pathlen:3", "CA:TRUE"])).unwrap());
        assert_eq!(told_basic(&one), ["CA:TRUE", "pathlen:3"]);
        assert!(basic(&words(&["pathlen:3"])).is_err() && basic(&words(&["CA:MAYBE"])).is_err());
        let tree = name_constraints(&words(&["IP:10.0.0.0/8"]), &words(&["DNS:a"])).unwrap();
        let told = told_constraints(&Extension::new(NAME_CONSTRAINTS, false, tree));
        assert_eq!(told, (Some(words(&["IP:10.0.0.0/8"])), Some(words(&["DNS:a"]))));
    }
}
