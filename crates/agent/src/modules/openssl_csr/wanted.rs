//! What a task asks to be requested: the subject, its other names, and what the certificate shall say.

use catalog::{Args, Json};

use crate::module::Failure;
use crate::openssl::PrivateKey;
use crate::x509::der;
use crate::x509::extensions::{self as ext, Extension};
use crate::x509::names::{Name, unhex};
use crate::x509::request::Request;

const FIELDS: &[(&str, &str)] = &[
    ("country_name", "C"),
    ("state_or_province_name", "ST"),
    ("locality_name", "L"),
    ("organization_name", "O"),
    ("organizational_unit_name", "OU"),
    ("common_name", "CN"),
    ("email_address", "emailAddress"),
];

/// The parts of the subject, as the task names them.
pub(super) fn subject(args: &Args) -> Result<Vec<(String, String)>, Failure> {
    let fields = FIELDS.iter().filter_map(|(argument, key)| {
        Some(((*key).to_owned(), args.str(argument).filter(|text| !text.is_empty())?.to_owned()))
    });
    let mut all: Vec<(String, String)> = fields.collect();
    if let Some(ordered) = args.list("subject_ordered") {
        if !all.is_empty() {
            return Err("subject_ordered cannot be combined with any other subject field".into());
        }
        for (at, entry) in ordered.iter().enumerate() {
            let pair = entry.as_object().filter(|entry| entry.len() == 1).and_then(|entry| entry.iter().next());
            let (key, value) = pair.ok_or_else(|| {
                Failure::new(format!(
                    "Entry #{} in subject_ordered must be a dictionary with exactly one key-value pair",
                    at + 1
                ))
            })?;
            add(&mut all, key, value, "subject_ordered")?;
        }
    }
    for (key, value) in args.dict("subject").into_iter().flatten() {
        add(&mut all, key, value, "subject")?;
    }
    Ok(all)
}

fn add(all: &mut Vec<(String, String)>, key: &str, value: &Json, what: &str) -> Result<(), Failure> {
    let values = match value {
        Json::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    for value in values {
        let Some(value) = value.as_str() else {
            return Err(Failure::new(format!(
                "Value for {key} in {what} must be either a string or a list of strings"
            )));
        };
        all.push((key.to_owned(), value.to_owned()));
    }
    Ok(())
}

pub(super) fn alternatives(args: &Args, subject: &[(String, String)]) -> Vec<String> {
    let given = args.strings("subject_alt_name");
    if !given.is_empty() || !args.bool("use_common_name_for_san") {
        return given;
    }
    let common = subject.iter().find(|(key, _)| matches!(key.as_str(), "CN" | "commonName"));
    common.map(|(_, name)| format!("DNS:{name}")).into_iter().collect()
}

/// All that needs no key to be said.
pub(super) fn request(args: &Args, subject: &[(String, String)], names: &[String]) -> Result<Request, Failure> {
    let mut name = Name::default();
    for (key, value) in subject {
        name.push(key, value)?;
    }
    let mut all = Vec::new();
    let mut add = |oid: &str, critical: &str, value: Vec<u8>| {
        all.push(Extension::new(oid, args.bool(critical), value));
    };
    if !names.is_empty() {
        let names = ext::names(names, "Subject Alternative Name")?;
        add(ext::ALTERNATIVE_NAME, "subject_alt_name_critical", der::sequence(&names));
    }
    let list = |name: &str| Some(args.strings(name)).filter(|list| !list.is_empty());
    if let Some(names) = list("key_usage") {
        add(ext::KEY_USAGE, "key_usage_critical", ext::key_usage(&names)?);
    }
    if let Some(names) = list("extended_key_usage") {
        add(ext::EXTENDED_USAGE, "extended_key_usage_critical", ext::extended_usage(&names)?);
    }
    if let Some(words) = list("basic_constraints") {
        add(ext::BASIC, "basic_constraints_critical", ext::basic(&words)?);
    }
    if args.bool("ocsp_must_staple") {
        add(ext::MUST_STAPLE, "ocsp_must_staple_critical", der::sequence(&[der::number(&[5])]));
    }
    let (permitted, excluded) =
        (args.strings("name_constraints_permitted"), args.strings("name_constraints_excluded"));
    if !permitted.is_empty() || !excluded.is_empty() {
        add(ext::NAME_CONSTRAINTS, "name_constraints_critical", ext::name_constraints(&permitted, &excluded)?);
    }
    Ok(Request { subject: name, public: Vec::new(), extensions: all })
}

/// The key, and what names keys.
pub(super) fn add_keys(args: &Args, request: &mut Request, key: &PrivateKey) -> Result<(), Failure> {
    request.public.clone_from(&key.public);
    let hex = |name: &str| match args.str(name) {
        None => Ok(None),
        Some(text) => unhex(text)
            .map(Some)
            .ok_or_else(|| Failure::new(format!("Cannot parse {name}: Non-hexadecimal digit found"))),
    };
    let own = hex("subject_key_identifier")?;
    let own = match args.bool("create_subject_key_identifier") {
        true if own.is_some() => {
            return Err("subject_key_identifier cannot be specified if create_subject_key_identifier is true".into());
        }
        true => Some(ext::key_identifier(&key.public)),
        false => own,
    };
    let all = &mut request.extensions;
    all.extend(own.map(|own| Extension::new(ext::SUBJECT_KEY, false, der::value(der::OCTETS, &own))));
    let authority = hex("authority_key_identifier")?;
    let issuer = ext::names(&args.strings("authority_cert_issuer"), "Authority Cert Issuer")?;
    let serial = args.int("authority_cert_serial_number").map(i64::to_be_bytes);
    if authority.is_some() || !issuer.is_empty() || serial.is_some() {
        let serial = serial.as_ref().map(<[u8; 8]>::as_slice);
        let value = ext::authority_key(authority.as_deref(), &issuer, serial);
        all.push(Extension::new(ext::AUTHORITY_KEY, false, value));
    }
    let points = args.list("crl_distribution_points").unwrap_or_default();
    if !points.is_empty() {
        let parsed = points.iter().enumerate().map(|(at, one)| {
            point(one).map_err(|why| {
                Failure::new(format!("Error while parsing CRL distribution point #{at}: {}", why.message))
            })
        });
        let parsed: Vec<Vec<u8>> = parsed.collect::<Result<_, _>>()?;
        all.push(Extension::new(ext::CRL_POINTS, false, der::sequence(&parsed)));
    }
    Ok(())
}

/// Bits 1 and up.
const REASONS: &[&str] = &[
    "key_compromise",
    "ca_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "certificate_hold",
    "privilege_withdrawn",
    "aa_compromise",
];

fn point(point: &Json) -> Result<Vec<u8>, Failure> {
    let list = |key: &str| -> Vec<String> {
        point[key].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let (full, relative) = (list("full_name"), list("relative_name"));
    let mut parts = Vec::new();
    if !full.is_empty() {
        let names = ext::names(&full, "CRL distribution point's full name")?;
        parts.push(der::of(der::context(0), &[der::of(der::context(0), &names)]));
    } else if !relative.is_empty() {
        let mut attributes: Vec<Vec<u8>> = Vec::new();
        for name in &relative {
            attributes.extend(Name::parse(name)?.attributes());
        }
        attributes.sort();
        parts.push(der::of(der::context(0), &[der::of(der::context(1), &attributes)]));
    }
    let reasons = list("reasons");
    if !reasons.is_empty() {
        let bits: Vec<usize> =
            reasons.iter().filter_map(|name| Some(REASONS.iter().position(|known| known == name)? + 1)).collect();
        let bits = der::named_bits(&bits);
        let content = der::Reader::new(&bits).next().map_or(&[][..], |bits| bits.content);
        parts.push(der::value(der::implicit(1), content));
    }
    let issuer = list("crl_issuer");
    if !issuer.is_empty() {
        parts.push(der::of(der::context(2), &ext::names(&issuer, "CRL issuer")?));
    }
    Ok(der::sequence(&parts))
}

/// All that a request may say.
const SAID: &[&str] = &[
    ext::ALTERNATIVE_NAME,
    ext::KEY_USAGE,
    ext::EXTENDED_USAGE,
    ext::BASIC,
    ext::MUST_STAPLE,
    ext::NAME_CONSTRAINTS,
    ext::SUBJECT_KEY,
    ext::AUTHORITY_KEY,
    ext::CRL_POINTS,
];

/// Whether a request that is there asks for the same.
pub(super) fn is_such(args: &Args, is: &Request, wanted: &Request) -> bool {
    let subject = if args.has("subject_ordered") {
        is.subject == wanted.subject
    } else {
        is.subject.same_parts(&wanted.subject)
    };
    let same = |oid: &&str| match (ext::find(&is.extensions, oid), ext::find(&wanted.extensions, oid)) {
        (Some(is), Some(wanted)) => is.means(wanted),
        (None, None) => true,
        _ => false,
    };
    subject && is.public == wanted.public && SAID.iter().all(same)
}
