//! `x509_certificate`: a certificate, signed by its own key or by one of a CA whose key is at hand.

use catalog::{Arg, Args, Json, ModuleSpec};
use jiff::Timestamp;
use serde_json::json;

use crate::files;
use crate::module::{Failure, Module, Outcome, Task};
use crate::openssl::{self, PrivateKey};
use crate::x509::certificate::{Certificate, Signed};
use crate::x509::der;
use crate::x509::extensions::{self as ext, Extension};
use crate::x509::names::Name;
use crate::x509::product::Product;
use crate::x509::request::{Request, Signed as SignedRequest};
use crate::x509::time;

const IDENTIFIER: &[&str] = &["create_if_not_provided", "always_create", "never_create"];

#[rustfmt::skip]
const ARGS: &[Arg] = &[
    Arg::path("path").required(),
    Arg::str("state").default("present").choices(&["absent", "present"]),
    Arg::str("provider").choices(&["acme", "ownca", "selfsigned"]),
    Arg::path("csr_path"),
    Arg::str("csr_content"),
    Arg::path("privatekey_path"),
    Arg::str("privatekey_content").no_log(),
    Arg::str("privatekey_passphrase").no_log(),
    Arg::bool("ignore_timestamps").default("true"),
    Arg::bool("force").default("false"),
    Arg::bool("backup").default("false"),
    Arg::bool("return_content").default("false"),
    Arg::str("select_crypto_backend").default("auto").choices(&["auto", "cryptography"]),
    Arg::int("selfsigned_version").default("3").choices(&["3"]),
    Arg::str("selfsigned_digest").default("sha256"),
    Arg::str("selfsigned_not_before").default("+0s").aliases(&["selfsigned_notBefore"]),
    Arg::str("selfsigned_not_after").default("+3650d").aliases(&["selfsigned_notAfter"]),
    Arg::str("selfsigned_create_subject_key_identifier").default("create_if_not_provided").choices(IDENTIFIER),
    Arg::path("ownca_path"),
    Arg::str("ownca_content"),
    Arg::path("ownca_privatekey_path"),
    Arg::str("ownca_privatekey_content").no_log(),
    Arg::str("ownca_privatekey_passphrase").no_log(),
    Arg::str("ownca_digest").default("sha256"),
    Arg::int("ownca_version").default("3").choices(&["3"]),
    Arg::str("ownca_not_before").default("+0s"),
    Arg::str("ownca_not_after").default("+3650d"),
    Arg::str("ownca_create_subject_key_identifier").default("create_if_not_provided").choices(IDENTIFIER),
    Arg::bool("ownca_create_authority_key_identifier").default("true"),
    Arg::path("acme_accountkey_path"),
    Arg::path("acme_challenge_path"),
    Arg::bool("acme_chain").default("false"),
    Arg::str("acme_directory").default("https://acme-v02.api.letsencrypt.org/directory"),
];

pub(crate) static MODULE: Module = Module {
    spec: ModuleSpec::builtin("x509_certificate", ARGS)
        .collection("community.crypto")
        .file_args()
        .mutually_exclusive(&[
            &["csr_path", "csr_content"],
            &["privatekey_path", "privatekey_content"],
            &["ownca_path", "ownca_content"],
            &["ownca_privatekey_path", "ownca_privatekey_content"],
        ])
        .required_if(&[("state", "present", &["provider"], false)]),
    run,
};

/// A CA's name and the identifier of its key.
struct Authority {
    subject: Name,
    identifier: Vec<u8>,
}

/// What a task asks for.
struct Wanted<'a> {
    args: &'a Args,
    provider: &'static str,
    request: Option<Request>,
    /// The key of the certificate, where it is at hand.
    own: Option<PrivateKey>,
    /// By whom it is signed, if not by itself.
    authority: Option<(Authority, PrivateKey)>,
    digest: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

fn run(args: &Args, task: &mut Task<'_>) -> Result<Outcome, Failure> {
    let mut product = Product::of(args, None)?;
    if args.string("state") == "absent" {
        let there = product.remove(task)?;
        return Ok(told(args, &product, there).diff(json!({"before": {}, "after": {}})));
    }
    let wanted = Wanted::of(args, task)?;
    let mut content = product.content()?;
    let mut is = content.as_deref().and_then(Signed::read);
    let before = diff(content.is_some(), is.as_ref());
    let make = match &is {
        Some(is) => args.bool("force") || !wanted.is_such(task, is)?,
        None => true,
    };
    let made = if make { Some(wanted.certificate()?) } else { None };
    if let Some(made) = made.as_ref().filter(|_| !task.check) {
        let text = made.sign(task, wanted.signer()?, &wanted.digest)?.into_bytes();
        product.write(task, &text, None)?;
        is = Signed::read(&text);
        content = Some(text);
    }
    let changed = product.attributes(task)? || make;
    let after = diff(content.is_some(), is.as_ref());
    let mut outcome = told(args, &product, changed);
    if let Some(shown) = made.as_ref().or(is.as_ref().map(|is| &is.certificate)) {
        outcome = outcome
            .with("notBefore", time::text(shown.not_before))
            .with("notAfter", time::text(shown.not_after))
            .with("serial_number", shown.serial_number());
    }
    if wanted.provider == "ownca" {
        let given = |name: &str| args.get(name).cloned().unwrap_or_default();
        outcome =
            outcome.with("ca_cert", given("ownca_path")).with("ca_privatekey", given("ownca_privatekey_path"));
    }
    let content = content.filter(|_| args.bool("return_content"));
    let content = content.map(|content| String::from_utf8_lossy(&content).into_owned());
    Ok(outcome.with_some("certificate", content).diff(json!({"before": before, "after": after})))
}

fn told(args: &Args, product: &Product, changed: bool) -> Outcome {
    let given = |name: &str| args.get(name).cloned().unwrap_or_default();
    Outcome::changed(changed)
        .with("filename", args.string("path"))
        .with("privatekey", given("privatekey_path"))
        .with("csr", given("csr_path"))
        .with_some("backup_file", product.kept.clone())
}

fn diff(there: bool, is: Option<&Signed>) -> Json {
    match is {
        Some(is) => is.told(),
        None if there => json!({"can_parse_certificate": false}),
        None => json!({}),
    }
}

/// A file that a task names, or the content that it gives instead. `None`: neither.
fn given(args: &Args, prefix: &str, what: &str) -> Result<Option<Vec<u8>>, Failure> {
    if let Some(content) = args.str(&format!("{prefix}_content")) {
        return Ok(Some(content.as_bytes().to_vec()));
    }
    let Some(path) = args.str(&format!("{prefix}_path")) else { return Ok(None) };
    exists(path, what)?;
    files::read(path.as_ref()).map(Some)
}

fn exists(path: &str, what: &str) -> Result<(), Failure> {
    if std::path::Path::new(path).exists() {
        return Ok(());
    }
    Err(Failure::new(format!("The {what} file {path} does not exist")))
}

fn key(args: &Args, task: &Task<'_>, prefix: &str, what: &str) -> Result<Option<PrivateKey>, Failure> {
    let path = args.str(&format!("{prefix}_path"));
    path.map_or(Ok(()), |path| exists(path, what))?;
    let there = path.is_some() || args.has(&format!("{prefix}_content"));
    there.then(|| PrivateKey::of(args, task, prefix)).transpose()
}

fn request(args: &Args) -> Result<Option<Request>, Failure> {
    let Some(text) = given(args, "csr", "certificate signing request")? else { return Ok(None) };
    match SignedRequest::read(&text) {
        Some(read) => Ok(Some(read.request)),
        None => Err("the certificate signing request cannot be read: it is none in PEM".into()),
    }
}

impl<'a> Wanted<'a> {
    fn of(args: &'a Args, task: &Task<'_>) -> Result<Self, Failure> {
        let provider = match args.string("provider").as_str() {
            "selfsigned" => "selfsigned",
            "ownca" => "ownca",
            _ => {
                return Err("the provider `acme` is not supported: use community.crypto.acme_certificate, \
                            which the host's Python runs"
                    .into());
            }
        };
        let own = key(args, task, "privatekey", "private key")?;
        let missing = |names: &str| {
            Failure::new(format!("One of {names} must be specified for the {provider} provider."))
        };
        if provider == "selfsigned" && own.is_none() {
            return Err(missing("privatekey_path and privatekey_content"));
        }
        let request = request(args)?;
        let mut authority = None;
        if provider == "ownca" {
            if request.is_none() {
                return Err("csr_path or csr_content is required for ownca provider".into());
            }
            let ca = given(args, "ownca", "CA certificate")?;
            let ca = ca.ok_or_else(|| missing("ownca_path and ownca_content"))?;
            let signer = key(args, task, "ownca_privatekey", "CA private key")?;
            let signer =
                signer.ok_or_else(|| missing("ownca_privatekey_path and ownca_privatekey_content"))?;
            let ca = Signed::read(&ca).ok_or("the CA certificate cannot be read: it is none in PEM")?.certificate;
            if ca.public != signer.public {
                return Err("The CA private key does not belong to the CA certificate".into());
            }
            let identifier = ca.key_identifier();
            authority = Some((Authority { subject: ca.subject, identifier }, signer));
        }
        let digest = args.string(&format!("{provider}_digest"));
        openssl::check_digest(&digest)?;
        let now = Timestamp::now();
        let at = |name: &str| time::parse(&args.string(name), name, now);
        let not_before = at(&format!("{provider}_not_before"))?;
        let not_after = at(&format!("{provider}_not_after"))?;
        if not_after < not_before {
            return Err("The not valid after date must be after the not valid before date.".into());
        }
        Ok(Self { args, provider, request, own, authority, digest, not_before, not_after })
    }

    /// The key that signs.
    fn signer(&self) -> Result<&PrivateKey, Failure> {
        let authority = self.authority.as_ref().map(|(_, key)| key);
        authority.or(self.own.as_ref()).ok_or_else(|| "there is no key to sign with".into())
    }

    fn subject(&self) -> Name {
        self.request.as_ref().map(|request| request.subject.clone()).unwrap_or_default()
    }

    fn ca(&self) -> Option<&Authority> {
        self.authority.as_ref().map(|(authority, _)| authority)
    }

    /// The key that is certified.
    fn public(&self) -> &[u8] {
        let requested = self.request.as_ref().filter(|_| self.authority.is_some());
        let requested = requested.map(|request| request.public.as_slice());
        requested.or(self.own.as_ref().map(|own| own.public.as_slice())).unwrap_or_default()
    }

    /// Those of the request, and which keys these are.
    fn extensions(&self) -> Vec<Extension> {
        let mut all = self.request.as_ref().map(|request| request.extensions.clone()).unwrap_or_default();
        let identifier = self.args.string(&format!("{}_create_subject_key_identifier", self.provider));
        let provided = ext::find(&all, ext::SUBJECT_KEY).is_some();
        if identifier == "always_create" || (identifier == "create_if_not_provided" && !provided) {
            all.retain(|one| one.oid != ext::SUBJECT_KEY);
            let value = der::value(der::OCTETS, &ext::key_identifier(self.public()));
            all.push(Extension::new(ext::SUBJECT_KEY, false, value));
        }
        if let Some(authority) = self.ca()
            && self.args.bool("ownca_create_authority_key_identifier")
        {
            all.retain(|one| one.oid != ext::AUTHORITY_KEY);
            let value = ext::authority_key(Some(&authority.identifier), &[], None);
            all.push(Extension::new(ext::AUTHORITY_KEY, false, value));
        }
        all
    }

    fn certificate(&self) -> Result<Certificate, Failure> {
        let mut serial = [0_u8; 20];
        rustix::rand::getrandom(&mut serial, rustix::rand::GetRandomFlags::empty())
            .map_err(std::io::Error::from)?;
        // A positive number, of the same length each time.
        serial[0] = serial[0] & 0x7f | 0x40;
        Ok(Certificate {
            serial: serial.to_vec(),
            issuer: self.ca().map_or_else(|| self.subject(), |ca| ca.subject.clone()),
            not_before: self.not_before,
            not_after: self.not_after,
            subject: self.subject(),
            public: self.public().to_vec(),
            extensions: self.extensions(),
        })
    }

    /// Whether a certificate that is there will do.
    fn is_such(&self, task: &Task<'_>, signed: &Signed) -> Result<bool, Failure> {
        let is = &signed.certificate;
        let timely = self.args.bool("ignore_timestamps")
            || (is.not_before == self.not_before && is.not_after == self.not_after);
        let own = self.own.as_ref().is_none_or(|own| is.public == own.public);
        let requested = self.request.is_none() || (is.subject == self.subject() && is.has_extensions(&self.extensions()));
        let same = timely && own && requested && is.public == self.public() && is.issuer == *self.ca().map_or(&is.subject, |ca| &ca.subject);
        Ok(same && signed.is_by(task, &self.signer()?.public)?)
    }
}
