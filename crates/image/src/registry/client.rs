//! Requests to one registry, with the credentials that `docker login` left.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Body, SendBody};

use super::Reference;
use crate::error::{Error, Result};

pub(crate) struct Client {
    agent: ureq::Agent,
    /// `https://HOST`
    base: String,
    host: String,
    /// What the registry asked for last.
    authorization: Mutex<Option<String>>,
}

impl Client {
    pub(crate) fn new(reference: &Reference) -> Self {
        let host = if reference.host == "docker.io" { "registry-1.docker.io" } else { &reference.host };
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        // As Docker does: nobody else is on the loopback.
        let plain = name == "localhost" || name.starts_with("127.") || name == "[::1]";
        let scheme = if plain { "http" } else { "https" };
        Self {
            agent: crate::http::agent(),
            base: format!("{scheme}://{host}"),
            host: reference.host.clone(),
            authorization: Mutex::new(None),
        }
    }

    /// A request with a small body. `path`: below the host, or a whole address.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>> {
        let response = self.once(method, path, headers, body)?;
        if response.status().as_u16() != 401 {
            return Ok(response);
        }
        let challenge = response.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
        let answer = self.authorize(challenge.unwrap_or_default())?;
        *self.authorization.lock() = Some(answer);
        let again = self.once(method, path, headers, body)?;
        if again.status().as_u16() == 401 {
            return Err(Error::wrong(format!(
                "{} does not let you do that: `docker login {}` keeps a password that it accepts",
                self.host, self.host
            )));
        }
        Ok(again)
    }

    fn once(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>> {
        let address = self.address(path);
        let mut request = Request::builder().method(method).uri(&address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // A session of an upload may be elsewhere: no password goes there.
        if address.starts_with(&format!("{}/", self.base))
            && let Some(authorization) = self.authorization.lock().as_deref()
        {
            request = request.header("authorization", authorization);
        }
        let failed = |error: &dyn std::fmt::Display| Error::wrong(format!("{}: {error}", self.host));
        let with_body = matches!(method, "POST" | "PUT" | "PATCH");
        let done = if with_body {
            let mut reader = body;
            let length = body.len().to_string();
            let request = request.header("content-length", length).body(SendBody::from_reader(&mut reader));
            self.agent.run(request.map_err(|error| failed(&error))?)
        } else {
            self.agent.run(request.body(()).map_err(|error| failed(&error))?)
        };
        done.map_err(|error| failed(&error))
    }

    pub(crate) fn address(&self, path: &str) -> String {
        if path.contains("://") { path.to_owned() } else { format!("{}{path}", self.base) }
    }

    /// What to say to a registry that asks who we are.
    fn authorize(&self, challenge: &str) -> Result<String> {
        let basic = credentials(&self.host);
        let Some(parameters) = challenge.strip_prefix("Bearer ") else {
            return basic.map(|basic| format!("Basic {basic}")).ok_or_else(|| {
                Error::wrong(format!(
                    "{} asks for a password: `docker login {}` keeps it",
                    self.host, self.host
                ))
            });
        };
        let parameters = parameters_of(parameters);
        let realm = parameters.get("realm").copied().unwrap_or_default();
        let mut request = self.agent.get(realm);
        for name in ["service", "scope"] {
            if let Some(value) = parameters.get(name) {
                request = request.query(name, *value);
            }
        }
        if let Some(basic) = basic {
            request = request.header("authorization", format!("Basic {basic}"));
        }
        let failed = |error: ureq::Error| Error::wrong(format!("{realm}: {error}"));
        let text = request.call().map_err(failed)?.into_body().read_to_string().map_err(failed)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let token = answer["token"].as_str().or_else(|| answer["access_token"].as_str());
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| {
            Error::wrong(format!(
                "{realm} gives no token for {}: `docker login {}` may help",
                self.host, self.host
            ))
        })
    }
}

/// `realm="…",service="…"`
fn parameters_of(text: &str) -> HashMap<&str, &str> {
    let mut found = HashMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, next)) = after.split_once('"') else { break };
        found.insert(name.trim_start_matches([',', ' ']), value);
        rest = next;
    }
    found
}

/// What `docker login` wrote: user and password in base64.
fn credentials(host: &str) -> Option<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let folder =
        std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home?.join(".docker")))?;
    let config: Value = serde_json::from_slice(&fs::read(folder.join("config.json")).ok()?).ok()?;
    let name = if host == "docker.io" { "https://index.docker.io/v1/" } else { host };
    let auth = config["auths"][name]["auth"].as_str()?;
    BASE64_STANDARD.decode(auth).ok().map(|_| auth.to_owned())
}

/// What a registry says of something that went wrong.
pub(super) fn refused(doing: &str, response: Response<Body>) -> Error {
    let status = response.status();
    let text = response.into_body().with_config().limit(4096).read_to_string().unwrap_or_default();
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let said = value["errors"][0]["message"].as_str().unwrap_or("without a reason");
    Error::wrong(format!("{doing}: the registry answers {status}: {said}"))
}

#[cfg(test)]
mod tests {
    use super::parameters_of;

    #[test]
    fn a_challenge_is_taken_apart() {
        let found = parameters_of(r#"realm="https://a/token",service="r",scope="repository:x:pull,push""#);
        assert_eq!((found["realm"], found["scope"]), ("https://a/token", "repository:x:pull,push"));
    }
}
