//! `openssl_csr`: a request for a certificate, signed by a private key.

mod wanted;

use catalog::{Arg, Args, Json, Kind, ModuleSpec};
use serde_json::json;

use crate::module::{Failure, Module, Outcome, Task};
use crate::openssl::{self, PrivateKey};
use crate::x509::product::Product;
use crate::x509::request::Signed;

#[rustfmt::skip]
const POINT: &[Arg] = &[
    Arg::list("full_name"),
    Arg::list("relative_name"),
    Arg::list("crl_issuer"),
    Arg::list("reasons").choices(&[
        "key_compromise", "ca_compromise", "affiliation_changed", "superseded", "cessation_of_operation", "certificate_hold",
        "privilege_withdrawn", "aa_compromise",
    ]),
];

#[rustfmt::skip]
const ARGS: &[Arg] = &[
    Arg::path("path").required(),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("digest").default("sha256"),
    Arg::path("privatekey_path"),
    Arg::str("privatekey_content").no_log(),
    Arg::str("privatekey_passphrase").no_log(),
    Arg::int("version").default("1").choices(&["1"]),
    Arg::dict("subject"),
    Arg::list("subject_ordered").of(&Kind::Dict),
    Arg::str("country_name").aliases(&["C", "countryName"]),
    Arg::str("state_or_province_name").aliases(&["ST", "stateOrProvinceName"]),
    Arg::str("locality_name").aliases(&["L", "localityName"]),
    Arg::str("organization_name").aliases(&["O", "organizationName"]),
    Arg::str("organizational_unit_name").aliases(&["OU", "organizationalUnitName"]),
    Arg::str("common_name").aliases(&["CN", "commonName"]),
    Arg::str("email_address").aliases(&["E", "emailAddress"]),
    Arg::list("subject_alt_name").aliases(&["subjectAltName"]),
    Arg::bool("subject_alt_name_critical").default("false").aliases(&["subjectAltName_critical"]),
    Arg::bool("use_common_name_for_san").default("true").aliases(&["useCommonNameForSAN"]),
    Arg::list("key_usage").aliases(&["keyUsage"]),
    Arg::bool("key_usage_critical").default("false").aliases(&["keyUsage_critical"]),
    Arg::list("extended_key_usage").aliases(&["extKeyUsage", "extendedKeyUsage"]),
    Arg::bool("extended_key_usage_critical").default("false").aliases(&["extKeyUsage_critical", "extendedKeyUsage_critical"]),
    Arg::list("basic_constraints").aliases(&["basicConstraints"]),
    Arg::bool("basic_constraints_critical").default("false").aliases(&["basicConstraints_critical"]),
    Arg::bool("ocsp_must_staple").default("false").aliases(&["ocspMustStaple"]),
    Arg::bool("ocsp_must_staple_critical").default("false").aliases(&["ocspMustStaple_critical"]),
    Arg::list("name_constraints_permitted"),
    Arg::list("name_constraints_excluded"),
    Arg::bool("name_constraints_critical").default("false"),
    Arg::bool("create_subject_key_identifier").default("false"),
    Arg::str("subject_key_identifier"),
    Arg::str("authority_key_identifier"),
    Arg::list("authority_cert_issuer"),
    Arg::int("authority_cert_serial_number"),
    Arg::list("crl_distribution_points").of(&Kind::Dict).options(POINT).exclusive(&[&["full_name", "relative_name"]]).one_of(&[&["full_name", "relative_name", "crl_issuer"]]),
    Arg::bool("force").default("false"),
    Arg::bool("backup").default("false"),
    Arg::bool("return_content").default("false"),
    Arg::str("select_crypto_backend").default("auto").choices(&["auto", "cryptography"]),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("openssl_csr", ARGS)
        .collection("community.crypto")
        .file_args()
        .required_together(&[&["authority_cert_issuer", "authority_cert_serial_number"]])
        .mutually_exclusive(&[&["privatekey_path", "privatekey_content"], &["subject", "subject_ordered"]])
        .required_if(&[("state", "present", &["privatekey_path", "privatekey_content"], true)]),
    run,
};

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let mut product = Product::of(args, None)?;
    if args.string("state") == "absent" {
        let there = product.remove(task)?;
        return Ok(told(args, &product, there, &[], &[]).diff(json!({"before": {}, "after": {}})));
    }
    let subject = wanted::subject(args)?;
    let alternatives = wanted::alternatives(args, &subject);
    openssl::check_digest(&args.string("digest"))?;
    let mut wanted = wanted::request(args, &subject, &alternatives)?;
    let key = PrivateKey::of(args, task, "privatekey")?;
    wanted::add_keys(args, &mut wanted, &key)?;
    let content = product.content()?;
    let is = look(task, content.as_deref())?;
    let before = diff(content.is_some(), is.as_ref());
    let make = args.bool("force")
        || !is.as_ref().is_some_and(|(is, valid)| *valid && wanted::is_such(args, &is.request, &wanted));
    let (mut after, mut content) = (before.clone(), content);
    if make && !task.check {
        let made = wanted.sign(task, &key, &args.string("digest"))?.into_bytes();
        product.write(task, &made, None)?;
        after = diff(true, look(task, Some(&made))?.as_ref());
        content = Some(made);
    }
    let changed = product.attributes(task)? || make;
    let content = content.filter(|_| args.bool("return_content"));
    let outcome = told(args, &product, changed, &subject, &alternatives)
        .with_some("csr", content.map(|content| String::from_utf8_lossy(&content).into_owned()));
    Ok(outcome.diff(json!({"before": before, "after": after})))
}

/// What the file asks for, and whether the owner of the key in it signed that.
fn look(task: &Task<'_>, content: Option<&[u8]>) -> Result<Option<(Signed, bool)>, Failure> {
    let Some(is) = content.and_then(Signed::read) else { return Ok(None) };
    let valid = is.is_valid(task)?;
    Ok(Some((is, valid)))
}

fn diff(there: bool, is: Option<&(Signed, bool)>) -> Json {
    match is {
        Some((is, valid)) => is.told(*valid),
        None if there => json!({"can_parse_csr": false}),
        None => json!({}),
    }
}

fn told(args: &Args, product: &Product, changed: bool, subject: &[(String, String)], names: &[String]) -> Outcome {
    let list = |name: &str| args.get(name).cloned().unwrap_or_default();
    let empty = |name: &str| json!(args.strings(name));
    Outcome::changed(changed)
        .with("privatekey", list("privatekey_path"))
        .with("filename", args.string("path"))
        .with("subject", json!(subject))
        .with("subjectAltName", if names.is_empty() { Json::Null } else { json!(names) })
        .with("keyUsage", list("key_usage"))
        .with("extendedKeyUsage", list("extended_key_usage"))
        .with("basicConstraints", list("basic_constraints"))
        .with("ocspMustStaple", args.bool("ocsp_must_staple"))
        .with("name_constraints_permitted", empty("name_constraints_permitted"))
        .with("name_constraints_excluded", empty("name_constraints_excluded"))
        .with_some("backup_file", product.kept.clone())
}
