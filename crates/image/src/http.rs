//! HTTP for what images are made of: registries and package archives. Certificates are checked against this machine's
//! bundle.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Any status is an answer; a server that says nothing for a minute is none.
pub(crate) fn agent() -> ureq::Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::new_with_certs(&certificates()))
        .build();
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .timeout_recv_response(Some(Duration::from_secs(300)))
        .user_agent(concat!("theseus/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent()
}

fn certificates() -> Vec<ureq::tls::Certificate<'static>> {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let bundle =
        named.as_deref().into_iter().chain(BUNDLES.iter().copied()).find_map(|path| fs::read(path).ok());
    let certificate = |item| if let Ok(PemItem::Certificate(one)) = item { Some(one) } else { None };
    parse_pem(&bundle.unwrap_or_default()).filter_map(certificate).collect()
}

/// Brings an address into a file, and says when it was last modified.
pub(crate) fn fetch(agent: &ureq::Agent, address: &str, to: &Path) -> io::Result<Option<String>> {
    let response = agent.get(address).call().map_err(io::Error::other)?;
    if !response.status().is_success() {
        return Err(io::Error::other(format!("{address}: {}", response.status())));
    }
    let modified =
        response.headers().get("last-modified").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut file = File::create(to)?;
    io::copy(&mut response.into_body().into_reader(), &mut file)?;
    Ok(modified)
}
