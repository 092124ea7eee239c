//! Host names: numbers and /etc/hosts by ourselves, the rest by a `getent` process, which knows how this host is set up.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::command::Run;

#[derive(Debug)]
pub(super) struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let authority = uri.authority().ok_or(Error::HostNotFound)?;
        let port = authority.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let mut found = self.empty();
        for address in addresses(host).into_iter().take(16) {
            found.push(SocketAddr::new(address, port));
        }
        if found.is_empty() { Err(Error::HostNotFound) } else { Ok(found) }
    }
}

pub(super) fn addresses(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    let known = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let from_file: Vec<IpAddr> = known.lines().filter_map(|line| in_line(line, host)).collect();
    if !from_file.is_empty() {
        return from_file;
    }
    if host.eq_ignore_ascii_case("localhost") {
        return vec![IpAddr::from([127, 0, 0, 1])];
    }
    if host.starts_with('-') {
        return Vec::new();
    }
    let asked = Run::new("getent").args(["ahosts", host]).timeout(Duration::from_secs(15)).output();
    let text = asked.map(|o| o.stdout_text()).unwrap_or_default();
    let mut all: Vec<IpAddr> = Vec::new();
    for address in text.lines().filter_map(|l| l.split_whitespace().next()?.parse().ok()) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

fn in_line(line: &str, host: &str) -> Option<IpAddr> {
    let mut words = line.split('#').next()?.split_whitespace();
    let address = words.next()?.parse().ok()?;
    words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
}
