//! TLS: the host's own certificate authorities, client certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::Request;
use crate::module::Task;

/// Where distributions keep their bundle.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

pub(super) fn config(request: &Request, task: &Task<'_>) -> Result<TlsConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = TlsConfig::builder()
        .disable_verification(!request.validate_certs)
        .unversioned_rustls_crypto_provider(provider);
    if request.validate_certs {
        let roots = certificates(&bundle(request, task)?)?;
        config = config.root_certs(RootCerts::new_with_certs(&roots));
    }
    if let Some(path) = &request.client_cert {
        let chain = certificates(path)?;
        let key = private_key(request.client_key.as_ref().unwrap_or(path))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn bundle(request: &Request, task: &Task<'_>) -> Result<PathBuf, String> {
    let named = request.ca_path.clone().or_else(|| task.variable("SSL_CERT_FILE").map(PathBuf::from));
    let known = || BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file());
    named.or_else(known).ok_or_else(|| {
        "this host has no bundle of certificate authorities (package ca-certificates)".to_owned()
    })
}

fn items(path: &Path) -> Result<Vec<PemItem<'static>>, String> {
    let bytes = std::fs::read(path)
        .map_err(|e| format!("could not read {}: {}", path.display(), crate::module::plain(&e)))?;
    Ok(parse_pem(&bytes).filter_map(Result::ok).collect())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let all: Vec<_> = items(path)?
        .into_iter()
        .filter_map(|i| if let PemItem::Certificate(c) = i { Some(c) } else { None })
        .collect();
    if all.is_empty() { Err(format!("there is no certificate in {}", path.display())) } else { Ok(all) }
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, String> {
    let mut keys =
        items(path)?.into_iter().filter_map(|i| if let PemItem::PrivateKey(k) = i { Some(k) } else { None });
    keys.next().ok_or_else(|| format!("there is no private key in {}", path.display()))
}
