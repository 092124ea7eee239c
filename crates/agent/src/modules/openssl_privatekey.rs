//! `openssl_privatekey`: a private key, made by the host's `openssl`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use catalog::{Arg, Args, Json, ModuleSpec};
use layer::Scratch;
use serde_json::json;

use crate::children;
use crate::module::{Failure, Module, Outcome, Task};
use crate::openssl::{self, Unreadable};
use crate::x509::der::{self, Reader};
use crate::x509::product::Product;
use crate::x509::public::{CURVES, Kind, Public, fingerprints, short_fingerprints};

#[rustfmt::skip]
const ARGS: &[Arg] = &[
    Arg::path("path").required(),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::int("size").default("4096"),
    Arg::str("type").default("RSA").choices(&["DSA", "ECC", "Ed25519", "Ed448", "RSA", "X25519", "X448"]),
    Arg::str("curve").choices(&[
        "secp224r1", "secp256k1", "secp256r1", "secp384r1", "secp521r1", "secp192r1", "brainpoolP256r1", "brainpoolP384r1",
        "brainpoolP512r1", "sect163k1", "sect163r2", "sect233k1", "sect233r1", "sect283k1", "sect283r1", "sect409k1",
        "sect409r1", "sect571k1", "sect571r1",
    ]),
    Arg::str("passphrase").no_log(),
    Arg::str("cipher").default("auto"),
    Arg::str("format").default("auto_ignore").choices(&["pkcs1", "pkcs8", "raw", "auto", "auto_ignore"]),
    Arg::str("format_mismatch").default("regenerate").choices(&["regenerate", "convert"]),
    Arg::str("regenerate").default("full_idempotence").choices(&["never", "fail", "partial_idempotence", "full_idempotence", "always"]),
    Arg::bool("force").default("false"),
    Arg::bool("backup").default("false"),
    Arg::bool("return_content").default("false"),
    Arg::str("select_crypto_backend").default("auto").choices(&["auto", "cryptography"]),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("openssl_privatekey", ARGS)
        .collection("community.crypto")
        .file_args()
        .required_if(&[("type", "ECC", &["curve"], false)]),
    run,
};

/// Who asks for which key.
struct Wanted<'a> {
    args: &'a Args,
    kind: Kind,
    passphrase: Option<&'a str>,
    scratch: Scratch,
}

/// A key file as it is.
struct Is {
    content: Vec<u8>,
    /// SubjectPublicKeyInfo.
    public: Result<Vec<u8>, Unreadable>,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let mut product = Product::of(args, Some(0o600))?;
    if args.string("state") == "absent" {
        let there = product.remove(task)?;
        return Ok(result(args, &product, there, None).diff(json!({"before": {}, "after": {}})));
    }
    let passphrase = args.str("passphrase").filter(|text| !text.is_empty());
    if passphrase.is_some() && args.string("cipher") != "auto" {
        return Err("Cryptography backend can only use \"auto\" for cipher option.".into());
    }
    let wanted = Wanted { args, kind: kind(args)?, passphrase, scratch: Scratch::new()? };
    let mut is = wanted.look(task, &product)?;
    let before = told(is.as_ref());
    let again = wanted.regenerates(is.as_ref())?;
    let convert = is.as_ref().filter(|is| !again && wanted.converts(is));
    let make = again || convert.is_some();
    if make && !task.check {
        let content = match convert {
            Some(is) => wanted.convert(task, &product, is)?,
            None => wanted.generate(task)?,
        };
        product.write(task, &content, Some(0o600))?;
        is = wanted.look(task, &product)?;
    }
    let changed = product.attributes(task)? || make;
    let after = told(is.as_ref());
    let outcome = result(args, &product, changed, is.as_ref());
    let content = is.filter(|_| args.bool("return_content")).map(|is| shown(&is.content));
    Ok(outcome.with_some("privatekey", content).diff(json!({"before": before, "after": after})))
}

fn result(args: &Args, product: &Product, changed: bool, is: Option<&Is>) -> Outcome {
    let public = is.and_then(|is| is.public.as_ref().ok());
    let kind = args.string("type");
    Outcome::changed(changed)
        .with("filename", args.string("path"))
        .with_some("curve", args.str("curve").filter(|_| kind == "ECC"))
        .with("type", kind)
        .with("size", args.int("size").unwrap_or_default())
        .with("fingerprint", public.map(|public| fingerprints(public)).unwrap_or_default())
        .with_some("backup_file", product.kept.clone())
}

/// A key in text as it is, another one as base64.
fn shown(content: &[u8]) -> String {
    let text = std::str::from_utf8(content).ok().filter(|text| text.contains("-----BEGIN "));
    text.map_or_else(|| BASE64_STANDARD.encode(content), str::to_owned)
}

/// As in a diff. One that is not text does not count as readable there.
fn told(is: Option<&Is>) -> Json {
    let Some(is) = is else { return json!({}) };
    let spki = is.public.as_ref().ok().filter(|_| is.content.starts_with(b"-----BEGIN "));
    let Some((spki, public)) = spki.and_then(|spki| Some((spki, Public::read(spki)?))) else {
        return json!({"can_parse_key": false, "key_is_consistent": null});
    };
    json!({
        "can_parse_key": true,
        "key_is_consistent": null,
        "public_key": openssl::pem("PUBLIC KEY", spki),
        "public_key_fingerprints": short_fingerprints(spki),
        "type": public.name(),
        "public_data": public.data(),
    })
}

fn kind(args: &Args) -> Result<Kind, Failure> {
    Ok(match args.string("type").as_str() {
        "DSA" => Kind::Dsa,
        "Ed25519" => Kind::Ed25519,
        "Ed448" => Kind::Ed448,
        "X25519" => Kind::X25519,
        "X448" => Kind::X448,
        "ECC" => {
            let curve = args.string("curve");
            let known = CURVES.iter().find(|known| known.name == curve);
            Kind::Ec(known.ok_or_else(|| Failure::new(format!("there is no curve `{curve}`")))?)
        }
        _ if args.int("size").is_none_or(|size| size < 1024) => {
            return Err("key_size must be at least 1024-bits.".into());
        }
        _ => Kind::Rsa,
    })
}

/// Keys that are so many bytes and nothing else.
const RAW: &[(Kind, usize, &str)] = &[
    (Kind::X25519, 32, "1.3.101.110"),
    (Kind::X448, 56, "1.3.101.111"),
    (Kind::Ed25519, 32, "1.3.101.112"),
    (Kind::Ed448, 57, "1.3.101.113"),
];

impl Wanted<'_> {
    fn look(&self, task: &Task<'_>, product: &Product) -> Result<Option<Is>, Failure> {
        let Some(content) = product.content()? else { return Ok(None) };
        let public = match self.wrapped(&content) {
            Some(pem) if self.passphrase.is_none() => {
                let output = openssl::run(task, &["pkey", "-pubout", "-outform", "DER"], pem.as_bytes())?;
                if output.ok() { Ok(output.stdout) } else { Err(Unreadable::Broken) }
            }
            _ => openssl::public(task, &product.path, self.passphrase)?,
        };
        Ok(Some(Is { content, public }))
    }

    /// A key that is bytes only, in text.
    fn wrapped(&self, content: &[u8]) -> Option<String> {
        let (_, _, oid) = RAW.iter().find(|(kind, size, _)| *kind == self.kind && *size == content.len())?;
        let key = der::value(der::OCTETS, &der::value(der::OCTETS, content));
        let whole = der::sequence(&[der::number(&[0]), der::sequence(&[der::known_oid(oid)]), key]);
        Some(openssl::pem("PRIVATE KEY", &whole))
    }

    fn regenerates(&self, is: Option<&Is>) -> Result<bool, Failure> {
        let how = self.args.string("regenerate");
        let Some(is) = is else { return Ok(true) };
        if self.args.bool("force") || how == "always" {
            return Ok(true);
        }
        let Ok(public) = &is.public else {
            return if how == "full_idempotence" { Ok(true) } else { Err(UNREADABLE.into()) };
        };
        if !self.is_such(public) {
            return match how.as_str() {
                "never" => Ok(false),
                "fail" => Err(OTHER.into()),
                _ => Ok(true),
            };
        }
        if self.has_format(&is.content) || self.args.string("format_mismatch") == "convert" {
            return Ok(false);
        }
        match how.as_str() {
            "never" => Ok(false),
            "fail" => Err(FORMAT.into()),
            _ => Ok(true),
        }
    }

    fn converts(&self, is: &Is) -> bool {
        self.args.string("format_mismatch") == "convert" && !self.has_format(&is.content)
    }

    fn is_such(&self, public: &[u8]) -> bool {
        Public::read(public).is_some_and(|is| {
            let sized = matches!(is.kind, Kind::Rsa | Kind::Dsa);
            is.kind == self.kind && (!sized || self.args.int("size") == i64::try_from(is.size).ok())
        })
    }

    fn has_format(&self, content: &[u8]) -> bool {
        let text = String::from_utf8_lossy(content);
        let is = match text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")) {
            Some(("PRIVATE KEY" | "ENCRYPTED PRIVATE KEY", _)) => "pkcs8",
            Some(_) => "pkcs1",
            None => "raw",
        };
        self.args.string("format") == "auto_ignore" || is == self.format()
    }

    /// The format that is made.
    fn format(&self) -> String {
        let format = self.args.string("format");
        match self.kind {
            _ if !format.starts_with("auto") => format,
            Kind::Rsa | Kind::Dsa | Kind::Ec(_) => "pkcs1".to_owned(),
            _ => "pkcs8".to_owned(),
        }
    }

    fn generate(&self, task: &Task<'_>) -> Result<Vec<u8>, Failure> {
        let size = self.args.int("size").unwrap_or_default();
        let option = match &self.kind {
            Kind::Rsa => format!("rsa_keygen_bits:{size}"),
            Kind::Dsa => return self.generate_dsa(task, size),
            Kind::Ec(curve) => format!("ec_paramgen_curve:{}", curve.openssl),
            _ => String::new(),
        };
        let algorithm = match self.args.string("type").as_str() {
            "ECC" => "EC".to_owned(),
            other => other.to_uppercase(),
        };
        let mut argv = vec!["genpkey", "-algorithm", &algorithm];
        if !option.is_empty() {
            argv.extend(["-pkeyopt", &option]);
        }
        let key = children::expect(openssl::run(task, &argv, b"")?)?.stdout;
        self.written(task, &key)
    }

    fn generate_dsa(&self, task: &Task<'_>, size: i64) -> Result<Vec<u8>, Failure> {
        let bits = format!("dsa_paramgen_bits:{size}");
        let argv = ["genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", &bits];
        let made = children::expect(openssl::run(task, &argv, b"")?)?.stdout;
        let parameters = self.scratch.write("parameters", &made)?.display().to_string();
        let key = children::expect(openssl::run(task, &["genpkey", "-paramfile", &parameters], b"")?)?.stdout;
        self.written(task, &key)
    }

    /// The same key in the format that is wanted.
    fn convert(&self, task: &Task<'_>, product: &Product, is: &Is) -> Result<Vec<u8>, Failure> {
        let key = match (self.wrapped(&is.content), self.passphrase) {
            (Some(pem), _) => pem.into_bytes(),
            (None, None) => is.content.clone(),
            (None, passphrase) => {
                let path = product.path.display().to_string();
                let argv = ["pkey", "-in", &path, "-passin", "stdin"];
                children::expect(openssl::run(task, &argv, &openssl::line(passphrase))?)?.stdout
            }
        };
        self.written(task, &key)
    }

    /// A key that is not encrypted, as the file shall have it. It is in no file until then.
    fn written(&self, task: &Task<'_>, key: &[u8]) -> Result<Vec<u8>, Failure> {
        let format = self.format();
        let raw = RAW.iter().any(|(kind, ..)| *kind == self.kind);
        if (format == "raw" && (!raw || self.passphrase.is_some())) || (format == "pkcs1" && raw) {
            return Err(Failure::new(format!(
                "Cryptography backend cannot serialize the private key in the required format \"{format}\""
            )));
        }
        if format == "raw" {
            let whole = children::expect(openssl::run(task, &["pkey", "-outform", "DER"], key)?)?.stdout;
            return bare(&whole).ok_or_else(|| "openssl gave a key that cannot be read".into());
        }
        let mut argv = vec!["pkey"];
        if format == "pkcs1" {
            argv.push("-traditional");
        }
        let secret;
        if let Some(passphrase) = self.passphrase {
            let file = self.scratch.write("passphrase", passphrase.as_bytes())?;
            secret = format!("file:{}", file.display());
            argv.extend(["-aes256", "-passout", &secret]);
        }
        Ok(children::expect(openssl::run(task, &argv, key)?)?.stdout)
    }
}

/// The bytes that are the key.
fn bare(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let mut inside = Reader::new(pkcs8).maybe(der::SEQUENCE)?.inside();
    inside.maybe(der::INTEGER)?;
    inside.maybe(der::SEQUENCE)?;
    let key = inside.maybe(der::OCTETS)?.inside().maybe(der::OCTETS)?;
    Some(key.content.to_vec())
}

const UNREADABLE: &str = "Unable to read the key. The key is protected with a another passphrase / no passphrase or broken. \
    Will not proceed. To force regeneration, call the module with `generate` set to `full_idempotence` or `always`, or with \
    `force=true`.";
const OTHER: &str = "Key has wrong type and/or size. Will not proceed. To force regeneration, call the module with `generate` \
    set to `partial_idempotence`, `full_idempotence` or `always`, or with `force=true`.";
const FORMAT: &str = "Key has wrong format. Will not proceed. To force regeneration, call the module with `generate` set to \
    `partial_idempotence`, `full_idempotence` or `always`, or with `force=true`. To convert the key, set `format_mismatch` to \
    `convert`.";
