//! OCI registries: images are pushed so that only what is missing is sent, and pulled; both go on where they were
//! interrupted.

mod client;
mod pull;
mod push;

pub use push::Pushed;

pub(crate) use client::Client;
pub(crate) use pull::{fetch, resolve};

use crate::error::{Error, Result};

/// `HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub host: String,
    pub repository: String,
    /// A tag or a digest.
    pub version: String,
}

impl Reference {
    /// With or without `docker://`. The registry is always named: there is none that is meant otherwise.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::wrong(format!(
                "`{text}` names no image of a registry: write HOST/NAME:TAG, say registry.example.org/shop/web:1"
            ))
        };
        let rest = text.strip_prefix("docker://").unwrap_or(text);
        let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
        let is_host = host.contains(['.', ':']) || host == "localhost";
        let (repository, version) = match path.split_once('@') {
            Some((name, digest)) => (name.split(':').next().unwrap_or_default(), digest),
            None => path.split_once(':').unwrap_or((path, "latest")),
        };
        let fine =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '/' | '.' | '_' | '-');
        let fine_version = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
        let good = is_host
            && !repository.is_empty()
            && repository.split('/').all(|part| !part.is_empty() && part != "..")
            && repository.chars().all(fine)
            && !version.is_empty()
            && version.chars().all(fine_version);
        if !good {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), version: version.to_owned() })
    }

    /// The same repository, something else of it.
    #[must_use]
    pub fn at(&self, version: impl Into<String>) -> Self {
        Self { version: version.into(), ..self.clone() }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.version.contains(':') { '@' } else { ':' };
        write!(f, "{}/{}{mark}{}", self.host, self.repository, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written() {
        for text in ["localhost:5000/web:latest", "r.example.org/a/b-c:1.2", "127.0.0.1:5000/x@sha256:00ff"] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Reference::parse("docker://localhost/web").unwrap().version, "latest");
        for wrong in [
            "web:1",
            "shop/web:1",
            "r.example.org/",
            "r.example.org/A:1",
            "r.example.org/a/../b:1",
            "r.example.org/a:",
        ] {
            assert!(Reference::parse(wrong).is_err(), "{wrong}");
        }
    }
}
