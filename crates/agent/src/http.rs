//! HTTP and HTTPS for modules: names are looked up without the C library, certificates checked against the host's own bundle.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::http::{Request as HttpRequest, Uri};

use crate::module::{At, Failure, Task};

mod names;
mod socket;
mod tls;

/// Redirects in a row, as Python's.
const MAX_REDIRECTS: usize = 10;

/// Which redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    None,
    /// Of `GET` and `HEAD` only.
    Safe,
    All,
}

/// A request, by Ansible's arguments.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// A file that is sent as the body instead.
    pub file: Option<PathBuf>,
    pub timeout: Duration,
    pub follow: Follow,
    pub validate_certs: bool,
    pub use_proxy: bool,
    pub user: Option<String>,
    pub password: Option<String>,
    /// Send the password without being asked.
    pub force_basic_auth: bool,
    pub ca_path: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub unix_socket: Option<PathBuf>,
}

pub struct Response {
    pub status: u16,
    pub reason: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub url: String,
    pub redirected: bool,
    pub body: Box<dyn Read>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }
    pub fn bytes(&mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.body.read_to_end(&mut bytes).map_err(|e| Failure::new(format!("the answer broke off: {e}")))?;
        Ok(bytes)
    }
}

impl Request {
    pub fn get(url: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            file: None,
            timeout: Duration::from_secs(10),
            follow: Follow::All,
            validate_certs: true,
            use_proxy: true,
            user: None,
            password: None,
            force_basic_auth: false,
            ca_path: None,
            client_cert: None,
            client_key: None,
            unix_socket: None,
        }
    }

    /// Send it and follow redirects. Any status is an answer; the error is one sentence.
    pub fn send(mut self, task: &Task<'_>) -> Result<Response, String> {
        self.take_user_from_url();
        let mut redirected = false;
        let mut authorized = self.force_basic_auth;
        for _ in 0..=MAX_REDIRECTS {
            let mut response = self.once(task, authorized)?;
            response.redirected = redirected;
            let asked = response.status == 401 && self.user.is_some() && !authorized;
            if asked
                && response.header("www-authenticate").is_some_and(|v| v.to_lowercase().contains("basic"))
            {
                authorized = true;
                continue;
            }
            let safe = matches!(self.method.as_str(), "GET" | "HEAD");
            let follows = self.follow == Follow::All || (self.follow == Follow::Safe && safe);
            let location = response.header("location").map(str::to_owned);
            let (301..=303 | 307 | 308, true, Some(location)) = (response.status, follows, location) else {
                return Ok(response);
            };
            let next = join(&self.url, &location)?;
            if host_of(&next) != host_of(&self.url) {
                self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
                self.user = None;
                authorized = false;
            }
            if response.status <= 303 && !safe {
                self.method = "GET".to_owned();
                self.body = None;
                self.file = None;
            }
            self.url = next;
            redirected = true;
        }
        Err(format!("more than {MAX_REDIRECTS} redirects"))
    }

    fn take_user_from_url(&mut self) {
        let Some((scheme, rest)) = self.url.split_once("://") else { return };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let Some((login, _)) = authority.rsplit_once('@') else { return };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        self.user = Some(decode(user));
        self.password = Some(decode(password));
        self.force_basic_auth = true;
        self.url = format!("{scheme}://{}", &rest[login.len() + 1..]);
    }

    fn once(&self, task: &Task<'_>, authorized: bool) -> Result<Response, String> {
        // Python accepts spaces and the like in a URL; here they must be written out.
        let uri: Uri = escaped(&self.url).parse().map_err(|_| format!("`{}` is no URL", self.url))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(format!("unknown url type: {}", uri.scheme_str().unwrap_or("none")));
        }
        let mut request = HttpRequest::builder().method(self.method.as_str()).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if authorized && let Some(user) = &self.user {
            let login = format!("{user}:{}", self.password.as_deref().unwrap_or_default());
            request = request.header("Authorization", format!("Basic {}", BASE64_STANDARD.encode(login)));
        }
        let agent = self.agent(task)?;
        let file =
            self.file.as_ref().map(std::fs::File::open).transpose().map_err(|e| crate::module::plain(&e))?;
        let response = match (&self.body, file) {
            (_, Some(file)) => request
                .body(file)
                .map_err(|e| e.to_string())
                .and_then(|r| agent.run(r).map_err(|e| explain(&e))),
            (Some(body), None) => request
                .body(body.as_slice())
                .map_err(|e| e.to_string())
                .and_then(|r| agent.run(r).map_err(|e| explain(&e))),
            (None, None) => request
                .body(())
                .map_err(|e| e.to_string())
                .and_then(|r| agent.run(r).map_err(|e| explain(&e))),
        }?;
        let (parts, body) = response.into_parts();
        let text = |v: &ureq::http::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        Ok(Response {
            status: parts.status.as_u16(),
            reason: parts.status.canonical_reason().unwrap_or_default().to_owned(),
            headers: parts.headers.iter().map(|(n, v)| (n.as_str().to_owned(), text(v))).collect(),
            url: self.url.clone(),
            redirected: false,
            body: Box::new(body.into_with_config().limit(u64::MAX).reader()),
        })
    }

    fn agent(&self, task: &Task<'_>) -> Result<ureq::Agent, String> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .timeout_connect(Some(self.timeout))
            .timeout_recv_response(Some(self.timeout))
            .timeout_per_read(Some(self.timeout))
            .accept_encoding("identity")
            .proxy(if self.use_proxy { self.proxy(task)? } else { None });
        let config =
            if self.url.starts_with("https:") { config.tls_config(tls::config(self, task)?) } else { config };
        Ok(match &self.unix_socket {
            Some(path) => {
                ureq::Agent::with_parts(config.proxy(None).build(), socket::Unix(path.clone()), names::Names)
            }
            None => ureq::Agent::with_parts(
                config.build(),
                ureq::unversioned::transport::DefaultConnector::default(),
                names::Names,
            ),
        })
    }

    /// By the task's environment, then the agent's.
    fn proxy(&self, task: &Task<'_>) -> Result<Option<ureq::Proxy>, String> {
        let scheme = self.url.split("://").next().unwrap_or_default();
        let names = [
            format!("{scheme}_proxy"),
            format!("{}_PROXY", scheme.to_uppercase()),
            "all_proxy".to_owned(),
            "ALL_PROXY".to_owned(),
        ];
        // `HTTP_PROXY` in capitals can come from a request's header in CGI programs; here it cannot.
        let Some(proxy) = names.iter().find_map(|name| task.variable(name)).filter(|p| !p.is_empty()) else {
            return Ok(None);
        };
        let without = task.variable("no_proxy").or_else(|| task.variable("NO_PROXY")).unwrap_or_default();
        let host = host_of(&self.url);
        let bare = host.rsplit_once(':').map_or(host.as_str(), |(h, _)| h);
        let excluded = |one: &str| {
            let one = one.trim().trim_start_matches('.');
            !one.is_empty()
                && (one == "*" || bare == one || host == one || bare.ends_with(&format!(".{one}")))
        };
        if without.split(',').any(excluded) {
            return Ok(None);
        }
        ureq::Proxy::new(&proxy).map(Some).map_err(|_| format!("`{proxy}` is no proxy"))
    }
}

/// ureq's words in ours.
fn explain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            "Connection refused".to_owned()
        }
        ureq::Error::Io(e) => crate::module::plain(e),
        ureq::Error::HostNotFound => "Name or service not known".to_owned(),
        ureq::Error::Timeout(_) => "timed out".to_owned(),
        other => other.to_string(),
    }
}

/// A redirect's target: absolute, or relative to where we are.
fn join(base: &str, location: &str) -> Result<String, String> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    let (scheme, rest) = base.split_once("://").ok_or("a redirect from no URL")?;
    if let Some(other) = location.strip_prefix("//") {
        return Ok(format!("{scheme}://{other}"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    if location.starts_with('/') {
        return Ok(format!("{scheme}://{host}{location}"));
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let dir = path.rfind('/').map_or("/", |i| &path[..=i]);
    Ok(format!("{scheme}://{host}{dir}{location}"))
}

fn host_of(url: &str) -> String {
    url.split_once("://")
        .map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default())
        .to_owned()
}

fn escaped(url: &str) -> String {
    use std::fmt::Write;
    let url = url.split('#').next().unwrap_or_default();
    url.bytes().fold(String::new(), |mut text, b| {
        if b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        {
            text.push(char::from(b));
        } else {
            _ = write!(text, "%{b:02X}");
        }
        text
    })
}

/// As Python's `quote_plus`.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        match b {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"_.-~".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
        out
    })
}

/// `%40` and the like.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut i) = (Vec::new(), 0);
    while i < bytes.len() {
        let code = (bytes[i] == b'%')
            .then(|| text.get(i + 1..i + 3).and_then(|h| u8::from_str_radix(h, 16).ok()))
            .flatten();
        out.push(code.unwrap_or(bytes[i]));
        i += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Fetch into a scratch file.
pub fn download(
    task: &Task<'_>,
    url: &str,
    (scratch, name): (&layer::Scratch, &str),
    validate_certs: bool,
) -> Result<PathBuf, Failure> {
    let request = Request { validate_certs, timeout: Duration::from_secs(30), ..Request::get(url) };
    let mut response = request
        .send(task)
        .map_err(|e| Failure::new(format!("Failure downloading {url}, Request failed: {e}")))?;
    if response.status != 200 {
        let message =
            format!("Failure downloading {url}, HTTP Error {}: {}", response.status, response.reason);
        return Err(Failure::new(message).with("status_code", response.status));
    }
    let (mut file, path) = scratch.create(name)?;
    std::io::copy(&mut response.body, &mut file).at("write", &path)?;
    Ok(path)
}
